"""A page of the site, and Markdown and other texts as pages."""

import html
import posixpath
import re
from dataclasses import dataclass, field
from pathlib import Path

from nbconvert.filters import Highlight2HTML, markdown2html

from .repository import ROOT


@dataclass(frozen=True)
class Page:
    """A page before it gets its frame.

    Attributes:
        url: Where it lies on the site, "notebooks/00_quickstart.html".
        title: As the navigation names it.
        group: Heading in the navigation; "" for a page that only links lead to.
        body: HTML between the navigation and the foot.
        source: The file that it shows, relative to the project; links on the page are relative to
            that file. "" for a page that is made by the site: its links are relative to the site.
        style: CSS of this page alone.
        files: Files beside the page, by name.
    """

    url: str
    title: str
    group: str
    body: str
    source: str = ""
    style: str = ""
    files: dict[str, bytes] = field(default_factory=dict)


def prose(text: str) -> str:
    """Markdown with formulas as HTML."""
    return f'<div class="prose">{markdown2html(text)}</div>'


def highlighted(code: str, language: str) -> str:
    """Code as HTML; the colours are those of the site's style sheet."""
    return Highlight2HTML()(code, language)


def first_heading(text: str) -> str:
    """The first heading of a Markdown text, without marks."""
    return re.search(r"^#+ (.*)$", text, re.M).group(1).replace("`", "")


def markdown_page(source: str, url: str, group: str, title: str = "") -> Page:
    """A Markdown file of the project as a page.

    Args:
        source: The file, relative to the project.
        url: Of the page.
        group: In the navigation.
        title: In the navigation; "" takes the first heading.
    """
    text = (ROOT / source).read_text(encoding="utf-8")
    return Page(url, title or first_heading(text), group, prose(text), source)


def text_page(source: str, language: str) -> Page:
    """A text file of the project, for example a list in YAML, as a page that links lead to."""
    path = Path(source)
    shown = highlighted((ROOT / path).read_text(encoding="utf-8"), language)
    body = f"<h1>{html.escape(path.name)}</h1>{shown}"
    return Page(f"files/{path.name}.html", path.name, "", body, source)


def adopted(document: str, base: str) -> tuple[str, str]:
    """Takes an HTML file that stands for itself apart, to be put into the site's frame.

    Args:
        document: With one `<style>`, its content after it.
        base: Rules for this selector are left out, because the frame has its own.

    Returns:
        Its CSS and its content.
    """
    _, style, content = re.split(r"<style>(.*?)</style>", document, maxsplit=1, flags=re.S)
    kept = re.sub(rf"^{base} \{{[^}}]*\}}\n", "", style.lstrip(), flags=re.M)
    return kept, content.replace("</html>", "").strip()


def relative(url: str, start: str) -> str:
    """A page's address as another page writes it.

    Example:
        >>> relative("api/data.html", "notebooks/00_quickstart.html")
        '../api/data.html'
    """
    return posixpath.relpath(url, posixpath.dirname(start) or ".")
