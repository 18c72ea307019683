"""Notebooks with their committed outputs as pages; nothing is run."""

import base64
import html
import io
import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import nbformat
import yaml
from bs4 import BeautifulSoup
from nbconvert import HTMLExporter
from nbformat import NotebookNode
from PIL import Image
from traitlets.config import Config

from ldr_lib import DataError
from ldr_lib.runs.notebooks import COLAB

from .colab import equip
from .page import Page, first_heading
from .repository import HERE, ROOT

ALTERNATIVES = HERE / "alternatives.yaml"
"""What each figure shows, in words, for those who do not see it."""
IMAGES = ("image/png", "image/jpeg")


def notebook_page(path: Path, repository: str) -> Page:
    """A notebook of the kit as a page.

    Args:
        path: The notebook, below the project's folder.
        repository: Address of the public repository, from which Colab opens it; "" for none.

    Raises:
        DataError: A figure has no alternative text, or is not the one that the record lists.
    """
    notebook = nbformat.read(path, as_version=4)
    equip(notebook, path.name, repository)
    title = first_heading(notebook.cells[0].source).partition(":")[0]
    files = _take_figures(notebook, path.stem)
    url = f"notebooks/{path.stem}.html"
    source = path.relative_to(ROOT).as_posix()
    return Page(url, title, "Notebooks", notebook_body(notebook), source, files=files)


def notebook_body(notebook: NotebookNode) -> str:
    """A notebook's cells as HTML. The cell that serves Google Colab alone is left out."""
    notebook.cells = [cell for cell in notebook.cells if COLAB not in tags_of(cell)]
    exporter = HTMLExporter(
        config=Config(HTMLExporter={"exclude_anchor_links": True}),
        template_name="notebook",
        extra_template_basedirs=[str(HERE / "templates")],
    )
    return exporter.from_notebook_node(notebook)[0]


def tags_of(cell: NotebookNode) -> list[str]:
    """Tags of a cell."""
    return cell["metadata"].get("tags", [])


def _take_figures(notebook: NotebookNode, name: str) -> dict[str, bytes]:
    """Puts each figure into a file and an `<img>` with its alternative text in its place."""
    record = ROOT / "figures" / name / "record.json"
    if not record.exists():
        raise DataError(f"notebooks/{name}.ipynb has no record of its run: run make figures")
    recorded = json.loads(record.read_text(encoding="utf-8"))
    names = iter([Path(figure).stem for figure in recorded["figures"]])
    explorers = ("explorer" if number == 1 else f"explorer_{number}" for number in count(1))
    files = {}
    for data in _image_outputs(notebook):
        drawn = "".join(data.get("text/plain", "")).startswith("<Figure")
        figure = next(names, "") if drawn else next(explorers)
        kind = next(kind for kind in IMAGES if kind in data)
        content = base64.b64decode(data[kind])
        file = f"{name}/{figure}.{kind.removeprefix('image/')}"
        files[file] = content
        shown = image_tag(file, content, alternative(f"{name}/{figure}"))
        data.clear()
        data["text/html"] = shown
    if left := list(names):
        raise DataError(
            f"notebooks/{name}.ipynb shows fewer figures than its record lists (not shown: "
            f"{', '.join(left)}): run the notebook again with make figures"
        )
    return files


def _image_outputs(notebook: NotebookNode) -> Iterator[dict]:
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if any(kind in output.get("data", {}) for kind in IMAGES):
                yield output["data"]


def alternatives() -> dict[str, str]:
    """Alternative texts of all figures, by "notebook/figure"."""
    found = yaml.safe_load(ALTERNATIVES.read_text(encoding="utf-8"))
    return {
        f"{notebook}/{figure}": text for notebook in found for figure, text in _of(found, notebook)
    }


def _of(found: dict, notebook: str) -> Iterator[tuple[str, str]]:
    return ((figure, " ".join(text.split())) for figure, text in found[notebook].items())


def alternative(figure: str) -> str:
    """What a figure shows, in words.

    Args:
        figure: As "00_quickstart/losses".

    Raises:
        DataError: Nobody has described it yet.
    """
    known = alternatives()
    if figure not in known:
        raise DataError(
            f"the figure {figure} has no alternative text: say in one or two sentences what it "
            f"shows, in website/{ALTERNATIVES.name}"
        )
    return known[figure]


def image_descriptions(soup: BeautifulSoup) -> None:
    """Describes pictures whose text only names their file, as in the report of the ledger."""
    known = alternatives()
    for picture in soup.find_all("img"):
        name = picture.get("alt", "").removesuffix(".png").removeprefix("figures/")
        picture["alt"] = known.get(name, name)


def image_tag(file: str, content: bytes, text: str) -> str:
    """An `<img>` that is loaded when it comes into view and keeps its place until then."""
    with Image.open(io.BytesIO(content)) as image:
        width, height = image.size
    return (
        f'<img src="{file}" alt="{html.escape(text)}" width="{width}" height="{height}" '
        'loading="lazy">'
    )
