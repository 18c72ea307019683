"""Values as a user writes them, in the kinds of the notebook."""

import ast
import json

import pytest
from conftest import ROOT
from runs import tiny

from ldr_lib import DataError
from ldr_lib.runs import parameters
from ldr_lib.runs.notebooks import cells_of
from ldr_lib.runs.parameters import check_parameters, given_parameters, grid_of, parameters_of


@pytest.fixture(scope="module")
def notebook(tmp_path_factory):
    return tiny.write(tmp_path_factory.mktemp("notebook") / "tiny.ipynb")


AS_WRITTEN = (
    ["no", "yes", "null", "~", "true", "None", "0123", "1", "1e3", "0x1f", "1_000", ".nan", ".inf"]
    + ["2024-01-01", "12:30:00", "[x", "[1, 2]", "{a", '"quoted"', "'x'", "a#b", "a # b", "@x"]
    + ["%y", "!tag", "&a", "*a", "|", ">", "-", "- x", "a: b", "=", "a=b", "", " x ", "左", "$HOME"]
    + ["C:\\temp\\new", "`x`", "x" * 300, "caf\udce9", "/data/my images #1 [a] 100%/@home", "a\nb"]
)


@pytest.mark.parametrize("text", AS_WRITTEN)
def test_a_text_arrives_letter_by_letter(notebook, text):
    found = check_parameters(notebook, given_parameters([f"name={text}"], notebook))
    assert found == {"name": text}
    assert ast.literal_eval(f"{text!a}") == text  # as a cell of the notebook holds it
    if text and text[0] != '"' and "\n" not in text:
        quoted = f'name="{text}",other'
        assert [cell["name"] for cell in grid_of([quoted], notebook)] == [text, "other"]


READ = [
    ("seed=5", 5),
    ("seed=-1", -1),
    ("seed=0.0", 0),
    ("seed=1e2", 100),
    ("seed= 7", 7),
    ("k=1", 1.0),
    ("k=1e-3", 0.001),
    ("k=.5", 0.5),
    ("flag=false", False),
    ("flag=True", True),
    ("option=8", 8),
    ("option=0.5", 0.5),
    ("option=none", None),
    ("option=null", None),
    ("option=octa", "octa"),
    ("option=yes", "yes"),
    ("sizes=[3, 4]", [3, 4]),
    ("sizes=[]", []),
]


@pytest.mark.parametrize("word, value", READ, ids=[word for word, _ in READ])
def test_other_values_are_read_in_the_kind_of_the_notebook(notebook, word, value):
    ((_, found),) = check_parameters(notebook, given_parameters([word], notebook)).items()
    assert found == value and type(found) is type(value)


UNFIT = [
    "seed=x",
    "seed=1.5",
    "seed=.nan",
    "seed=nan",
    "seed=inf",
    "seed=1e400",
    "seed=",
    "seed=[1",
    "seed=true",
    "seed=none",
    "seed=" + "9" * 5000,
    "seed=" + "x" * 300,
    "k=nan",
    "k=x",
    "k=1,5",
    "flag=yes",
    "flag=1",
    "flag=",
    "option=nan",
    "sizes=5",
    "sizes=[1",
    "sizes={a: 1}",
    "sizes=[.nan]",
    "sizes=[2024-01-01]",
    "sizes=" + "[" * 5000,
]


@pytest.mark.parametrize("word", UNFIT, ids=[word[:20] for word in UNFIT])
def test_what_does_not_fit_is_said_in_a_short_sentence(notebook, word):
    name = word.partition("=")[0]
    with pytest.raises(DataError, match=f"parameter {name} of tiny.ipynb is .* cannot be") as said:
        check_parameters(notebook, given_parameters([word], notebook))
    assert len(str(said.value)) < 250


def test_grids_are_all_combinations(notebook):
    found = grid_of(["seed=0,1", "name=no,2024-01-01"], notebook)
    assert found == [{"seed": s, "name": n} for s in (0, 1) for n in ("no", "2024-01-01")]
    assert grid_of([]) == grid_of([], notebook) == [{}]
    assert grid_of(["seed=0,1.5,none,x"]) == [{"seed": v} for v in (0, 1.5, None, "x")]


WRONG_GRIDS = [
    "seed",
    "seed=",
    "=1",
    "=",
    "",
    "seed=1,,2",
    "seed=1,",
    ",",
    'name="a',
    'name="a"b,c',
]


@pytest.mark.parametrize("word", WRONG_GRIDS)
def test_a_grid_that_is_none_is_explained(notebook, word):
    with pytest.raises(DataError, match="name=value,value"):
        grid_of([word], notebook)


def test_grids_have_each_name_once_and_an_end(notebook):
    with pytest.raises(DataError, match="each name once"):
        grid_of(["seed=1", "seed=2"], notebook)
    axis = ",".join(map(str, range(100)))
    with pytest.raises(DataError, match="1000000 combinations"):
        grid_of([f"{name}={axis}" for name in ("seed", "k", "option")], notebook)


@pytest.mark.parametrize("word", ["seed", "=1", "", "seed:1"])
def test_parameters_are_given_as_name_and_value(notebook, word):
    with pytest.raises(DataError, match="NAME=VALUE"):
        given_parameters([word], notebook)
    with pytest.raises(DataError, match="each name once"):
        given_parameters(["seed=1", "seed=2"], notebook)


def test_parameters_are_held_against_the_notebook(notebook):
    assert check_parameters(notebook, {"seed": 3.0}) == {"seed": 3}
    for given, needed, words in [
        ({"sed": 1}, (), 'no parameter "sed"; it has seed, k'),
        ({"seed": "x"}, (), "seed .* cannot be 'x'"),
        ({"k": 1}, ("seed",), "parameter seed is missing"),
    ]:
        with pytest.raises(DataError, match=words):
            check_parameters(notebook, given, needed)


@pytest.mark.parametrize(
    "path", sorted((ROOT / "notebooks").glob("0*.ipynb")), ids=lambda path: path.stem
)
@pytest.mark.parametrize("tier", ["smoke", "class", "full"])
def test_parameter_files_fit_every_notebook(path, tier):
    file = ROOT / "notebooks" / "params" / f"{tier}.yaml"
    check_parameters(path, parameters.read_parameters(file), ("tier", "seed"))


@pytest.mark.parametrize(
    "content, words",
    [
        (b"- 1\n- 2\n", "must hold lines"),
        (b"", "must hold lines"),
        (b"a: [", "cannot be read"),
        (b"caf\xe9: 1", "cannot be read"),
        (b"[" * 5000, "cannot be read"),
    ],
)
def test_unreadable_parameter_files_are_named(tmp_path, content, words):
    (tmp_path / "a.yaml").write_bytes(content)
    with pytest.raises(DataError, match=f"a.yaml {words}"):
        parameters.read_parameters(tmp_path / "a.yaml")
    with pytest.raises(DataError, match="cannot be read"):
        parameters.read_parameters(tmp_path)


@pytest.mark.parametrize(
    "content",
    ["", "{}", "[]", "null", '{"cells": 1}', '{"cells": [1]}', '{"cells": [{}]}', "caf\udce9"],
)
def test_unreadable_notebooks_are_named(tmp_path, content):
    (tmp_path / "c.ipynb").write_text(content, errors="surrogateescape", encoding="utf-8")
    for read in (parameters_of, cells_of):
        with pytest.raises(DataError, match="c.ipynb cannot be read as a notebook"):
            read(tmp_path / "c.ipynb")


@pytest.mark.parametrize(
    "source, words",
    [
        ("import os", '"import os" in the parameters cell sets no name'),
        ("a.b = 1", "sets no name"),
        ("a, b = 1, 2", "sets no name"),
        ("a: int", "sets no name"),
        ("a += 1", "sets no name"),
        ("a = f(1)", "cannot be read"),
        ("a =", "cannot be read"),
    ],
)
def test_a_parameters_cell_holds_plain_values(tmp_path, source, words):
    path = tiny.write(tmp_path / "nb.ipynb", parameters=source)
    with pytest.raises(DataError, match=words):
        parameters_of(path)


def test_parameters_may_have_types_and_explanations_and_cells_commands(tmp_path):
    source = '"""Choose."""\nseed: int = 0\na = b = "x"'
    path = tiny.write(tmp_path / "nb.ipynb", parameters=source, body="%matplotlib inline\n!ls")
    assert parameters_of(path) == {"seed": 0, "a": "x", "b": "x"}
    assert cells_of(path)[1] == ["seed", "a", "b"]
    empty = tmp_path / "none.ipynb"
    empty.write_text(json.dumps({"cells": []}), encoding="utf-8")
    with pytest.raises(DataError, match="no cell tagged parameters"):
        parameters_of(empty)
