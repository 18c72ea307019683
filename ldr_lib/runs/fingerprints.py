"""Is a kept result still that of this code? Fingerprints of what a run used, blind to comments and
documentation.
"""

import ast
import hashlib
import json
import sys
from pathlib import Path

from .notebooks import cells_of
from .paths import project_root

PACKAGE = Path(__file__).resolve().parents[1]
REPORTING = ("explore", "runs", "teaching", "benchmark", "reproduce", "tables", "__main__")
"""Modules that draw, record and report: a change there changes no number."""
COMPUTING = ("explore.probes", "runs.intervals")
"""Modules among them that do change numbers."""


def code_of(path: Path) -> str:
    """Fingerprint of a module's code without comments, documentation and layout."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if (
            isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
            and ast.get_docstring(node, clean=False) is not None
        ):
            node.body = node.body[1:]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()[:12]


def used_code() -> dict[str, str]:
    """Fingerprints of the modules of this package that are loaded and can change a number."""
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
        return ["recorded before code was fingerprinted"]
    changed = []
    for part, fingerprint in record["code"].items():
        path = PACKAGE / part.replace(".", "/")
        path = path / "__init__.py" if path.is_dir() else path.with_name(f"{path.name}.py")
        if not path.exists() or code_of(path) != fingerprint:
            changed.append(part)
    path = notebooks / f"{record['name']}.ipynb"
    if path.exists():
        cells, names = cells_of(path)
        if record.get("cells") != cells:
            changed.append("the notebook's cells")
        missing = set(record["parameters"]) ^ set(names) - {"data_dir", "out_dir"}
        if missing - {"data_dir", "out_dir"}:
            changed.append(f"parameters {', '.join(sorted(missing - {'data_dir', 'out_dir'}))}")
    return changed


def is_current(record: Path) -> bool:
    """Whether a record exists and was made by the present code."""
    try:
        kept = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return not changes_since(kept, project_root() / "notebooks")
