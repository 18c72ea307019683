"""The site on disk: pages, links, alternative texts, and what must not be on it."""

import json
import posixpath
import re
from urllib.parse import unquote, urlsplit

import nbformat
import pytest
from bs4 import BeautifulSoup
from conftest import ROOT

from ldr_lib import DataError
from website import links, notebooks, reference
from website.build import CARDS, build
from website.course import COURSE, students_version
from website.headings import close_gaps, slug
from website.page import Page

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def documents(site):
    """All pages by address."""
    return {
        path.relative_to(site).as_posix(): BeautifulSoup(path.read_bytes(), "html.parser")
        for path in site.rglob("*.html")
    }


def test_every_part_of_the_kit_has_its_page(documents):
    stems = {path.stem for path in (ROOT / "notebooks").glob("0*.ipynb")}
    assignments = {path.stem for path in COURSE.glob("source/*/*.ipynb")}
    wanted = {f"notebooks/{stem}.html" for stem in stems}
    wanted |= {f"course/{stem}.html" for stem in assignments}
    wanted |= {"index.html", "glossary.html", "explorer/fundus.html", "explorer/chest.html"}
    wanted |= {"explorer/both.html", "explorer/embedding_only.html"}
    wanted |= {"results/tables.html", "results/ledger.html", "api/ldr_lib.html", "api/data.html"}
    assert wanted <= documents.keys()
    navigation = documents["api/data.html"].nav
    shown = {posixpath.normpath(f"api/{link['href']}") for link in navigation.find_all("a")}
    assert wanted <= shown


def test_every_card_and_every_room_of_the_library_has_its_page():
    library = ROOT / "ldr_lib"
    assert sorted(CARDS) == sorted(path.stem for path in library.glob("weights/*.md"))
    rooms = {path.parent.name for path in library.glob("*/__init__.py")} - {"commands"}
    assert reference.TITLES.keys() == rooms | {""}


def test_links_lead_somewhere(site, documents):
    known = {url: {tag["id"] for tag in page.find_all(id=True)} for url, page in documents.items()}
    checked, lost = 0, []
    for url, page in documents.items():
        for tag in page.find_all(["a", "img", "script", "link"]):
            address = tag.get("href") or tag.get("src")
            parts = urlsplit(address or "")
            if not address or parts.scheme in ("https", "data"):
                continue
            checked += 1
            target = posixpath.normpath(posixpath.join(posixpath.dirname(url), unquote(parts.path)))
            target = target if parts.path else url
            fragment = unquote(parts.fragment)
            there = (site / target).is_file() and (not fragment or fragment in known[target])
            lost += [] if there else [f"{url}: {address}"]
    assert checked > 1000 and not lost, lost


def test_pages_load_nothing_from_a_network(documents):
    for url, page in documents.items():
        for tag in page.find_all(["img", "script", "link", "iframe"]):
            assert not re.match("(https?:)?//", tag.get("src") or tag.get("href") or ""), url


def test_every_figure_is_described(documents):
    described = 0
    for url, page in documents.items():
        for picture in page.main.find_all("img"):
            text = picture.get("alt", "")
            assert len(text.split()) >= 6 and ".png" not in text, f"{url}: {text!r}"
            described += 1
    assert described > 45


def test_descriptions_are_of_figures_that_exist():
    figures = {f"{path.parent.name}/{path.stem}" for path in (ROOT / "figures").glob("0*/*.png")}
    widgets = ("00b_from_simclr_to_local_discrimination", "03_embedding_visualization")
    widgets += ("04c_real_images_and_limits", "07_one_shot_landmarks")
    figures |= {f"{name}/explorer" for name in widgets}
    figures |= {"03_embedding_visualization/explorer_2"}
    assert notebooks.alternatives().keys() == figures


NOTEBOOKS = sorted((ROOT / "notebooks").glob("0*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_figure_of_a_notebook_has_a_file_of_its_own(path):
    cells = nbformat.read(path, 4).cells
    data = [output.get("data", {}) for cell in cells for output in cell.get("outputs", [])]
    shown = [one for one in data if any(kind in one for kind in notebooks.IMAGES)]
    assert len(notebooks.notebook_page(path, "").files) == len(shown)


def test_a_figure_without_description_is_named():
    with pytest.raises(DataError, match="00_quickstart/new has no alternative text"):
        notebooks.alternative("00_quickstart/new")


def test_students_see_no_solution(site, documents):
    """No line of a model answer, a hidden test or a marking scheme is on any page."""
    pages = [documents[f"course/{path.stem}.html"].get_text() for path in _assignments()]
    searched = [entry["text"] for entry in searchable(site) if entry["url"].startswith("course/")]
    hidden = set()
    for path in _assignments():
        left = nbformat.writes(students_version(path))
        assert "### BEGIN" not in left
        for cell in nbformat.read(path, 4).cells:
            for block in re.findall(r"### BEGIN \w+.*?\n(.*?)### END", cell.source, re.S):
                hidden |= {line.strip() for line in block.splitlines() if len(line.strip()) > 25}
        hidden = {line for line in hidden if json.dumps(line)[1:-1] not in left}
    assert len(hidden) > 200
    for line in hidden:
        assert not any(line in text for text in (*pages, *searched)), line


def searchable(site):
    """What search knows."""
    text = (site / "assets/index.js").read_text(encoding="utf-8")
    return json.loads(text.removeprefix("searchable(").removesuffix(");"))


def _assignments():
    return sorted(COURSE.glob("source/*/*.ipynb"))


def test_search_knows_all_pages(site, documents):
    entries = searchable(site)
    addresses = [entry["url"] for entry in entries]
    assert len(addresses) == len(set(addresses))
    assert {address.partition("#")[0] for address in addresses} == documents.keys()
    train = next(entry for entry in entries if entry["url"].endswith("#ldr_lib.training.train"))
    assert train["heading"] == "train"


def test_the_cell_for_colab_is_not_shown_and_its_badge_is(documents):
    page = documents["notebooks/00_quickstart.html"]
    assert "find_spec" not in page.main.get_text()
    badge = page.main.find("a", class_="button")
    assert badge.get_text() == "Open in Colab"
    assert badge["href"].endswith("/github/someone/eyes/blob/main/notebooks/00_quickstart.ipynb")


def test_without_an_address_no_badge_and_no_link_is_shown():
    page = notebooks.notebook_page(ROOT / "notebooks/04a_guided_vessels.ipynb", "")
    assert "Open in Colab" not in page.body and "colab.research" not in page.body
    soup = BeautifulSoup(page.body, "html.parser")
    links.Links([page], "").rewrite(page, soup)
    assert "(in the kit: notebooks/course/students/sliders.ipynb)" in soup.get_text()
    assert not soup.find_all("a", href=re.compile("sliders|^$"))


def test_an_address_that_is_none_is_refused_before_anything_is_built(tmp_path):
    with pytest.raises(ValueError, match="OWNER/NAME"):
        build(tmp_path / "site", "https://github.com/-account-")
    assert not (tmp_path / "site").exists()


@pytest.mark.parametrize(
    "text, found", [("k-NN probe", "k-nn-probe"), ("bootstrap, paired", "bootstrap-paired")]
)
def test_headings_have_the_addresses_of_github(text, found):
    assert slug(text) == found


def test_levels_of_headings_follow_each_other():
    page = BeautifulSoup("<h1>a</h1><h3>b</h3><h4>c</h4><h3>d</h3>", "html.parser")
    close_gaps(page)
    assert [heading.name for heading in page.find_all()] == ["h1", "h2", "h3", "h2"]


def test_a_link_to_nothing_is_named():
    page = Page("a.html", "A", "", '<a href="nothing.md">x</a>', "README.md")
    with pytest.raises(DataError, match="README.md links to nothing.md, which does not exist"):
        links.Links([page], "https://github.com/a/b").rewrite(
            page, BeautifulSoup(page.body, "html.parser")
        )


def test_a_link_to_a_missing_heading_is_named():
    pages = {"a.html": BeautifulSoup('<a href="#b">x</a>', "html.parser")}
    with pytest.raises(DataError, match="a.html links to #b"):
        links.check_fragments(pages)


def test_a_folder_with_other_files_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(DataError, match="holds other files"):
        build(tmp_path, "https://github.com/a/b")
    assert (tmp_path / "thesis.txt").read_text(encoding="utf-8") == "mine"
