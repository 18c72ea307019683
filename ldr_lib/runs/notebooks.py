"""Notebooks: their parameters, their fingerprint, and running them in place with light outputs."""

import ast
import base64
import copy
import hashlib
import json
import shutil
from pathlib import Path

import nbformat
import yaml
from nbformat import NotebookNode

from ..data.errors import DataError
from ..data.files import atomic_write
from .paths import project_root, runs_folder
from .pictures import encode

WIDTH = 1200
"""Width in pixels of the figures in a committed notebook."""
LIMIT = 950_000
"""Bytes that a committed notebook may take."""


def lighten(data: dict, quality: int) -> None:
    """Replaces a large PNG among a notebook output's data by a JPEG that is at most `WIDTH` pixels
    wide.

    Args:
        data: Outputs by media type; changed in place.
        quality: Of the JPEG, from 1 (small) to 95 (good).
    """
    raw = base64.b64decode(data.get("image/png", ""))
    if len(raw) > 20_000:
        del data["image/png"]
        small = encode(raw, "jpeg", fit=(WIDTH, 2 * WIDTH), quality=quality)
        data["image/jpeg"] = base64.b64encode(small).decode()


def _with_light_figures(notebook: NotebookNode) -> NotebookNode:
    """The notebook with its figures at the best quality at which it stays below `LIMIT`."""
    for quality in (85, 75, 65, 55, 45, 35, 25):
        light = copy.deepcopy(notebook)
        for cell in light.cells:
            for output in cell.get("outputs", []):
                lighten(output.get("data", {}), quality)
        if len(nbformat.writes(light).encode()) < LIMIT:
            break
    return light


def execute_in_place(path: Path) -> None:
    """Runs a notebook in its folder and rewrites its outputs.

    Figures are made light; error streams, widget state, timings and the earlier run's folder are
    removed.

    Args:
        path: The notebook.

    Raises:
        DataError: The notebook cannot be read.
    """
    from nbclient import NotebookClient

    parameters_of(path)
    shutil.rmtree(runs_folder() / path.stem, ignore_errors=True)
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(path.parent)}}
    NotebookClient(notebook, timeout=None, resources=resources).execute()
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number:02d}"
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
            for output in cell.outputs:
                output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}
    }
    with atomic_write(path) as temporary:
        nbformat.write(_with_light_figures(notebook), temporary)


def keep_figures(name: str) -> Path:
    """Copies the figures, their numbers, the report and the record of a notebook's run to
    `figures/<notebook>/`, in place of older ones.
    """
    kept = project_root() / "figures" / name
    kept.mkdir(parents=True, exist_ok=True)
    for old in (*kept.glob("*.png"), *kept.glob("*.csv")):
        old.unlink()
    run = runs_folder() / name
    for path in (
        *run.glob("*.png"),
        *run.glob("*.csv"),
        *run.glob("report.html"),
        run / "record.json",
    ):
        shutil.copyfile(path, kept / path.name)
    return kept


def parameters_of(notebook: Path) -> dict:
    """Names and values in a notebook's parameters cell.

    Raises:
        DataError: The notebook cannot be read or has no such cell.
    """
    try:
        cells = json.loads(Path(notebook).read_text(encoding="utf-8"))["cells"]
        cell = next(cell for cell in cells if "parameters" in cell["metadata"].get("tags", []))
        return {
            node.targets[0].id: ast.literal_eval(node.value)
            for node in ast.parse("".join(cell["source"])).body
        }
    except StopIteration:
        raise DataError(f"{notebook} has no cell tagged parameters") from None
    except (OSError, ValueError, KeyError, SyntaxError) as error:
        raise DataError(f"{notebook} cannot be read as a notebook ({error})") from error


def check_parameters(notebook: Path, given: dict, needed: tuple[str, ...] = ()) -> None:
    """Makes sure that parameters are the notebook's.

    Args:
        notebook: Path of the notebook.
        given: Parameters that shall be set.
        needed: Names that must be among them.

    Raises:
        DataError: A parameter that the notebook does not have, one of another kind than there, or
            one that is missing; named.
    """
    known = parameters_of(notebook)
    for name, value in given.items():
        if name not in known:
            raise DataError(
                f'{Path(notebook).name} has no parameter "{name}"; it has {", ".join(known)}'
            )
        if isinstance(value, str) != isinstance(known[name], str):
            raise DataError(
                f"parameter {name} of {Path(notebook).name} is {known[name]!r} there "
                f"and cannot be {value!r}"
            )
    if missing := [name for name in needed if name not in given]:
        raise DataError(f"parameter {', '.join(missing)} is missing for {Path(notebook).name}")


def read_parameters(path: Path) -> dict:
    """Parameters of a YAML file.

    Raises:
        DataError: The file cannot be read as one.
    """
    try:
        found = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise DataError(f"{path} cannot be read ({error})") from error
    if not isinstance(found, dict):
        raise DataError(f"{path} must hold lines of name: value")
    return found


def cells_of(path: Path) -> tuple[str, list[str]]:
    """Fingerprint of a notebook's code cells after the parameters, and the names of its
    parameters.
    """
    content = json.loads(path.read_text(encoding="utf-8"))
    cells = [cell for cell in content["cells"] if cell["cell_type"] == "code"]
    parameters = next(
        (cell for cell in cells if "parameters" in cell["metadata"].get("tags", [])), None
    )
    code = [
        ast.dump(ast.parse("".join(cell["source"]))) for cell in cells if cell is not parameters
    ]
    names = (
        [node.targets[0].id for node in ast.parse("".join(parameters["source"])).body]
        if parameters
        else []
    )
    return hashlib.sha256("".join(code).encode()).hexdigest()[:12], names
