"""Where the project and its runs lie."""

import os
from pathlib import Path


def project_root() -> Path:
    """The checkout this package lies in, or the working folder when the package was installed
    elsewhere.
    """
    root = Path(__file__).resolve().parents[2]
    return root if (root / "pyproject.toml").exists() else Path.cwd()


def runs_folder() -> Path:
    """Where runs are kept: $LDR_RUNS, else runs/ of this project."""
    return Path(os.environ.get("LDR_RUNS") or project_root() / "runs")


def record_path(name: str, label: str) -> Path:
    """Where a record is kept with the project.

    Args:
        name: The notebook's name.
        label: Of the run.
    """
    return project_root() / "figures" / name / "records" / f"{label}.json"
