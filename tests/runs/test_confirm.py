"""Records of an earlier revision count as current only where its short runs gave equal numbers."""

import json
import subprocess

import pytest

from ldr_lib.data.errors import DataError
from ldr_lib.runs import confirm as module
from ldr_lib.runs import fingerprints
from ldr_lib.runs.confirm import confirm, differing
from ldr_lib.runs.fingerprints import PACKAGE, changes_since, code_of

OLD = "0" * 40


def record(**changes):
    code = {"losses": code_of(PACKAGE / "losses.py"), "metrics": code_of(PACKAGE / "metrics.py")}
    whole = {
        "name": "a_notebook",
        "parameters": {"seed": 0},
        "git_revision": OLD,
        "code": code,
        "metrics": {"auc": {"vessel": 0.8}, "wall_seconds": 3},
        "claims": {"a sentence": {"better": [1.0], "worse": [0.5]}},
        "data": {"train": "abc"},
    }
    return whole | changes


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A checkout of one commit; short runs are replaced by records that a test gives."""
    for words in (["init", "-q"], ["config", "user.email", "a@b.c"], ["config", "user.name", "a"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    (tmp_path / "ldr_lib").mkdir()
    (tmp_path / "ldr_lib" / "losses.py").write_text("x = 1\n", encoding="utf-8")
    subprocess.run(["git", "add", "-A"], cwd=tmp_path, check=True)
    subprocess.run(["git", "commit", "-qm", "first"], cwd=tmp_path, check=True)
    monkeypatch.setattr(module, "project_root", lambda: tmp_path)
    kept = tmp_path / "figures" / "confirmed.json"
    monkeypatch.setattr(module, "CONFIRMATIONS", kept)
    monkeypatch.setattr(fingerprints, "CONFIRMATIONS", kept)
    made = {}
    monkeypatch.setattr(
        module,
        "_records_of",
        lambda root, commit, *_: made["present" if commit == "HEAD" else "earlier"],
    )
    return tmp_path, made


def head(root):
    done = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, encoding="utf-8"
    )
    return done.stdout.strip()


def test_equal_numbers_make_records_of_that_revision_current(project, tmp_path):
    root, made = project
    made |= {"earlier": {"a/0": record()}, "present": {"a/0": record()}}
    old = record(code={"losses": "changed since"}, git_revision=head(root))
    assert changes_since(old, tmp_path) == ["losses"]
    assert confirm("HEAD") == {"a/0": []}
    assert changes_since(old, tmp_path) == []
    assert changes_since(old | {"git_revision": OLD}, tmp_path) == ["losses"]
    assert changes_since(old | {"name": "another_notebook"}, tmp_path) == ["losses"]
    with_changes = old | {"git_revision": f"{head(root)} with changes"}
    assert changes_since(with_changes, tmp_path) == ["losses"]


def test_records_of_other_revisions_with_the_same_code_are_current_too(project, tmp_path):
    root, made = project
    then = {"losses": "at that time", "metrics": "at that time"}
    made |= {"earlier": {"a/0": record(code=then)}, "present": {"a/0": record()}}
    confirm("HEAD")
    other = record(git_revision="1" * 40)
    assert changes_since(other | {"code": {"losses": "at that time"}}, tmp_path) == []
    assert changes_since(other | {"code": then | {"losses": "later"}}, tmp_path) != []
    assert changes_since(other | {"code": then | {"stage": "x"}}, tmp_path) != []
    assert changes_since(other | {"code": then, "cells": "of a notebook"}, tmp_path) != []


def test_records_without_fingerprints_are_current_by_their_revision_alone(project, tmp_path):
    root, made = project
    made |= {"earlier": {"a/0": record()}, "present": {"a/0": record()}}
    old = {key: value for key, value in record().items() if key != "code"}
    confirm("HEAD")
    assert changes_since(old | {"git_revision": head(root)}, tmp_path) == []
    assert changes_since(old, tmp_path) == ["recorded before code was fingerprinted"]


def test_code_that_changes_after_the_comparison_is_noticed(project, tmp_path):
    root, made = project
    later = record(code={"losses": code_of(PACKAGE / "losses.py"), "metrics": "until yesterday"})
    made |= {"earlier": {"a/0": record()}, "present": {"a/0": later}}
    confirm("HEAD")
    old = record(code={"losses": "changed since"}, git_revision=head(root))
    assert changes_since(old, tmp_path) == ["losses"]


@pytest.mark.parametrize(
    "changes, names",
    [
        ({}, []),
        ({"metrics": {"auc": {"vessel": 0.8, "disc": 0.5}, "wall_seconds": 9}}, []),
        ({"metrics": {"auc": {"vessel": 0.8000001}}}, ["metrics, auc, vessel"]),
        ({"metrics": {}}, ["metrics, auc, vessel"]),
        ({"data": {"train": "abd"}}, ["data, train"]),
        (
            {"claims": {"a sentence": {"better": [1.0], "worse": [0.4]}}},
            ["claims, a sentence, worse"],
        ),
    ],
)
def test_values_that_differ_are_named(changes, names):
    assert differing(record(), record(**changes)) == names


def test_different_numbers_confirm_nothing(project):
    root, made = project
    made |= {"earlier": {"a/0": record()}, "present": {}}
    assert confirm("HEAD")["a/0"]
    assert not (root / "figures" / "confirmed.json").exists()


def test_unknown_revisions_and_uncommitted_changes_are_refused(project):
    root, _ = project
    with pytest.raises(DataError, match="git rev-parse"):
        confirm("no-such-revision")
    (root / "ldr_lib" / "losses.py").write_text("x = 2\n", encoding="utf-8")
    with pytest.raises(DataError, match="commit the changes"):
        confirm("HEAD")


def test_a_damaged_list_of_confirmations_is_named(project):
    root, _ = project
    (root / "figures").mkdir()
    (root / "figures" / "confirmed.json").write_text('{"half', encoding="utf-8")
    with pytest.raises(DataError, match="confirmed.json cannot be read"):
        changes_since(record(code={"losses": "changed"}), root)
    (root / "figures" / "confirmed.json").write_text(json.dumps({}), encoding="utf-8")
    assert changes_since(record(code={"losses": "changed"}), root) == ["losses"]
