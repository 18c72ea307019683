"""Links of a page: from places in the project to places on the site; none may lead nowhere."""

import posixpath
import re
from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup, Tag

from ldr_lib import DataError

from .page import Page, relative
from .repository import ROOT

PICTURES = (".png", ".jpg", ".jpeg", ".svg", ".gif")


class Links:
    """Where links of the project's files lead on the site.

    Args:
        pages: All pages.
        repository: Address of the public repository, for files that are no page; without one,
            links to them become their places in the kit.

    Attributes:
        pictures: Files of the project that pages show, by their place on the site.
    """

    def __init__(self, pages: Iterable[Page], repository: str):
        self.places = {page.source: page.url for page in pages if page.source}
        self.repository = repository.rstrip("/")
        self.pictures: dict[str, str] = {}

    def rewrite(self, page: Page, soup: BeautifulSoup) -> None:
        """Turns the links and pictures of a page into those of the site.

        Raises:
            DataError: A link leads to a file that the project does not have.
        """
        for tag in soup.find_all(["a", "img"]):
            name = "href" if tag.name == "a" else "src"
            address = tag.get(name, "")
            if tag.name == "img" and re.match("https?:", address):
                _as_words(tag)
            elif page.source and not _is_elsewhere(address, page):
                target = _target(address, page)
                tag[name] = self._resolved(target, urlsplit(address).fragment, page)
                if not tag[name]:
                    _as_place(tag, target)

    def _resolved(self, target: str, fragment: str, page: Page) -> str:
        """Where a file of the project is found; "" where no address is known."""
        if target in self.places:
            place = relative(self.places[target], page.url)
            return f"{place}#{fragment}" if fragment else place
        if target.endswith(PICTURES):
            self.pictures[f"files/{target}"] = target
            return relative(f"files/{target}", page.url)
        kind = "tree" if (ROOT / target).is_dir() else "blob"
        return f"{self.repository}/{kind}/main/{target}" if self.repository else ""


def _target(address: str, page: Page) -> str:
    """The file of the project to which a page's link leads."""
    folder = posixpath.dirname(page.source)
    target = posixpath.normpath(posixpath.join(folder, unquote(urlsplit(address).path)))
    if target.startswith("..") or not (ROOT / target).exists():
        raise DataError(f"{page.source} links to {address}, which does not exist: mend the link")
    return target


def _is_elsewhere(address: str, page: Page) -> bool:
    """Whether a link leads to the web, to the same page or to a file beside it."""
    parts = urlsplit(address)
    return bool(parts.scheme or parts.netloc) or not parts.path or parts.path in page.files


def _as_words(picture: Tag) -> None:
    """A picture from the web gives way to its text, so that a page asks nothing of a network."""
    if picture.parent.name == "a":
        picture.parent["class"] = "button"
    picture.replace_with(picture.get("alt", ""))


def _as_place(link: Tag, target: str) -> None:
    """A link that leads nowhere here gives way to its text and its place in the kit."""
    link.append(f" (in the kit: {target})")
    link.unwrap()


def check_fragments(documents: dict[str, BeautifulSoup]) -> None:
    """Makes sure that links to a place on a page find it.

    Args:
        documents: All pages by address.

    Raises:
        DataError: Some do not; all of them are named.
    """
    known = {url: {tag["id"] for tag in soup.find_all(id=True)} for url, soup in documents.items()}
    lost = []
    for url, soup in documents.items():
        for link in soup.find_all("a", href=True):
            parts = urlsplit(link["href"])
            if not parts.fragment or parts.scheme:
                continue
            path = posixpath.join(posixpath.dirname(url), unquote(parts.path))
            target = posixpath.normpath(path) if parts.path else url
            if unquote(parts.fragment) not in known.get(target, ()):
                lost.append(f"{url} links to {link['href']}")
    if lost:
        raise DataError(f"these links lead to no heading: {'; '.join(lost)}")
