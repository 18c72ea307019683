"""Where the project and its runs lie."""

import os
from pathlib import Path

from ..data.checks import text
from ..data.errors import DataError
from ..data.names import safe_label


def project_root() -> Path:
    """The checkout this package lies in, or the working folder when the package was installed
    elsewhere.
    """
    root = Path(__file__).resolve().parents[2]
    return root if (root / "pyproject.toml").exists() else Path.cwd()


def require_home() -> None:
    """Makes sure that Jupyter, which keeps files in the home folder, has one.

    Raises:
        DataError: The account has no home folder.
    """
    try:
        Path.home()
    except RuntimeError as error:
        raise DataError(
            "Jupyter keeps files in the home folder and this account has none: set HOME to a "
            "folder of your own"
        ) from error


def runs_folder() -> Path:
    """Where runs are kept: $LDR_RUNS, else runs/ of this project."""
    return Path(os.environ.get("LDR_RUNS") or project_root() / "runs")


def run_folder(name: str) -> Path:
    """Where the run of a notebook is kept: a folder of `runs_folder`, whatever the name.

    Raises:
        ValueError: The name is empty, or no text.
    """
    return runs_folder() / safe_label(text(name, "name"))


def figures_folder(name: str) -> Path:
    """Where the figures of a notebook are kept with the project.

    Raises:
        ValueError: The name is empty, or no text.
    """
    return project_root() / "figures" / safe_label(text(name, "name"))


def record_path(name: str, label: str) -> Path:
    """Where a record is kept with the project; never outside its folder.

    Args:
        name: The notebook's name.
        label: Of the run.

    Raises:
        ValueError: One of them is empty, or no text.
    """
    return figures_folder(name) / "records" / f"{safe_label(text(label, 'label'))}.json"
