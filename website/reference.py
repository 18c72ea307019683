"""The reference of `ldr_lib` from its docstrings: a page for the method and one for each room."""

import ast
import functools
import html
import importlib
import inspect
import re

import pdoc.doc
import pdoc.docstrings

from .page import Page, highlighted, prose, relative
from .repository import ROOT

PACKAGE = ROOT / "ldr_lib"
TITLES = {
    "": "ldr_lib: the method",
    "data": "data: images and views",
    "explore": "explore: figures",
}
TITLES |= {"guided": "guided: priors", "transfer": "transfer: few labels"}
TITLES |= {"runs": "runs: records, ledger", "landmarks": "landmarks: one point"}
TITLES |= {"teaching": "teaching: the course"}
"""Rooms of the library, in the order of the notebooks."""


def reference_pages() -> list[Page]:
    """The reference, one page for each room."""
    rooms = {room: {name: _public(name) for name in modules_of(room)} for room in TITLES}
    places = {
        member.name: f"{url_of(room)}#{member.fullname}"
        for room, modules in rooms.items()
        for module, members in modules.items()
        for member in members
        if member.name in exported().get(module, ())
    }
    return [_room_page(room, modules, places) for room, modules in rooms.items()]


def url_of(room: str) -> str:
    """Address of a room's page."""
    return f"api/{room or 'ldr_lib'}.html"


def modules_of(room: str) -> list[str]:
    """Full names of the modules of a room, the room itself first."""
    found = (PACKAGE / room).rglob("*.py") if room else PACKAGE.glob("*.py")
    names = []
    for path in found:
        parts = path.relative_to(ROOT).with_suffix("").parts
        whole = ".".join(parts).removesuffix(".__init__")
        names += [] if "__" in whole else [whole]
    return sorted(names)


@functools.cache
def exported() -> dict[str, dict[str, str]]:
    """Names that a room hands out, by the module that defines them: name to its room."""
    found = {}
    for stub in (PACKAGE / "__init__.pyi", *sorted(PACKAGE.glob("*/__init__.pyi"))):
        room = ".".join(stub.parent.relative_to(ROOT).parts)
        for node in ast.parse(stub.read_text(encoding="utf-8")).body:
            module = f"{room}.{node.module}" if node.module else room
            for alias in node.names:
                found.setdefault(module, {}).setdefault(alias.name, room)
    return found


def _public(module: str) -> list:
    """Functions and classes that a module defines and documents, in its order. A room that hands
    out names of its modules defines none.
    """
    documented = pdoc.doc.Module(importlib.import_module(module))
    if hasattr(documented.obj, "__all__"):
        return []
    return [
        member
        for member in documented.own_members
        if isinstance(member, (pdoc.doc.Function, pdoc.doc.Class))
        and member.name[0] != "_"
        and member.taken_from[0] == module
        and member.docstring
    ]


def _room_page(room: str, modules: dict[str, list], places: dict[str, str]) -> Page:
    parts, heading = [], "h1"
    for name, members in modules.items():
        about = inspect.getdoc(importlib.import_module(name)) or ""
        parts += [f'<{heading} id="{name}">{name}</{heading}>', documented(about, room, places)]
        heading = "h2"
        parts += [_member(member, room, places) for member in members]
    body = f'<div class="reference">{"".join(parts)}</div>'
    return Page(url_of(room), TITLES[room], "Reference", body)


def _member(member, room: str, places: dict[str, str]) -> str:
    """A function or class as HTML."""
    name, module = member.fullname, member.modulename
    door = exported().get(module, {}).get(member.name, module)
    methods = [
        f'<h4 id="{name}.{method.name}"><code>{method.name}</code></h4>'
        f"{_signature(method)}{documented(method.docstring, room, places)}"
        for method in _methods(member)
    ]
    return (
        f'<section class="member"><h3 id="{name}"><code>{member.name}</code></h3>'
        f'<p class="import"><code>from {door} import {member.name}</code></p>{_signature(member)}'
        f"{documented(member.docstring, room, places)}{''.join(methods)}"
        f"<details><summary>Source of {member.name}</summary>"
        f"<pre>{html.escape(member.source)}</pre></details></section>"
    )


def _methods(member) -> list:
    own = member.own_members if isinstance(member, pdoc.doc.Class) else []
    return [
        method
        for method in own
        if isinstance(method, pdoc.doc.Function) and method.name[0] != "_" and method.docstring
    ]


def _signature(member) -> str:
    called = member
    if isinstance(member, pdoc.doc.Class):
        called = member.members.get("__init__")
        if called is None:
            return ""
    shown = re.sub(r"-> None$", "", str(called.signature_without_self))
    return highlighted(f"{member.name}{shown}", "python")


def documented(text: str, room: str, places: dict[str, str]) -> str:
    """A Google docstring as HTML. Names of the library and "notebook 03, section 2" become links.

    Args:
        text: The docstring.
        room: Room on whose page it stands.
        places: Address of the description of each public name.
    """
    fenced = re.sub(r"^( *)(>>> .*(?:\n\1\S.*)*)", _fence, text, flags=re.M)
    shown = prose(pdoc.docstrings.google(fenced))
    shown = re.sub(r"<h6[^>]*>(.*?):?</h6>", r'<p class="part">\1</p>', shown)
    here = url_of(room)

    def link_name(found: re.Match) -> str:
        name = found.group(1).removeprefix("ldr_lib.")
        if name not in places:
            return found.group(0)
        return f'<a href="{relative(places[name], here)}">{found.group(0)}</a>'

    shown = re.sub(r"<code>([\w.]+)</code>", link_name, shown)
    return re.sub(r"\bnotebook (\d\d\w?)\b", lambda found: _notebook_link(found, here), shown)


def _fence(found: re.Match) -> str:
    indent = found.group(1)
    return f"{indent}```pycon\n{found.group(0)}\n{indent}```"


def _notebook_link(found: re.Match, here: str) -> str:
    for path in (ROOT / "notebooks").glob(f"{found.group(1)}_*.ipynb"):
        return f'<a href="{relative(f"notebooks/{path.stem}.html", here)}">{found.group(0)}</a>'
    return found.group(0)
