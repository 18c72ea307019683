"""Notebooks on Google Colab: a badge that opens them there, and a cell that fetches the kit there.

Both need the address of the public repository, which stands in pyproject.toml. `python -m
website.colab` writes both into all notebooks; run again it changes nothing. Without an address
there is no badge, and the cell says on Colab what is missing.
"""

import argparse
import re
import sys
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from ldr_lib.runs.notebooks import COLAB, METADATA

from .repository import ROOT, owner_and_name, repository

NOTEBOOKS = sorted((ROOT / "notebooks").glob("0*.ipynb"))
BADGE = re.compile(r"\[!\[Open in Colab\]\([^)]*\)\]\([^)]*\)\n\n")
PICTURE = "https://colab.research.google.com/assets/colab-badge.svg"
GUARD = """\
# On Google Colab this fetches the kit and keeps Colab's torch and numpy; elsewhere it does nothing.
import subprocess
import sys
from importlib.metadata import version
from importlib.util import find_spec

if "google.colab" in sys.modules and find_spec("ldr_lib") is None:
    kit = "/content/ldr_lib"
    clone = ["git", "clone", "--quiet", "--depth", "1", "{repository}", kit]
    kept = [f"{{name}}=={{version(name)}}" for name in ("torch", "torchvision", "numpy")]
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--editable", kit, *kept]
    for command in (clone, install):
        subprocess.run(command, check=True)
    sys.path.insert(0, kit)"""
WITHOUT_ADDRESS = """\
# On Google Colab this says what is missing there; elsewhere it does nothing.
import sys
from importlib.util import find_spec

if "google.colab" in sys.modules and find_spec("ldr_lib") is None:
    raise ImportError(
        "ldr_lib is not installed here, and this copy of the kit does not know its address. Put "
        "it under Repository in pyproject.toml and run: python -m website.colab"
    )"""


def guard_of(address: str) -> str:
    """Source of the cell that fetches the kit from a repository; without an address it only says
    so, on Colab.
    """
    return GUARD.format(repository=address) if address else WITHOUT_ADDRESS


def badge_of(address: str, name: str) -> str:
    """The badge that opens a notebook of a repository in Colab, in Markdown; none without an
    address.
    """
    if not address:
        return ""
    place = f"{owner_and_name(address)}/blob/main/notebooks/{name}"
    return f"[![Open in Colab]({PICTURE})](https://colab.research.google.com/github/{place})\n\n"


def equip(notebook: NotebookNode, name: str, address: str) -> None:
    """Gives a notebook its badge and its cell for Colab, in place of older ones.

    Args:
        notebook: Begins with a Markdown cell whose first line is its title; changed in place.
        name: Its file.
        address: Of the repository; "" where it is not known.
    """
    title, _, text = BADGE.sub("", notebook.cells[0].source).partition("\n\n")
    notebook.cells[0].source = f"{title}\n\n{badge_of(address, name)}{text}"
    cell = next((cell for cell in notebook.cells if COLAB in cell.metadata.get("tags", [])), None)
    if cell is None:
        cell = nbformat.v4.new_code_cell(id=COLAB, metadata={"tags": [COLAB]}, execution_count=1)
        for other in notebook.cells:
            _count_further(other)
        notebook.cells.insert(1, cell)
    cell.source = guard_of(address)
    notebook.metadata = nbformat.from_dict(METADATA)


def _count_further(cell: NotebookNode) -> None:
    """One more cell has been run before this one."""
    for counted in (cell, *cell.get("outputs", [])):
        if counted.get("execution_count"):
            counted.execution_count += 1


def equip_files(paths: list[Path], address: str) -> list[Path]:
    """Equips notebooks, and returns those that were changed."""
    changed = []
    for path in paths:
        before = path.read_text(encoding="utf-8")
        notebook = nbformat.reads(before, as_version=4)
        equip(notebook, path.name, address)
        after = nbformat.writes(notebook) + "\n"
        if after != before:
            path.write_text(after, encoding="utf-8", newline="\n")
            changed.append(path)
    return changed


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m website.colab", description=__doc__)
    parser.add_argument("--repository", default=repository(), help="its address")
    try:
        for path in equip_files(NOTEBOOKS, parser.parse_args().repository):
            print(f"{path.name}: badge and cell for Colab written")
    except ValueError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
