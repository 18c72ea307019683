"""Badge and cell for Google Colab: there they fetch the kit, elsewhere they do nothing."""

import ast
import shutil
import subprocess
import sys
import types
from importlib import metadata, util

import nbformat
import pytest
from conftest import ROOT

from ldr_lib.runs.notebooks import COLAB, cells_of
from website import colab
from website.repository import owner_and_name, repository

NOTEBOOKS = sorted((ROOT / "notebooks").glob("0*.ipynb"))
ADDRESS = "https://github.com/someone/eyes"


@pytest.fixture
def commands(monkeypatch):
    """Commands that a cell would have started."""
    started = []

    def run(command, check):
        assert check, "a command that fails must stop the notebook"
        started.append(command)

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return started


@pytest.fixture
def on_colab(monkeypatch):
    """Looks like Google Colab, where the kit is missing."""
    monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
    monkeypatch.setattr(util, "find_spec", lambda name: None)


def test_the_cell_does_nothing_where_the_kit_is_installed(commands, monkeypatch):
    monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
    path = list(sys.path)
    exec(colab.guard_of(ADDRESS), {})
    assert not commands and sys.path == path


def test_the_cell_touches_no_other_machine(commands, monkeypatch):
    monkeypatch.delitem(sys.modules, "google.colab", raising=False)
    monkeypatch.setattr(util, "find_spec", lambda name: None)
    exec(colab.guard_of(ADDRESS), {})
    assert not commands


def test_on_colab_the_cell_fetches_the_kit_and_keeps_torch_and_numpy(commands, on_colab):
    exec(colab.guard_of(ADDRESS), {})
    clone, install = commands
    assert clone[:2] == ["git", "clone"] and ADDRESS in clone
    assert install[:4] == [sys.executable, "-m", "pip", "install"]
    assert install[install.index("--editable") + 1] == clone[-1] == sys.path[0]
    for name in ("torch", "torchvision", "numpy"):
        assert f"{name}=={metadata.version(name)}" in install


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_committed_notebooks_are_equipped(path, tmp_path):
    copy = tmp_path / path.name
    shutil.copy(path, copy)
    again = "run python -m website.colab to write badge and cell"
    assert colab.equip_files([copy], repository()) == [], again
    title, guard = nbformat.read(path, 4).cells[:2]
    assert title.source.startswith("# ") and colab.badge_of(repository(), path.name) in title.source
    assert title.source.count("colab") == 2 * bool(repository())
    assert guard.metadata.tags == [COLAB] and not guard.outputs
    ast.parse(guard.source)


def test_without_an_address_there_is_no_badge_and_the_cell_says_what_is_missing(
    tmp_path, on_colab, commands
):
    copy = tmp_path / NOTEBOOKS[0].name
    shutil.copy(NOTEBOOKS[0], copy)
    colab.equip_files([copy], ADDRESS)
    given = nbformat.read(copy, 4)
    assert colab.equip_files([copy], "") == [copy]
    title, guard = nbformat.read(copy, 4).cells[:2]
    assert "colab" in given.cells[0].source and "colab" not in title.source
    with pytest.raises(ImportError, match="Repository in pyproject.toml"):
        exec(guard.source, {})
    assert not commands
    colab.equip_files([copy], ADDRESS)
    assert nbformat.read(copy, 4) == given


def test_without_an_address_the_cell_touches_no_other_machine(monkeypatch):
    monkeypatch.delitem(sys.modules, "google.colab", raising=False)
    monkeypatch.setattr(util, "find_spec", lambda name: None)
    exec(colab.guard_of(""), {})


@pytest.mark.parametrize(
    "text, address",
    [('[project.urls]\nRepository = "' + ADDRESS + '"\n', ADDRESS), ("[project]\n", "")],
)
def test_the_address_stands_in_one_place(text, address, tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
    monkeypatch.setattr("website.repository.ROOT", tmp_path)
    assert repository() == address


def test_another_address_replaces_badge_and_cell_and_no_more(tmp_path):
    copy = tmp_path / NOTEBOOKS[0].name
    shutil.copy(NOTEBOOKS[0], copy)
    before = nbformat.read(copy, 4)
    assert colab.equip_files([copy], ADDRESS) == [copy]
    assert colab.equip_files([copy], ADDRESS) == []
    after = nbformat.read(copy, 4)
    assert "someone/eyes/blob/main" in after.cells[0].source and ADDRESS in after.cells[1].source
    assert after.cells[2:] == before.cells[2:] and len(after.cells) == len(before.cells)


def test_a_new_notebook_is_equipped_and_its_fingerprint_stays(tmp_path):
    result = nbformat.v4.new_output("execute_result", {"text/plain": "1"}, execution_count=2)
    cells = [
        nbformat.v4.new_markdown_cell("# 09 New: a question\n\nText."),
        nbformat.v4.new_code_cell("seed = 0", metadata={"tags": ["parameters"]}, execution_count=1),
        nbformat.v4.new_code_cell("1 + seed", execution_count=2, outputs=[result]),
    ]
    path = tmp_path / "09_new.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    before = cells_of(path)
    colab.equip_files([path], ADDRESS)
    after = nbformat.read(path, 4)
    code = [cell for cell in after.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == [1, 2, 3]
    assert code[2].outputs[0].execution_count == 3
    assert after.cells[0].source.startswith("# 09 New: a question\n\n[![Open in Colab]")
    assert after.cells[0].source.endswith("\n\nText.")
    assert cells_of(path) == before


@pytest.mark.parametrize("address", ["someone/eyes", "https://example.org/a/b", ""])
def test_an_address_that_colab_cannot_open_is_refused(address):
    with pytest.raises(ValueError, match="OWNER/NAME"):
        owner_and_name(address)
