"""Which files of a folder are images: what is passed over, what is left out, and saying so."""

import os
from collections import Counter
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from .errors import DataError, printable
from .read import IMAGE_SUFFIXES, looks_like_image

SYSTEM_FOLDERS = {"__macosx", "@eadir", "$recycle.bin", "system volume information"}
THUMBNAILS = {"thumbs", "thumbnails", "thumbnail", "_thumbs", "_thumbnails"}
SYSTEM_FILES = {"thumbs.db", "desktop.ini", "ehthumbs.db", "icon\r"}


OTHERS, OTHERS_AN_IMAGE = 10_000, 5
"""So many files and folders that are no images, and so many more for each image, may lie in a
folder; one that holds more is not a folder of images.
"""
LOOKED_INTO, FEW = 200, 0.05
"""So many files of unknown suffix, evenly from all, are looked into; where no more than this share
of them are images, the rest are taken for others.
"""


@dataclass
class Listing:
    """What a folder holds.

    Attributes:
        images: Image files, sorted by path.
        left_out: What every other file is, by kind, with its count.
        unusual: Images that were known by their content only, not by their suffix.
        unlisted: Folders that may not be read.
    """

    images: list[Path] = field(default_factory=list)
    left_out: Counter = field(default_factory=Counter)
    unusual: list[Path] = field(default_factory=list)
    unlisted: list[Path] = field(default_factory=list)

    def doubts(self) -> list[str]:
        """What was left out or guessed, one sentence each."""
        found = []
        if self.left_out:
            counted = ", ".join(f"{n} {kind}" for kind, n in self.left_out.most_common(6))
            found.append(f"left out: {counted}")
        if self.unusual:
            found.append(
                f"{len(self.unusual)} without an image's suffix were read by their content, "
                f"for example {printable(self.unusual[0].name)}"
            )
        found += [f"{printable(folder)} may not be listed: left out" for folder in self.unlisted]
        return found


def list_folder(root: Path | str, deep: bool = True) -> Listing:
    """Finds all image files of a folder.

    Hidden files and folders, thumbnails, and what macOS, Windows and file servers add are passed
    over. Links are followed, each folder once. A file without a known suffix counts as an image if
    its content begins like one.

    Args:
        root: The folder.
        deep: Also its subfolders.

    Raises:
        DataError: The folder itself may not be listed; or it holds so much else, more than 10,000
            files and folders and 5 for each image, that it is not a folder of images.
    """
    root, listing = Path(root), Listing()
    unknown = _walk(root, listing, deep)
    if root in listing.unlisted:
        raise DataError(
            f"{printable(root)} may not be listed. Change its permissions (chmod u+rx)."
        )
    for path in unknown:
        if looks_like_image(path):
            listing.images.append(path)
            listing.unusual.append(path)
        else:
            listing.left_out[kind_of(path) or "without suffix"] += 1
    listing.images.sort()
    return listing


def _walk(root: Path, listing: Listing, deep: bool) -> list[Path]:
    """Sorts all files by their names; returns those whose name does not tell what they are."""
    folders, visited, unknown, trusted = [root], set(), [], False
    while folders:
        folder = folders.pop()
        entries = _entries(folder, listing, visited)
        below = [folder / entry.name for entry in entries if _is_folder(entry)]
        for entry in entries:
            if not _is_folder(entry):
                _sort_in(folder / entry.name, entry, listing, unknown)
        if deep:
            folders += [path for path in reversed(below) if not _is_passed_over(path.name)]
        others = len(visited) + len(unknown) + listing.left_out.total()
        if not trusted and others > OTHERS + OTHERS_AN_IMAGE * len(listing.images):
            trusted = _are_images(unknown)
            if not trusted:
                raise DataError(
                    f"{printable(root)} is not a folder of images: up to {printable(folder)} it "
                    f"holds {others} other files and folders and {len(listing.images)} images, and "
                    f"{OTHERS} others, {OTHERS_AN_IMAGE} more for each image, are looked through. "
                    "Choose the folder of the images alone"
                )
    return unknown


def _entries(folder: Path, listing: Listing, visited: set) -> list[os.DirEntry]:
    """What lies in a folder that has not been visited, by name, without what systems add."""
    try:
        state = folder.stat()
        if (state.st_dev, state.st_ino) in visited:
            return []
        visited.add((state.st_dev, state.st_ino))
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError:  # no permission, or too many links
        listing.unlisted.append(folder)
        return []
    return [
        entry
        for entry in entries
        if not entry.name.startswith(".") and entry.name.lower() not in SYSTEM_FILES
    ]


def _is_passed_over(name: str) -> bool:
    return name.lower() in SYSTEM_FOLDERS | THUMBNAILS


def _are_images(paths: list[Path]) -> bool:
    """Whether more than a few of the files are images, as some of them tell."""
    looked_into = paths[:: max(1, len(paths) // LOOKED_INTO)]
    return sum(map(looks_like_image, looked_into)) > FEW * len(looked_into)


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _sort_in(path: Path, entry: os.DirEntry, listing: Listing, unknown: list[Path]) -> None:
    try:
        is_file = entry.is_file()
    except OSError:
        is_file = False
    if not is_file:
        broken = entry.is_symlink() and not os.path.exists(path)
        listing.left_out["broken links" if broken else "pipes or devices"] += 1
    elif kind_of(path) in IMAGE_SUFFIXES:
        listing.images.append(path)
    else:
        unknown.append(path)


def kind_of(path: Path) -> str:
    """The suffix in small letters, without the .gz of a packed file."""
    name = path.name.lower()
    return Path(name.removesuffix(".gz") if name.endswith(".gz") else name).suffix


def stem_of(path: Path) -> str:
    """The name without its suffix, also without .gz."""
    is_packed = path.suffix.lower() == ".gz" and Path(path.stem).suffix
    return Path(path.stem).stem if is_packed else path.stem


def images_in(folder: Path, pattern: str = "*") -> list[Path]:
    """Image files of a folder that match a pattern, sorted; an empty list without such a folder.

    Args:
        folder: Where to look.
        pattern: As for `fnmatch`, without regard to case, part by part of the path below the
            folder; "**/*" takes all files below.

    Taught in notebook 01, section 9.
    """
    if pattern == "**/*":
        return list_folder(folder).images
    parts = pattern.lower().split("/")
    if "**" in pattern:
        base, _, rest = pattern.partition("/**/")
        nested = [path for found in _folders(folder, base) for path in list_folder(found).images]
        return sorted(path for path in nested if fnmatch(path.name.lower(), rest.lower()))
    found = [
        path
        for place in _folders(folder, "/".join(parts[:-1]))
        for path in list_folder(place, deep=False).images
    ]
    return sorted(path for path in found if fnmatch(path.name.lower(), parts[-1]))


def _folders(folder: Path, pattern: str) -> list[Path]:
    """Folders below one that match a pattern of parts."""
    found = [folder] if folder.is_dir() else []
    for part in filter(None, pattern.split("/")):
        found = [
            path
            for place in found
            for path in sorted(place.iterdir())
            if path.is_dir() and fnmatch(path.name.lower(), part.lower()) and path.name[0] != "."
        ]
    return found


def below(root: Path, *names: str) -> Path:
    """A folder below another, found by the words of its name: numbering, case, spaces and
    punctuation do not count.

    Args:
        root: Where to look.
        names: One name for each level.

    Returns:
        The folder; where there is none, the path as it was asked for.

    Example:
        >>> below(Path("/nowhere"), "1. Original Images").name
        '1. Original Images'
    """
    for name in names:
        exact = root / name
        similar = [] if exact.is_dir() or not root.is_dir() else sorted(root.iterdir())
        similar = [path for path in similar if path.is_dir() and _words(path.name) == _words(name)]
        root = similar[0] if similar else exact
    return root


def _words(name: str) -> str:
    """The letters of a folder's name, without its number and plural endings."""
    name = name.replace("%20", " ")
    first, _, rest = name.partition(".")
    name = rest if rest and len(first.strip()) <= 2 else name
    letters = "".join(c for c in name.lower() if c.isalnum())
    return letters.lstrip("0123456789").removesuffix("s")


def contents(folder: Path, most: int = 8) -> str:
    """What a folder holds, in a few words, for a message."""
    try:
        names = sorted(
            entry.name + ("/" if _is_folder(entry) else "")
            for entry in os.scandir(folder)
            if not entry.name.startswith(".")
        )
    except OSError as error:
        return f"nothing that can be listed ({error.strerror})"
    if not names:
        return "nothing"
    more = f" and {len(names) - most} more" if len(names) > most else ""
    packed = any(name.lower().endswith((".zip", ".tar", ".rar", ".7z", ".tgz")) for name in names)
    hint = "; unpack the archives first" if packed else ""
    return ", ".join(map(printable, names[:most])) + more + hint
