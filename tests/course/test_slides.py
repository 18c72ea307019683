"""Slides show existing figures, say what the notebooks say, and need no network."""

import io
import json
import re
import sys

import pytest
from conftest import ROOT
from PIL import Image

from ldr_lib.data.errors import DataError

sys.path.insert(0, str(ROOT / "notebooks" / "course" / "material"))

import decks  # noqa: E402
from decks import DECKS, FIGURE, PART, slides_of, write_deck  # noqa: E402
from markup import to_html  # noqa: E402

SOURCES = sorted(DECKS.glob("*.md"))
each = pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)


def test_each_notebook_has_a_deck():
    notebooks = {path.name.split("_")[0] for path in (ROOT / "notebooks").glob("0*.ipynb")}
    assert {source.stem for source in SOURCES} == notebooks


@each
def test_slides_show_figures_of_the_notebooks(source):
    slides = slides_of(source)
    figures = [found for shown, _ in slides for found in FIGURE.finditer(to_html(shown))]
    assert len(slides) >= 7 and len(figures) >= 3
    for path, alt, title in (found.groups() for found in figures):
        assert (source.parent / path).resolve().is_relative_to(ROOT / "figures")
        assert (source.parent / path).is_file() and alt and (title is None or PART.fullmatch(title))
    assert sum(bool(notes) for _, notes in slides) > len(slides) / 2


def said_in(notebook):
    """All that a notebook writes and prints, and all numbers of its record."""
    content = json.loads(notebook.read_text(encoding="utf-8"))
    texts = ["".join(cell["source"]) for cell in content["cells"]]
    outputs = [output for cell in content["cells"] for output in cell.get("outputs", [])]
    for output in outputs:
        data = output.get("data", {})
        for part in (output.get("text", []), data.get("text/plain", []), data.get("text/html", [])):
            texts.append("".join(part))
    record = ROOT / "figures" / notebook.stem / "record.json"
    return "\n".join([*texts, record.read_text(encoding="utf-8")])


def numbers(text):
    return [float(word) for word in re.findall(r"\d+(?:\.\d+)?", text.replace("−", "-"))]


def unknown_numbers(text, number):
    """Numbers of a text that the notebook of this number neither writes nor finds."""
    (notebook,) = (ROOT / "notebooks").glob(f"{number}_*.ipynb")
    known = numbers(said_in(notebook))
    text = re.sub(r"\$[^$]*\$|!\[.*?\)|```.*?```", "", text, flags=re.S)
    quoted = re.findall(r"\d+\.\d+", text) + re.findall(r"(\d+) %", text)
    return [
        word
        for word in quoted
        if not any(f"{n:.{len(word.partition('.')[2])}f}" == word for n in known)
        and not any(f"{100 * n:.{len(word.partition('.')[2])}f}" == word for n in known)
    ]


@each
def test_slides_quote_numbers_of_their_notebook(source):
    assert not unknown_numbers(source.read_text(encoding="utf-8"), source.stem)


@each
def test_guide_quotes_numbers_of_each_notebook(source):
    guide = (ROOT / "notebooks/course/instructor/GUIDE.md").read_text(encoding="utf-8")
    (section,) = [
        part for part in re.split(r"^#+ ", guide, flags=re.M) if part.startswith(source.stem + " ")
    ]
    assert not unknown_numbers(section, source.stem)


@each
def test_decks_are_one_file_that_needs_no_network(source, tmp_path):
    whole = write_deck(source, tmp_path / "deck.html").read_text(encoding="utf-8")
    page = re.sub(r"<script>.*?</script>", "", whole, flags=re.S)  # a browser test runs those
    outside = re.findall(r"""(?:src|href)=["'](?!data:|#)([^"']+)""", page)
    assert not [link for link in outside if link.startswith(("http", "//", ".."))]
    assert not re.search(r"@import|url\((?!['\"]?(?:data:|#))", page)
    assert len(whole) < 6_000_000
    assert page.count("<section>") == len(slides_of(source))


def test_licence_of_the_slides_program_is_kept():
    licence = (DECKS / "reveal" / "LICENSE").read_text(encoding="utf-8")
    assert "Hakim El Hattab" in licence and "Permission is hereby granted" in licence


def test_formulas_become_mathml_and_code_stays():
    html = to_html("A share $\\lambda$, `$x$` and\n\n$$\\frac{a}{b}$$\n\n```\ncost $5 or $6\n```")
    assert html.count("<math") == 2 and 'display="block"' in html and "<mfrac>" in html
    assert "<code>$x$</code>" in html and "cost $5 or $6" in html.replace("&#36;", "$")


def deck(tmp_path, text):
    source = tmp_path / "deck.md"
    source.write_text(text, encoding="utf-8")
    return write_deck(source, tmp_path / "deck.html")


def test_a_missing_figure_is_named(tmp_path):
    with pytest.raises(DataError, match="deck.md shows nothing.png, which does not exist"):
        deck(tmp_path, "# A\n\n![x](nothing.png)")


def test_values_come_from_the_notebooks_record(tmp_path, monkeypatch):
    record = tmp_path / "figures" / "deck_of_a_test" / "record.json"
    record.parent.mkdir(parents=True)
    record.write_text(json.dumps({"metrics": {"dice": {"right prior": 0.8751}}}), encoding="utf-8")
    monkeypatch.setattr(decks, "FIGURES", tmp_path / "figures")
    page = deck(tmp_path, '# A\n\nDice [[ dice["right prior"] | digits(2) ]], $\\frac{{a}}{b}$')
    assert "Dice 0.88, <math" in page.read_text(encoding="utf-8")
    with pytest.raises(DataError, match="deck.md: a value of the record cannot be shown.*wrong"):
        deck(tmp_path, '# A\n\n[[ dice["wrong prior"] | digits(2) ]]')


@pytest.mark.parametrize(
    "title, size",
    [("rows 2 to 3 of 4", (20, 8)), ("rows 1 to 1 of 2, columns 1 to 3 of 4", (15, 8))],
)
def test_a_part_of_a_figure_is_shown(tmp_path, save, photograph, title, size):
    image = photograph()[:16, :20]
    save(tmp_path / "x.png", image)
    assert image.shape[:2] == (16, 20)
    with Image.open(io.BytesIO(decks._part(tmp_path / "x.png", title, tmp_path / "a"))) as part:
        assert part.size == size


@pytest.mark.parametrize(
    "title",
    ["rows 3 to 2 of 4", "rows 1 to 5 of 4", "top half", "rows 1 to 2 of 2, columns 0 to 1 of 2"],
)
def test_rows_that_a_figure_has_not_are_named(tmp_path, title, save, photograph):
    save(tmp_path / "x.png", photograph())
    with pytest.raises(DataError, match='must read like "rows 1 to 4 of 9"'):
        deck(tmp_path, f'# A\n\n![x](x.png "{title}")')


def test_notes_are_for_the_speaker(tmp_path):
    text = deck(tmp_path, "# A\n\nShown.\n\nNotes: Said.\n\n---\n\n## B").read_text(
        encoding="utf-8"
    )
    notes = re.search(r'<aside class="notes">(.*?)</aside>', text, re.S).group(1)
    assert "Said." in notes and "Shown." not in notes and text.count("<aside") == 1
