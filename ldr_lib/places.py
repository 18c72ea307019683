"""Where the project and its runs lie."""

import os
from pathlib import Path


def project_root() -> Path:
    """The checkout this package lies in, or the working folder when the package was installed elsewhere."""
    root = Path(__file__).resolve().parents[1]
    return root if (root / "pyproject.toml").exists() else Path.cwd()


def runs_folder() -> Path:
    """Where runs are kept: $LDR_RUNS, else runs/ of this project."""
    return Path(os.environ.get("LDR_RUNS") or project_root() / "runs")
