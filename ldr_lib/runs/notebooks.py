"""Notebooks: their fingerprint, and running them in place with light outputs."""

import ast
import base64
import copy
import hashlib
import json
import re
import shutil
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from ..data.errors import DataError
from ..data.files import atomic_write
from .parameters import assignments, parameters_of
from .paths import figures_folder, require_home, run_folder
from .pictures import encode
from .processes import KILLED

WIDTH = 1200
"""Width in pixels of the figures in a committed notebook."""
LIMIT = 950_000
"""Bytes that a committed notebook may take."""
LADDER = (*((quality, WIDTH) for quality in (85, 75, 65, 55, 45, 35, 25)), (30, 1000), (25, 900))
"""Quality and width of its figures, from the best down, until it fits."""
COLAB = "colab"
"""Tag of the cell that fetches the kit on Google Colab; it computes nothing."""
METADATA = {
    "accelerator": "GPU",  # on Google Colab
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
}
"""What a committed notebook says about itself."""


def lighten(data: dict, quality: int, width: int = WIDTH) -> None:
    """Replaces a large PNG among a notebook output's data by a JPEG.

    Args:
        data: Outputs by media type; changed in place.
        quality: Of the JPEG, from 1 (small) to 95 (good).
        width: It is at most so many pixels wide, and twice as high.
    """
    raw = base64.b64decode(data.get("image/png", ""))
    if len(raw) > 20_000:
        del data["image/png"]
        small = encode(raw, "jpeg", fit=(width, 2 * width), quality=quality)
        data["image/jpeg"] = base64.b64encode(small).decode()


def _with_light_figures(notebook: NotebookNode) -> NotebookNode:
    """The notebook with its figures as good as `LADDER` has them while it stays below `LIMIT`."""
    for quality, width in LADDER:
        light = copy.deepcopy(notebook)
        for cell in light.cells:
            for output in cell.get("outputs", []):
                lighten(output.get("data", {}), quality, width)
        if len(nbformat.writes(light).encode()) < LIMIT:
            break
    return light


def in_words(error: Exception) -> str:
    """Why a notebook stopped: the last line of the error in its cell."""
    if type(error).__name__ == "DeadKernelError":
        return KILLED
    lines = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).strip().splitlines()
    return lines[-1] if lines else type(error).__name__


def execute_in_place(path: Path) -> None:
    """Runs a notebook in its folder and rewrites its outputs.

    Figures are made light; error streams, widget state, timings and the earlier run's folder are
    removed.

    Args:
        path: The notebook.

    Raises:
        DataError: The notebook cannot be read, or one of its cells failed; it is as before.
    """
    from nbclient import NotebookClient

    require_home()
    parameters_of(path)
    shutil.rmtree(run_folder(path.stem), ignore_errors=True)
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(path.parent)}}
    try:
        NotebookClient(notebook, timeout=None, resources=resources).execute()
    except Exception as error:
        raise DataError(f"{path} stopped and is as before: {in_words(error)}") from error
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number:02d}"
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
            for output in cell.outputs:
                output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
    notebook.metadata = METADATA
    with atomic_write(path) as temporary:
        nbformat.write(_with_light_figures(notebook), temporary)


def keep_figures(name: str) -> Path:
    """Copies the figures, their numbers, the report and the record of a notebook's run to
    `figures/<notebook>/`, in place of older ones.

    Raises:
        DataError: The notebook wrote no record.
    """
    kept, run = figures_folder(name), run_folder(name)
    if not (run / "record.json").exists():
        raise DataError(f"{name} was run and wrote no record to {run}; its figures are not kept")
    kept.mkdir(parents=True, exist_ok=True)
    for old in (*kept.glob("*.png"), *kept.glob("*.csv")):
        old.unlink()
    for path in (
        *run.glob("*.png"),
        *run.glob("*.csv"),
        *run.glob("report.html"),
        run / "record.json",
    ):
        shutil.copyfile(path, kept / path.name)
    return kept


def cells_of(path: Path) -> tuple[str, list[str]]:
    """Fingerprint of a notebook's code cells after the parameters, without the cell for Colab, and
    the names of its parameters.

    Raises:
        DataError: The file cannot be read as a notebook.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        cells = [cell for cell in content["cells"] if cell["cell_type"] == "code"]
        cells = [cell for cell in cells if COLAB not in cell["metadata"].get("tags", [])]
        parameters = next(
            (cell for cell in cells if "parameters" in cell["metadata"].get("tags", [])), None
        )
        names = list(assignments("".join(parameters["source"]))) if parameters else []
        code = [_code_of("".join(cell["source"])) for cell in cells if cell is not parameters]
    except (OSError, ValueError, LookupError, TypeError, AttributeError, SyntaxError) as error:
        raise DataError(f"{path} cannot be read as a notebook ({error})") from error
    return hashlib.sha256("".join(code).encode()).hexdigest()[:12], names


def _code_of(source: str) -> str:
    """A cell's code without comments and layout; as it is where Jupyter's commands stand in it."""
    try:
        return ast.dump(ast.parse(source))
    except SyntaxError:
        return source
