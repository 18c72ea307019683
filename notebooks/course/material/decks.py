"""Slides: a Markdown file becomes one HTML file that needs no network.

Slides are separated by a line `---`; what follows `Notes:` is for the speaker. A figure's title
"rows 1 to 4 of 9" shows these rows of a tall figure only.
"""

import base64
import io
import re
from html import unescape
from pathlib import Path

import jinja2
from markup import to_html
from PIL import Image

from ldr_lib.data.errors import DataError
from ldr_lib.runs.pictures import encode

DECKS = Path(__file__).parent / "slides"
FIGURE = re.compile(r'<img src="([^"]*)" alt="([^"]*)"(?: title="([^"]*)")?\s*/?>')
ROWS = re.compile(r"rows (\d+) to (\d+) of (\d+)")
FIT = (1400, 1400)
"""Largest width and height of a figure in pixels."""


def slides_of(markdown: str) -> list[tuple[str, str]]:
    """The slides of a deck, each with its speaker's notes; both are Markdown."""
    found = []
    for slide in re.split(r"^---$", markdown, flags=re.M):
        shown, _, notes = slide.partition("\nNotes:")
        found.append((shown.strip(), notes.strip()))
    return found


def write_deck(source: Path, target: Path) -> Path:
    """Writes a deck as one HTML file with all figures inside.

    Args:
        source: The Markdown file; its figures are found relative to it.
        target: The HTML file.

    Returns:
        The HTML file.

    Raises:
        DataError: A figure does not exist, or has fewer rows than are asked for.
    """
    slides = [
        (_with_figures(to_html(shown), source), to_html(notes))
        for shown, notes in slides_of(source.read_text(encoding="utf-8"))
    ]
    template = jinja2.Template((DECKS / "deck.html.jinja").read_text(encoding="utf-8"))
    files = {"reveal.css", "reveal.js", "notes.js"}
    inside = {
        name.replace(".", "_"): (DECKS / "reveal" / name).read_text(encoding="utf-8")
        for name in files
    }
    inside["own_css"] = (DECKS / "deck.css").read_text(encoding="utf-8")
    title = slides_of(source.read_text(encoding="utf-8"))[0][0].splitlines()[0].lstrip("# ")
    target.parent.mkdir(parents=True, exist_ok=True)
    page = template.render(title=title, slides=slides, **inside)
    target.write_text(page + "\n", encoding="utf-8")
    return target


def _with_figures(html: str, source: Path) -> str:
    """HTML whose figures are data URLs."""

    def embedded(found: re.Match) -> str:
        path, alt, title = source.parent / unescape(found[1]), found[2], found[3]
        if not path.is_file():
            raise DataError(f"{source.name} shows {found[1]}, which does not exist")
        jpeg = encode(_rows(path, title, source), "jpeg", fit=FIT, quality=80)
        data = base64.b64encode(jpeg).decode("ascii")
        return f'<img src="data:image/jpeg;base64,{data}" alt="{alt}">'

    return FIGURE.sub(embedded, html)


def _rows(path: Path, title: str | None, source: Path) -> bytes:
    """A figure as bytes, cut to the rows that its title names."""
    if not title:
        return path.read_bytes()
    found = ROWS.fullmatch(title)
    first, last, n = map(int, found.groups()) if found else (1, 0, 0)
    if not 1 <= first <= last <= n:
        raise DataError(
            f'{source.name}: the title of {path.name} must read like "rows 1 to 4 of 9", '
            f"not {title!r}"
        )
    with Image.open(path) as image:
        top, bottom = (image.height * row // n for row in (first - 1, last))
        part, file = image.convert("RGB").crop((0, top, image.width, bottom)), io.BytesIO()
    part.save(file, "PNG")
    return file.getvalue()
