"""Headings: their addresses, the list of a page's sections, and what search finds."""

import re
import unicodedata

from bs4 import BeautifulSoup, Tag

HEADINGS = ["h1", "h2", "h3", "h4"]
LONGEST = 3000
"""Letters of a section that search looks at."""


def slug(text: str) -> str:
    """A heading's address, as GitHub makes it.

    Example:
        >>> slug("k-NN probe (one image)")
        'k-nn-probe-one-image'
    """
    kept = "".join(c for c in text.strip().lower() if c in "-_ " or _is_word(c))
    return kept.replace(" ", "-")


def _is_word(letter: str) -> bool:
    return unicodedata.category(letter)[0] in "LN"


def address_headings(soup: BeautifulSoup) -> None:
    """Gives each heading an address of its own, as GitHub does, unless it has one from the site."""
    taken = set()
    for heading in soup.find_all(HEADINGS):
        name = heading.get("id") if heading.find_parent(class_="reference") else None
        base = name or slug(heading.get_text()) or "section"
        name, count = base, 0
        while name in taken:
            count += 1
            name = f"{base}-{count}"
        taken.add(name)
        heading["id"] = name


def close_gaps(soup: BeautifulSoup) -> None:
    """Makes the levels of a page's headings follow each other: h1 and h3 alone become h1 and h2."""
    headings = soup.find_all(HEADINGS)
    used = sorted({heading.name for heading in headings})
    for heading in headings:
        heading.name = HEADINGS[used.index(heading.name)]


def sections(soup: BeautifulSoup) -> list[tuple[str, str]]:
    """Address and text of the second-level headings."""
    return [(h["id"], h.get_text(" ", strip=True)) for h in soup.find_all("h2")]


def findable(url: str, title: str, soup: BeautifulSoup) -> list[dict[str, str]]:
    """What search knows of a page: an entry for each section, with its text without code."""
    entries = [{"url": url, "page": title, "heading": title, "text": ""}]
    for node in soup.descendants:
        if isinstance(node, Tag):
            if node.name in HEADINGS:
                heading = node.get_text(" ", strip=True)
                address = f"{url}#{node['id']}"
                entries.append({"url": address, "page": title, "heading": heading, "text": ""})
        elif not node.find_parent(["script", "style", "summary", *HEADINGS]) and not _is_code(node):
            entries[-1]["text"] += f"{node} "
    for number, entry in enumerate(entries):
        text = re.sub(r"\s+", " ", entry["text"]).strip()
        entries[number] = entry | {"text": text[:LONGEST]}
    return [entry for entry in entries if entry["text"] or entry["url"] != url]


def _is_code(node) -> bool:
    return node.find_parent("pre") is not None
