"""Where the project lies, here and in public."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HERE = Path(__file__).resolve().parent


def repository() -> str:
    """Address of the public repository, as pyproject.toml gives it; "" where it gives none."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    found = re.search(r'^Repository = "(.*)"$', text, re.M)
    return found.group(1) if found else ""


def owner_and_name(address: str) -> str:
    """Owner and name of a repository on GitHub, from its address.

    Example:
        >>> owner_and_name("https://github.com/someone/eyes.git")
        'someone/eyes'
    """
    found = re.fullmatch(r"https://github\.com/([\w.-]+/[\w.-]+?)(?:\.git)?/?", address)
    if not found:
        raise ValueError(
            f"{address!r} is no address of a repository on GitHub: give it as "
            "https://github.com/OWNER/NAME"
        )
    return found.group(1)
