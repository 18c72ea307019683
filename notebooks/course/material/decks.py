"""Slides: a Markdown file becomes one HTML file that needs no network.

Slides are separated by a line `---`; what follows `Notes:` is for the speaker. A figure's title
"rows 1 to 4 of 9" shows these rows of a tall figure only; "rows 1 to 4 of 9, columns 1 to 2 of 3"
leaves out the last third of its width, too. `[[ controls["right prior"]["AUC"] | digits(2) ]]` is a
value of the notebook's record, so that slides say what the committed run found.
"""

import base64
import io
import json
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
FIGURES = Path(__file__).resolve().parents[3] / "figures"
PART = re.compile(r"rows (\d+) to (\d+) of (\d+)(?:, columns (\d+) to (\d+) of (\d+))?")
VALUES = jinja2.Environment(
    variable_start_string="[[",
    variable_end_string="]]",
    block_start_string="[%",
    comment_start_string="[#",
    undefined=jinja2.StrictUndefined,
)
"""Reads values in Markdown, whose formulas are full of braces."""
VALUES.filters["digits"] = lambda value, n: f"{float(value):.{n}f}"
FIT = (1400, 1400)
"""Largest width and height of a figure in pixels."""


def slides_of(source: Path) -> list[tuple[str, str]]:
    """The slides of a deck, each with its speaker's notes; both are Markdown.

    Raises:
        DataError: A value is not in the notebook's record.
    """
    found = []
    for slide in re.split(r"^---$", _with_values(source), flags=re.M):
        shown, _, notes = slide.partition("\nNotes:")
        found.append((shown.strip(), notes.strip()))
    return found


def _with_values(source: Path) -> str:
    """The text of a deck with the values of its notebook's record."""
    records = sorted(FIGURES.glob(f"{source.stem}_*/record.json"))
    metrics = {}
    for record in records:
        metrics |= json.loads(record.read_text(encoding="utf-8"))["metrics"]
    try:
        return VALUES.from_string(source.read_text(encoding="utf-8")).render(metrics)
    except (jinja2.TemplateError, TypeError, ValueError) as error:
        raise DataError(f"{source.name}: a value of the record cannot be shown: {error}") from error


def write_deck(source: Path, target: Path) -> Path:
    """Writes a deck as one HTML file with all figures inside.

    Args:
        source: The Markdown file; its figures are found relative to it.
        target: The HTML file.

    Returns:
        The HTML file.

    Raises:
        DataError: A figure does not exist or has fewer rows than are asked for, or a value is not
            in the notebook's record.
    """
    markdown = slides_of(source)
    slides = [(_with_figures(to_html(shown), source), to_html(notes)) for shown, notes in markdown]
    template = jinja2.Template((DECKS / "deck.html.jinja").read_text(encoding="utf-8"))
    files = {"reveal.css", "reveal.js", "notes.js"}
    inside = {
        name.replace(".", "_"): (DECKS / "reveal" / name).read_text(encoding="utf-8")
        for name in files
    }
    inside["own_css"] = (DECKS / "deck.css").read_text(encoding="utf-8")
    title = markdown[0][0].splitlines()[0].lstrip("# ")
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
        jpeg = encode(_part(path, title, source), "jpeg", fit=FIT, quality=80)
        data = base64.b64encode(jpeg).decode("ascii")
        return f'<img src="data:image/jpeg;base64,{data}" alt="{alt}">'

    return FIGURE.sub(embedded, html)


def _part(path: Path, title: str | None, source: Path) -> bytes:
    """A figure as bytes, cut to the rows and columns that its title names."""
    if not title:
        return path.read_bytes()
    found = PART.fullmatch(title)
    numbers = [int(number or 1) for number in found.groups()] if found else [1, 0, 0, 1, 1, 1]
    rows, columns = numbers[:3], numbers[3:]
    if not all(1 <= first <= last <= n for first, last, n in (rows, columns)):
        raise DataError(
            f'{source.name}: the title of {path.name} must read like "rows 1 to 4 of 9" or '
            f'"rows 1 to 4 of 9, columns 1 to 2 of 3", not {title!r}'
        )
    with Image.open(path) as image:
        top, bottom = _share(image.height, *rows)
        left, right = _share(image.width, *columns)
        part, file = image.convert("RGB").crop((left, top, right, bottom)), io.BytesIO()
    part.save(file, "PNG")
    return file.getvalue()


def _share(size: int, first: int, last: int, n: int) -> tuple[int, int]:
    """Pixels at which the parts `first` to `last` of n equal ones begin and end."""
    return size * (first - 1) // n, size * last // n
