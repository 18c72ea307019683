"""Builds the site: all pages in one frame, with navigation, search and what they need."""

import json
import shutil
import subprocess
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from bs4 import BeautifulSoup
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ldr_lib import DataError

from .course import course_pages
from .explorers import explorer_pages
from .headings import address_headings, close_gaps, findable, sections
from .links import Links, check_fragments
from .notebooks import image_descriptions, notebook_page
from .page import Page, adopted, markdown_page, relative, text_page
from .reference import reference_pages
from .repository import HERE, ROOT, owner_and_name

BUNDLED = {
    "mathjax/es5/tex-svg.js": "assets/mathjax.js",
    "minisearch/dist/umd/index.js": "assets/minisearch.js",
}
"""Files of npm packages that the pages use, and where they lie on the site."""
MARK = ".site-of-ldr_lib"
"""A file that says that a folder holds a site, so that it may be replaced."""
CARDS = ("vessel", "disc", "chest", "encoders", "representations")
TEXTS = {"notebooks/claims.yaml": "yaml", "notebooks/runs.yaml": "yaml"}
TEXTS |= {"CITATION.cff": "yaml", "LICENSE": "text"}


def all_pages(repository: str) -> list[Page]:
    """All pages in the order of the navigation."""
    notebooks = sorted((ROOT / "notebooks").glob("0*.ipynb"))
    cards = [
        markdown_page(f"ldr_lib/weights/{name}.md", f"weights/{name}.html", "Weights")
        for name in CARDS
    ]
    return [
        markdown_page("README.md", "index.html", "Start", "About the kit"),
        markdown_page("notebooks/GLOSSARY.md", "glossary.html", "Start", "Glossary"),
        *(notebook_page(path, repository) for path in notebooks),
        *explorer_pages(),
        markdown_page("figures/README.md", "results/tables.html", "Results", "All tables"),
        _ledger_page(),
        *course_pages(),
        *reference_pages(),
        *cards,
        *(text_page(source, language) for source, language in TEXTS.items()),
    ]


def _ledger_page() -> Page:
    """The ledger's report in the site's frame."""
    source = "figures/06_reproduction_report/report.html"
    _, content = adopted((ROOT / source).read_text(encoding="utf-8"), "body")
    body = f'<div class="ledger">{content}</div>'
    return Page("results/ledger.html", "Ledger of claims", "Results", body, source)


def build(folder: Path, repository: str) -> Path:
    """Writes the site.

    Args:
        folder: Where it is written; an older site there is replaced.
        repository: Address of the public repository; "" where it is not known.

    Returns:
        The first page.

    Raises:
        DataError: The folder holds something else, a link leads nowhere, a figure is not described,
            or npm is missing.
        ValueError: The address is none of GitHub.
    """
    if repository:
        owner_and_name(repository)
    _refuse_other_files(folder)
    bundled = browser_packages()
    pages = all_pages(repository)
    links = Links(pages, repository)
    documents = {page.url: _document(page, links) for page in pages}
    check_fragments(documents)
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined
    )
    frame = environment.get_template("page.html.jinja2")
    framed = {}
    for number, page in enumerate(pages):
        framed[page.url] = frame.render(
            page=page,
            body=str(documents[page.url]),
            groups=_navigation(pages, page),
            sections=sections(documents[page.url]),
            before=_neighbour(pages, number - 1, page),
            after=_neighbour(pages, number + 1, page),
            root=relative(".", page.url),
            maths="$" in documents[page.url].get_text(),
        )
    shutil.rmtree(folder, ignore_errors=True)
    _write(folder / MARK, b"")
    _write(folder / ".nojekyll", b"")
    for url, text in framed.items():
        _write(folder / url, text.encode())
    for page in pages:
        for name, content in page.files.items():
            _write((folder / page.url).parent / name, content)
    for place, source in links.pictures.items():
        _write(folder / place, (ROOT / source).read_bytes())
    for source, place in BUNDLED.items():
        _write(folder / place, (bundled / source).read_bytes())
    for path in (HERE / "assets").iterdir():
        _write(folder / "assets" / path.name, path.read_bytes())
    known = [
        entry for page in pages for entry in findable(page.url, page.title, documents[page.url])
    ]
    _write(folder / "assets/index.js", f"searchable({json.dumps(known)});".encode())
    return folder / "index.html"


def _document(page: Page, links: Links) -> BeautifulSoup:
    """A page's content with the links, addresses and descriptions of the site."""
    soup = BeautifulSoup(page.body, "html.parser")
    for link in soup.find_all("a", class_="anchor-link"):
        link.decompose()
    links.rewrite(page, soup)
    close_gaps(soup)
    address_headings(soup)
    image_descriptions(soup)
    for cell in soup.find_all("th"):
        cell.name = "th" if cell.get_text(strip=True) else "td"  # an empty one heads nothing
    for table in soup.find_all("table"):
        table.wrap(soup.new_tag("div", attrs={"class": "wide", "tabindex": "0", "role": "group"}))
        table.parent["aria-label"] = "table"
    for code in soup.find_all("pre"):
        code["tabindex"] = "0"
    return soup


def _navigation(pages: Iterable[Page], here: Page) -> list[tuple[str, list[dict]]]:
    """Groups of links for the navigation of one page."""
    listed = [page for page in pages if page.group]
    return [
        (
            group,
            [
                {"url": relative(p.url, here.url), "title": p.title, "here": p is here}
                for p in members
            ],
        )
        for group, members in groupby(listed, lambda page: page.group)
    ]


def _neighbour(pages: list[Page], number: int, page: Page) -> dict | None:
    """The page before or after, where it belongs to the same group."""
    if not page.group or not 0 <= number < len(pages) or pages[number].group != page.group:
        return None
    return {"url": relative(pages[number].url, page.url), "title": pages[number].title}


def browser_packages() -> Path:
    """Folder of the npm packages; they are installed when missing or out of date.

    Raises:
        DataError: npm is missing or failed.
    """
    folder, lock = HERE / "node_modules", HERE / "package-lock.json"
    installed = folder / ".package-lock.json"
    if installed.exists() and installed.stat().st_mtime >= lock.stat().st_mtime:
        return folder
    npm = shutil.which("npm")
    if npm is None:
        raise DataError(
            "npm was not found: it fetches MathJax and the search once. Install Node.js, or copy "
            f"the packages of {lock.name} to {folder}"
        )
    done = subprocess.run(
        [npm, "ci", "--no-audit", "--no-fund"],
        cwd=HERE,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
    )
    if done.returncode:
        raise DataError(f"npm could not install the packages of {lock}: {done.stderr.strip()}")
    installed.touch()
    return folder


def _refuse_other_files(folder: Path) -> None:
    """Makes sure that nothing but an older site is replaced."""
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder} is a file: name a folder for the site")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MARK).exists():
        raise DataError(f"{folder} holds other files: name an empty or a new folder for the site")


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
