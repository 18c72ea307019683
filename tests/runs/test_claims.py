import json

import nbformat
import pytest
from conftest import ROOT

from ldr_lib import DataError, runs
from ldr_lib.runs import claims
from ldr_lib.runs.claims import Claim, all_claims, claim_of


@pytest.fixture
def listed(tmp_path, monkeypatch):
    """A list of claims of one's own."""

    def write(text):
        path = tmp_path / "claims.yaml"
        path.write_text(text, encoding="utf-8")
        monkeypatch.setattr(claims, "all_claims", lambda: claims._all_claims.__wrapped__(path))
        return path

    return write


ENTRY = """- {id: a, says: b, sentence: "{structure} found better than noise", metric: Dice,
  data: [x], notebook: nb, figure: f.png, bound: 0.1}
"""


def test_a_sentence_of_a_notebook_finds_its_claim(listed, tmp_path):
    listed(ENTRY)
    assert claims.claim_of("nb", "vessel found better than noise").id == "a"
    assert claims.claim_of("another notebook", "anything") is None
    with pytest.raises(
        DataError, match='"vessel found better than nois" is not among the claims of nb'
    ):
        claims.claim_of("nb", "vessel found better than nois")


def test_a_claim_holds_only_beyond_its_bound(listed, tmp_path):
    listed(ENTRY)
    run = runs.Run("nb", {"seed": 0}, str(tmp_path / "run"))
    sentence = "vessel found better than noise"
    run.claim(sentence, [0.55, 0.54, 0.56], [0.5, 0.5, 0.5])
    assert run.record["claims"][sentence]["state"] == "not supported"
    run.claim(sentence, [0.65, 0.64, None], [0.5, 0.5, None])
    assert run.record["claims"][sentence]["state"] == "supported"
    assert run.record["claims"][sentence]["better"] == [0.65, 0.64, None]


@pytest.mark.parametrize(
    "text, words",
    [
        (ENTRY + ENTRY, "two claims of the id a"),
        (ENTRY.replace("metric: Dice,", ""), r"entry 1 \(a\): .*metric"),
        (ENTRY.replace("bound", "bond"), r"entry 1 \(a\): .*bond"),
        (ENTRY.replace("bound: 0.1", "source: paper"), r'unknown source "paper"; known are method'),
        ("a: 1", "must hold a list of claims"),
        ("- [", "cannot be read as a list of claims"),
        ("- " + "[" * 5000, "cannot be read as a list of claims"),
        (ENTRY.replace("[x]", "x"), r"entry 1 \(a\): data must be a list, not 'x'"),
        (ENTRY.replace("[x]", "[]"), "data must be a list of names"),
        (ENTRY.replace("[x]", "[1]"), "data must be a list of names"),
        (ENTRY.replace("says: b", "says: 5"), "says must be a str, not 5"),
        (ENTRY.replace("id: a", "id: {}"), "id must be a str, not {}"),
        (ENTRY.replace("f.png", "null"), "figure must be a str, not None"),
        (ENTRY.replace("0.1", "much"), "bound must be a float, not 'much'"),
        (ENTRY.replace("0.1", "0.1, inside: 5"), "inside must be a bool, not 5"),
        (ENTRY + "  1: x\n", "cannot be read"),
        ("- 3", r"entry 1 \(3\)"),
    ],
)
def test_a_wrong_list_is_refused_with_its_entry(listed, text, words):
    path = listed(text)
    with pytest.raises(DataError, match=words):
        claims._all_claims.__wrapped__(path)


def test_every_claim_names_a_notebook_that_draws_its_figure():
    for claim in all_claims():
        assert (ROOT / "notebooks" / f"{claim.notebook}.ipynb").exists(), claim.id
        assert (ROOT / "figures" / claim.notebook / claim.figure).exists(), claim.id


def test_every_recorded_sentence_is_a_claim_and_every_claim_is_recorded():
    told = {}
    for path in (
        *(ROOT / "figures").glob("*/record.json"),
        *(ROOT / "figures").glob("*/records/*.json"),
    ):
        record = json.loads(path.read_text(encoding="utf-8"))
        for sentence in record["claims"]:
            told.setdefault(claim_of(record["name"], sentence), []).append(path)
    missing = {claim.notebook for claim in set(all_claims()) - set(told)}
    assert not [name for name in missing if list((ROOT / "figures" / name / "records").glob("*"))]


def test_notebooks_test_claims_through_the_record_alone():
    for path in sorted((ROOT / "notebooks").glob("0*.ipynb")):
        code = "\n".join(
            cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"
        )
        assert ("run.claim(" in code) == any(
            claim.notebook == path.stem for claim in all_claims()
        ), path.stem


def test_commands_name_data_and_seeds():
    claim = Claim("a", "b", "c", "Dice", ("x", "y"), "nb", "f.png")
    assert (
        claim.command
        == "python -m ldr_lib sweep notebooks/nb.ipynb --grid dataset=x,y --grid seed=0,1,2"
    )
