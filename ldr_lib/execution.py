"""Notebooks re-executed in place, with outputs light enough to be kept with the project."""

import base64
import io
import shutil
from pathlib import Path

from PIL import Image

from .data.files import written_whole
from .places import project_root, runs_folder


def lighten(data: dict) -> None:
    """Replaces a large PNG among a notebook output's data by a JPEG of about 20 kB, at most 800 x 900 pixels."""
    raw = base64.b64decode(data.get("image/png", ""))
    if len(raw) > 20_000:
        picture = Image.open(io.BytesIO(raw)).convert("RGB")
        for side in (800, 650, 550, 450, 400):
            picture.thumbnail((side, side * 9 // 8), Image.Resampling.LANCZOS)
            small = io.BytesIO()
            picture.save(small, "JPEG", quality=55, optimize=True)
            if small.tell() < 23_000:
                break
        del data["image/png"]
        data["image/jpeg"] = base64.b64encode(small.getvalue()).decode()


def execute_in_place(path: Path) -> None:
    """Runs a notebook in its folder and rewrites its outputs, light and without error streams, widget state and timings."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=None, resources={"metadata": {"path": str(path.parent)}}).execute()
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number:02d}"
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
            for output in cell.outputs:
                output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
                lighten(output.get("data", {}))
    notebook.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    with written_whole(path) as temporary:
        nbformat.write(notebook, temporary)


def keep_figures(name: str) -> Path:
    """Copies the figures, their numbers, the report and the record of a notebook's run to `figures/<notebook>/`, in place of older ones."""
    kept = project_root() / "figures" / name
    kept.mkdir(parents=True, exist_ok=True)
    for old in (*kept.glob("*.png"), *kept.glob("*.csv")):
        old.unlink()
    run = runs_folder() / name
    for path in (*run.glob("*.png"), *run.glob("*.csv"), *run.glob("report.html"), run / "record.json"):
        shutil.copyfile(path, kept / path.name)
    return kept
