"""Is a kept result still that of this code? Fingerprints of what a run used, blind to comments and
documentation.
"""

import ast
import functools
import hashlib
import json
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pandas as pd

from ..data.errors import DataError
from .format import CHECKSUM, FORMAT, fault_of
from .notebooks import cells_of
from .paths import project_root

PACKAGE = Path(__file__).resolve().parents[1]
REPORTING = ("explore", "runs", "teaching", "benchmark", "reproduce", "tables", "readme")
REPORTING += ("commands", "__main__")
"""Modules that draw, record and report: a change there changes no number."""
COMPUTING = ("cluster_signs", "health", "learning", "probes", "rivals", "switches")
COMPUTING = tuple(f"explore.{name}" for name in COMPUTING)
"""Modules among them that do change numbers."""
COMPUTING_PACKAGES = ("torch", "kornia", "scikit-image")
"""Packages whose versions may change a number."""
PLACES = ("data_dir", "out_dir")
"""Parameters that say where files lie."""
CONFIRMATIONS = project_root() / "figures" / "confirmed.json"
"""Revisions whose short runs gave the same numbers as those of a later one (`runs.confirm`)."""


def code_of(path: Path) -> str:
    """Fingerprint of a module's code without comments, documentation and layout."""
    return _code_of(path, path.stat().st_mtime_ns)


@functools.cache
def _code_of(path: Path, changed: int) -> str:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if (
            isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
            and ast.get_docstring(node, clean=False) is not None
        ):
            node.body = node.body[1:]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()[:12]


def used_code() -> dict[str, str]:
    """Fingerprints of the loaded modules of this package that can change a number."""
    found = {}
    for name, module in sorted(sys.modules.items()):
        part = name.removeprefix("ldr_lib.")
        computes = part in COMPUTING or part.split(".")[0] not in REPORTING
        if (
            name.startswith("ldr_lib.")
            and computes
            and str(getattr(module, "__file__", "")).endswith(".py")
        ):
            found[part] = code_of(Path(module.__file__))
    return found


def changes_since(record: dict, notebooks: Path) -> list[str]:
    """What has changed since a record was made: modules, the notebook's cells, its parameters.

    Args:
        record: As `Run.finish` writes it.
        notebooks: Folder of the notebooks.

    Returns:
        Names of what changed, empty for a fresh result.
    """
    if "code" not in record:
        confirmed = _is_confirmed(record, "")
        return [] if confirmed else ["recorded before code was fingerprinted"]
    notebook = notebooks / f"{record['name']}.ipynb"
    cells, names = cells_of(notebook) if notebook.exists() else ("", [])
    changed = _changed_modules(record["code"])
    if "cells" in record and notebook.exists():
        if record["cells"] != cells:
            changed.append("the notebook's cells")
        if other := (set(record["parameters"]) ^ set(names)) - set(PLACES):
            changed.append(f"parameters {', '.join(sorted(other))}")
    return [] if changed and _is_confirmed(record, cells) else changed


def _changed_modules(code: dict[str, str]) -> list[str]:
    """Names of the modules whose present fingerprint differs from a recorded one."""
    changed = []
    for part, fingerprint in code.items():
        path = PACKAGE / part.replace(".", "/")
        path = path / "__init__.py" if path.is_dir() else path.with_name(f"{path.name}.py")
        if not path.exists():
            changed.append(f"{part} (no longer there)")
        elif code_of(path) != fingerprint:
            changed.append(part)
    return changed


def _is_confirmed(record: dict, cells: str) -> bool:
    """Whether short runs of the record's revision, or of another one with the same code, gave the
    same numbers as those of the present code.
    """
    for revision, noted in confirmations().items():
        present = noted["equal"].get(record["name"])
        if present is None or present.get("cells", cells) != cells:
            continue
        same = record.get("git_revision") == revision or _is_code(record, present.get("earlier"))
        if same and not _changed_modules(present["code"]):
            return True
    return False


def _is_code(record: dict, earlier: dict | None) -> bool:
    """Whether a record was made by the code and cells that were compared."""
    if not earlier or record.get("cells") != earlier.get("cells"):
        return False
    return bool(record.get("code")) and record["code"].items() <= earlier["code"].items()


def confirmations() -> dict:
    """Revisions that were confirmed: "on" (the date) and "equal" (name of a notebook to the
    present code and cells that computed the same, and to the "earlier" ones).

    Raises:
        DataError: The file cannot be read.
    """
    if not CONFIRMATIONS.exists():
        return {}
    try:
        return json.loads(CONFIRMATIONS.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(
            f"{CONFIRMATIONS} cannot be read ({error}); restore it from the project's history"
        ) from error


def other_versions(record: dict) -> list[str]:
    """Packages that compute and were of another version when a record was made, in words."""
    notes = []
    for package in COMPUTING_PACKAGES:
        then = record.get("versions", {}).get(package, "unknown")
        try:
            now = version(package)
        except PackageNotFoundError:
            now = "not installed"
        if then != now:
            notes.append(f"{package} {then} then, {now} now")
    return notes


def stale_records() -> pd.DataFrame:
    """Every committed record and what has changed since it was made.

    Returns:
        A row for each record: "notebook", "record", "changed" ("" where it is current) and
        "versions" (packages of another version, in words).

    Raises:
        DataError: A record cannot be read; it is named.

    Taught in notebook 06, section 2.
    """
    rows = []
    for path in sorted((project_root() / "figures").glob("*/records/*.json")):
        record = read_record(path)
        rows.append(
            {
                "notebook": path.parents[1].name,
                "record": path.stem,
                "changed": ", ".join(changes_since(record, project_root() / "notebooks")),
                "versions": ", ".join(other_versions(record)),
            }
        )
    return pd.DataFrame(rows, columns=["notebook", "record", "changed", "versions"])


def read_record(path: Path) -> dict:
    """A run's record. One that was damaged or edited by hand is refused; those of earlier
    revisions, which have no checksum, are taken as they are.

    Args:
        path: The record, or the folder of a run.

    Raises:
        DataError: There is none, it cannot be read, or it does not hold what was written.
    """
    path = path / "record.json" if path.is_dir() else path
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} is no run record ({error})") from error
    if fault := fault_of(record):
        raise DataError(
            f"{path} is no run record: {fault}. Restore it from the project's history, or remove "
            "it and run again what made it"
        )
    content = {name: value for name, value in record.items() if name not in (FORMAT, CHECKSUM)}
    return {"seed": 0, "started": "", "data": {}} | content


def is_current(record: Path) -> bool:
    """Whether a record exists and was made by the present code."""
    try:
        kept = read_record(record)
    except DataError:
        return False
    return not changes_since(kept, project_root() / "notebooks")
