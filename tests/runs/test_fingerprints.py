import json
import sys

import pytest

import ldr_lib.data.files  # noqa: F401 these are among the modules that are fingerprinted
import ldr_lib.losses  # noqa: F401
from ldr_lib import DataError, runs
from ldr_lib.runs import fingerprints as stale
from ldr_lib.runs import ledger, paths
from ldr_lib.runs import run as run_module


def test_comments_and_documentation_change_nothing_and_code_does(tmp_path):
    path = tmp_path / "m.py"
    prints = []
    for text in (
        '"""Doc."""\ndef f(x):\n    return x + 1\n',
        'def f(x):\n    """Other."""\n    # why\n    return (x + 1)\n',
        "def f(x):\n    return x + 2\n",
    ):
        path.write_text(text, encoding="utf-8")
        prints.append(stale.code_of(path))
    assert prints[0] == prints[1] != prints[2]


def notebook(path, *cells, parameters="seed = 0"):
    made = [{"cell_type": "code", "metadata": {"tags": ["parameters"]}, "source": [parameters]}]
    made += [{"cell_type": "code", "metadata": {}, "source": [cell]} for cell in cells]
    path.write_text(
        json.dumps(
            {"cells": [*made, {"cell_type": "markdown", "metadata": {}, "source": ["words"]}]}
        ),
        encoding="utf-8",
    )
    return path


def test_values_of_parameters_and_layout_do_not_count_as_other_cells(tmp_path):
    first = stale.cells_of(notebook(tmp_path / "a.ipynb", "x = 1"))
    assert first == stale.cells_of(
        notebook(tmp_path / "b.ipynb", "x  =  1  # note", parameters="seed = 7")
    )
    assert first[0] != stale.cells_of(notebook(tmp_path / "c.ipynb", "x = 2"))[0] and first[1] == [
        "seed"
    ]


def test_only_modules_that_can_change_a_number_are_fingerprinted():
    found = stale.used_code()
    assert "losses" in found and not {n for n in found if n.split(".")[0] in stale.REPORTING} - set(
        stale.COMPUTING
    )
    assert found["losses"] == stale.code_of(stale.PACKAGE / "losses.py")


def test_what_changed_is_named(tmp_path, monkeypatch):
    notebook(tmp_path / "nb.ipynb", "x = 1")
    record = {
        "name": "nb",
        "parameters": {"seed": 0},
        "code": {"losses": stale.code_of(stale.PACKAGE / "losses.py")},
        "cells": stale.cells_of(tmp_path / "nb.ipynb")[0],
    }
    assert stale.changes_since(record, tmp_path) == []
    assert stale.changes_since(record | {"code": {"losses": "old", "gone": "x"}}, tmp_path) == [
        "losses",
        "gone (no longer there)",
    ]
    notebook(tmp_path / "nb.ipynb", "x = 2", parameters="seed = 0\nk = 1")
    assert stale.changes_since(record, tmp_path) == ["the notebook's cells", "parameters k"]
    of_script = {key: value for key, value in record.items() if key != "cells"}
    assert stale.changes_since(of_script, tmp_path) == []
    assert stale.changes_since({"name": "nb"}, tmp_path) == [
        "recorded before code was fingerprinted"
    ]
    assert "ldr_lib.losses" in sys.modules


def test_nothing_has_changed_since_the_code_that_runs_now(tmp_path):
    notebook(tmp_path / "nb.ipynb", "x = 1")
    code = stale.used_code()
    assert {"losses", "data", "data.files"} <= code.keys()
    assert (
        stale.changes_since(
            {
                "name": "nb",
                "parameters": {"seed": 0},
                "code": code,
                "cells": stale.cells_of(tmp_path / "nb.ipynb")[0],
            },
            tmp_path,
        )
        == []
    )


def test_packages_of_another_version_are_said_but_make_nothing_stale():
    versions = {name: stale.version(name) for name in stale.COMPUTING_PACKAGES}
    assert stale.other_versions({"versions": versions}) == []
    now = versions["kornia"]
    assert stale.other_versions({"versions": versions | {"kornia": "0.1"}}) == [
        f"kornia 0.1 then, {now} now"
    ]


def test_every_committed_record_is_listed_and_a_broken_one_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(stale, "project_root", lambda: tmp_path)
    folder = tmp_path / "figures" / "nb" / "records"
    folder.mkdir(parents=True)
    made = {"name": "nb", "parameters": {"seed": 0}, "claims": {}, "code": {"losses": "old"}}
    (folder / "a.json").write_text(json.dumps(made), encoding="utf-8")
    (folder / "b.json").write_text(json.dumps(made | {"code": {}}), encoding="utf-8")
    table = stale.stale_records()
    assert list(table["record"]) == ["a", "b"] and list(table["changed"]) == ["losses", ""]
    assert not stale.is_current(folder / "a.json") and stale.is_current(folder / "b.json")
    (folder / "c.json").write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match="c.json is no run record"):
        stale.stale_records()


def finished_run(project, seed=0):
    run = runs.Run("nb", {"seed": seed, "tier": "class"}, str(project / "runs" / str(seed)))
    run.metrics(scores={"a": {"Dice": 0.5, "nothing": float("nan")}}, pixels={3: 0.25})
    run.claim("one is more", [1.0, 2.0], [0.5, 1.0])
    return run.keep(str(seed))


CHANGES = [
    ("a number", '"Dice": 0.5', '"Dice": 0.6'),
    ("a claim", "2.0", "3.0"),
    ("the state of a claim", "supported", "undecided"),
    ("the seed", '"seed": 0,\n "started"', '"seed": 1,\n "started"'),
    ("another entry", '"metrics": {', '"metrics": {"more": 1,'),
    ("its checksum", '"checksum": "', '"checksum": "0'),
    ("no checksum", '"checksum"', '"sum"'),
    ("no format", '"format": 2', '"other": 2'),
]


@pytest.mark.parametrize("what, old, new", CHANGES, ids=[what for what, *_ in CHANGES])
def test_a_record_that_was_changed_is_named_by_all_that_read_it(
    tmp_path, monkeypatch, what, old, new
):
    for module in (stale, paths, ledger, run_module):
        monkeypatch.setattr(module, "project_root", lambda: tmp_path)
    monkeypatch.delenv("LDR_RUNS", raising=False)
    kept = finished_run(tmp_path)
    assert stale.read_record(kept)["metrics"]["scores"]["a"]["Dice"] == 0.5
    assert not {"checksum", "format"} & stale.read_record(kept).keys()
    assert ledger.evidence()[0]["seed"] == 0 and stale.is_current(kept)
    text = kept.read_text(encoding="utf-8")
    assert old in text
    kept.write_text(text.replace(old, new, 1), encoding="utf-8")
    for read in (
        lambda: stale.read_record(kept),
        ledger.evidence,
        stale.stale_records,
        lambda: runs.committed_records("nb"),
        lambda: runs.compare(kept, kept),
    ):
        with pytest.raises(DataError, match="0.json is no run record: it was changed since"):
            read()
    assert not stale.is_current(kept), "it is made again"


def test_layout_and_order_of_a_record_do_not_count_as_changes(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "project_root", lambda: tmp_path)
    kept = finished_run(tmp_path)
    record = stale.read_record(kept)
    kept.write_text(
        json.dumps(json.loads(kept.read_text(encoding="utf-8")), sort_keys=True), encoding="utf-8"
    )
    assert stale.read_record(kept)["claims"] == record["claims"]


def test_records_without_a_checksum_stay_valid(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "project_root", lambda: tmp_path)
    kept = finished_run(tmp_path)
    content = json.loads(kept.read_text(encoding="utf-8"))
    for entry in ("checksum", "format"):
        del content[entry]
    kept.write_text(json.dumps(content), encoding="utf-8")
    assert stale.read_record(kept)["metrics"]["pixels"] == {"3": 0.25}
