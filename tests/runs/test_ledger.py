import html.parser
import json
import re

import numpy as np
import pytest

from ldr_lib import DataError
from ldr_lib.data.names import safe_name
from ldr_lib.runs import as_markdown, claims, ledger
from ldr_lib.runs.claims import Claim

OWN = (
    Claim(
        "found",
        "Vessels are found",
        "{structure} found",
        "Dice",
        ("x", "y"),
        "nb",
        "f.png",
        source="method",
    ),
    Claim("whole", "All is well", "all well", "tasks", ("x",), "nb", "f.png", inside=True),
)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with one notebook, two claims and no records."""
    (tmp_path / "notebooks").mkdir()
    source = 'dataset = "x"\nk = 8\ntier = "class"\nseed = 0'
    (tmp_path / "notebooks" / "nb.ipynb").write_text(
        json.dumps(
            {
                "cells": [
                    {"cell_type": "code", "metadata": {"tags": ["parameters"]}, "source": [source]}
                ]
            }
        ),
        encoding="utf-8",
    )
    monkeypatch.setattr(ledger, "all_claims", lambda: OWN)
    monkeypatch.setattr(ledger, "project_root", lambda: tmp_path)
    monkeypatch.setattr(ledger, "runs_folder", lambda: tmp_path / "runs")
    monkeypatch.setattr(ledger, "ABSTRACT", {"Vessels come out.": ("found",)})
    cells = ledger.changes_since.__globals__["cells_of"](tmp_path / "notebooks" / "nb.ipynb")[0]

    def record(
        seed,
        gaps,
        dataset="x",
        tier="class",
        folder="figures/nb/records",
        k=8,
        code=None,
        data="d",
        started="2026",
    ):
        path = tmp_path / folder / f"{safe_name(f'{dataset}_{seed}_{k}_{tier}_{started}')}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        outcomes = {
            sentence: {
                "state": "undecided",
                "better": (0.5 + np.asarray(gap)).tolist(),
                "worse": np.full(np.shape(gap), 0.5).tolist(),
            }
            for sentence, gap in gaps.items()
        }
        parameters = dict(dataset=dataset, tier=tier, seed=seed, k=k)
        path.write_text(
            json.dumps(
                dict(
                    name="nb",
                    parameters=parameters,
                    seed=seed,
                    claims=outcomes,
                    data={"train": data},
                    code=code or {},
                    cells=cells,
                    started=started,
                )
            ),
            encoding="utf-8",
        )

    return record


IMAGES = [0.1, 0.2, 0.3, 0.2]  # gaps of four test images


def test_three_seeds_whose_interval_lies_above_zero_support_a_claim(project):
    for seed in range(3):
        project(seed, {"vessel found": IMAGES})
    row = ledger.build_ledger().loc[("found", "x")]
    assert (row["state"], row["stale"], row["runs"], row["images"]) == ("supported", "", 3, 4)
    assert row["difference"] == pytest.approx(0.2) and 0.1 <= row["low"] < 0.2 < row["high"] <= 0.3
    assert row["abstract"] == "Vessels come out." and row["mechanism"] == "published"
    assert ledger.build_ledger().loc[("found", "y"), "state"] == "not run"
    words = ledger.describe_row(row)
    assert words.startswith("supported: 0.700 against 0.500 (Dice), difference +0.200 [+0.1")
    assert words.endswith("3 runs, 4 test images")


def test_an_interval_across_zero_is_undecided_and_one_below_is_not_supported(project):
    for seed in range(3):
        project(seed, {"vessel found": [0.3, -0.3, 0.2, -0.1]})
        project(seed, {"vessel found": [-0.3, -0.3, -0.2, -0.1]}, dataset="y")
    states = ledger.build_ledger()["state"]
    assert states[("found", "x")] == "undecided" and states[("found", "y")] == "not supported"


def test_fewer_than_three_seeds_are_too_few_unless_the_run_compares_seeds_itself(project):
    for seed in (0, 1):
        project(seed, {"vessel found": IMAGES})
    assert ledger.build_ledger().loc[("found", "x"), "state"] == "too few runs"
    project(0, {"all well": [IMAGES, IMAGES, IMAGES]}, dataset="z")
    row = ledger.build_ledger().loc[("whole", "x")]
    assert row["state"] == "supported" and row["runs"] == 3


def test_seeds_that_several_runs_pool_alike_count_once(project):
    for seed, gap in ((1, [-0.2] * 4), (2, IMAGES)):  # the newest run says what holds
        project(seed, {"all well": [gap] * 3}, dataset="z", started=f"2026-0{seed}")
    row = ledger.build_ledger().loc[("whole", "x")]
    assert row["runs"] == 3 and row["difference"] == pytest.approx(0.2)


def test_a_run_that_compares_seeds_itself_needs_three_of_them_too(project):
    project(0, {"all well": [IMAGES, IMAGES]})
    assert ledger.build_ledger().loc[("whole", "x"), "state"] == "too few runs"


def test_records_of_other_numbers_of_images_are_pooled_as_one_number_a_run(project):
    for seed, gaps in enumerate(([0.1, 0.3], 0.1, [0.2, 0.3, 0.4])):
        project(seed, {"vessel found": gaps})
    row = ledger.build_ledger().loc[("found", "x")]
    assert (row["runs"], row["images"]) == (3, 1)
    assert row["difference"] == pytest.approx((0.2 + 0.1 + 0.3) / 3)


def test_a_claim_of_several_things_has_a_row_for_each(project):
    for seed in range(3):
        project(seed, {"vessel found": IMAGES, "disc found": [-0.1, -0.2, -0.1, -0.1]})
    states = ledger.build_ledger().loc["found"]["state"]
    assert states["x: vessel"] == "supported" and states["x: disc"] == "not supported"


def test_old_records_that_say_holds_do_not_stop_the_ledger(project, tmp_path):
    for seed in range(3):
        project(seed, {"vessel found": 0.1})
    for path in (tmp_path / "figures" / "nb" / "records").glob("*.json"):
        record = json.loads(path.read_text(encoding="utf-8"))
        del record["code"]
        record["claims"]["vessel found"]["holds"] = True
        del record["claims"]["vessel found"]["state"]
        path.write_text(json.dumps(record), encoding="utf-8")
    row = ledger.build_ledger().loc[("found", "x")]
    assert row["runs"] == 3 and row["stale"] == "recorded before code was fingerprinted"


def test_how_many_successes_chance_explains_is_said(project):
    for seed in range(3):
        project(seed, {"vessel found": IMAGES})
    words = ledger.chance_of(ledger.build_ledger())
    assert words.startswith("1 differences have an interval.") and words.endswith(
        "claims were true."
    )


def test_single_numbers_get_the_interval_over_runs(project):
    for seed, gap in enumerate((0.1, 0.2, 0.3)):
        project(seed, {"vessel found": gap})
    row = ledger.build_ledger().loc[("found", "x")]
    assert row["images"] == 1 and row["low"] == pytest.approx(0.2 - 4.303 * 0.1 / 3**0.5, abs=1e-3)


def test_runs_of_another_tier_or_of_other_parameters_do_not_count(project):
    project(0, {"vessel found": IMAGES}, tier="smoke")
    project(1, {"vessel found": IMAGES}, k=16)
    assert ledger.build_ledger().loc[("found", "x"), "state"] == "not run"
    assert ledger.build_ledger("smoke").loc[("found", "x"), "runs"] == 1


def test_the_newest_of_equal_runs_counts(project):
    project(0, {"vessel found": -0.1}, started="2025")
    project(0, {"vessel found": 0.3}, started="2026")
    assert ledger.build_ledger().loc[("found", "x"), "difference"] == pytest.approx(0.3)


def test_changed_code_and_other_images_make_a_result_stale(project):
    project(0, {"vessel found": 0.1}, code={"losses": "old"})
    project(1, {"vessel found": 0.1}, data="other")
    stale = ledger.build_ledger().loc[("found", "x"), "stale"]
    assert stale == "losses, the images differ between runs"


def test_the_page_holds_every_claim_and_asks_nobody(project, tmp_path):
    for seed in range(3):
        project(seed, {"vessel found": [-0.1, -0.2, -0.1]})
    page = ledger.write_report(ledger.build_ledger(), tmp_path / "report.html").read_text(
        encoding="utf-8"
    )
    for words in ("Vessels are found", "not supported", "not run", "Vessels come out."):
        assert words in page
    assert "http" not in page and 'src="/' not in page
    beside = ledger.compare_with_abstract(ledger.build_ledger())
    assert list(beside["data"]) == ["x", "y"] and set(beside["whose method"]) == {"the paper's"}
    assert set(beside["paper"]) == {""}  # for the reader's page references


NAMES = (
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "-->",
    "<img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)',
    "' onmouseover='alert(1)",
    "</td></tr></table>",
    "</title>",
    "<b>bold",
    "<svg/onload=alert(1)>",
    "&lt;script&gt;",
    "&amp;",
    "&#60;b&#62;",
    "javascript:alert(1)",
    "a&b=c",
    "{{ 7 * 7 }}",
    "{% for x in y %}",
    "{# gone #}",
    "$a$b$",
    r"C:\\temp\\x",
    "`x`",
    "a|b",
    "**bold**",
    "[a](http://example.org)",
    "a\nb",
    "左右",
    "\u202eabc",
    "😀",
    "x" * 300,
    "#%?/ ..",
    "caf\udce9",
)


class Seen(html.parser.HTMLParser):
    """What a browser would find on a page: elements, attributes, words, targets."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.words, self.links, self.ids = set(), set(), "", [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.ids += [value for name, value in attrs if name == "id"]
        self.links += [value for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data):
        self.words += data


def page_of(name, monkeypatch, folder):
    """The report of a claim with this name in all its parts, tested by three runs."""
    parts = dict(metric=name, notebook="nb", figure=f"{name}.png", tested_on=name)
    claim = Claim(name, name, name, data=("x", name), **parts)
    monkeypatch.setattr(ledger, "all_claims", lambda: (claim,))
    return ledger.write_report(ledger.build_ledger(), folder / "report.html").read_text("utf-8")


def test_what_a_claim_names_is_shown_letter_by_letter(project, tmp_path, monkeypatch):
    plain = Seen(page_of("plain", monkeypatch, tmp_path))
    for name in NAMES:
        for seed in range(3):
            project(seed, {name: IMAGES}, started=f"2026 {name}")
        seen = Seen(page_of(name, monkeypatch, tmp_path))
        shown = name.replace("\udce9", "\\udce9")
        assert f"{shown} ({shown})" in seen.words and "supported" in seen.words, name
        assert (seen.tags, seen.attributes) == (plain.tags, plain.attributes), name
    for path in (tmp_path / "figures").glob("*/records/*"):
        path.unlink()


def test_figures_have_links_that_lead_to_them_and_none_leads_outside(
    project, tmp_path, monkeypatch, save
):
    save(tmp_path / "figures" / "nb" / 'a "b" %20#.png', np.zeros((8, 8), np.uint8))
    save(tmp_path / "secret.png", np.zeros((8, 8), np.uint8))
    inside, outside = (
        Seen(page_of(name, monkeypatch, tmp_path)) for name in ('a "b" %20#', "../../secret")
    )
    assert f"#{inside.ids[-1]}" in inside.links and len(inside.ids) == len(set(inside.ids))
    assert not outside.links
    (tmp_path / "figures" / "nb" / "broken.png").write_bytes(b"\x89PNG")
    with pytest.raises(DataError, match="broken.png is no image"):
        page_of("broken", monkeypatch, tmp_path)


@pytest.mark.parametrize(
    "part", [slice(0, 0), slice(0, 1), slice(1, 2), slice(None, None, -1)], ids=str
)
def test_the_page_takes_a_part_of_the_ledger(project, tmp_path, monkeypatch, part):
    table = ledger.build_ledger().iloc[part]
    page = ledger.write_report(table, tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count("<tr id=") == len(table)
    ledger.compare_with_abstract(table), ledger.chance_of(table)
    monkeypatch.setattr(ledger, "ABSTRACT", {})  # sentences that are no longer those of the table
    assert ledger.write_report(table, tmp_path / "report.html").read_text(encoding="utf-8").count(
        "<tr id="
    ) == len(table)
    monkeypatch.setattr(ledger, "all_claims", lambda: ())
    assert ledger.build_ledger().empty and list(ledger.build_ledger().columns) == list(table)


@pytest.mark.parametrize(
    "text, words",
    [
        ("", "is no run record"),
        ("{", "is no run record"),
        ("null", "lacks a name"),
        ("[1]", "lacks a name"),
        ("[" * 100_000, "is no run record"),
        ('{"name": "nb"}', "lacks a name"),
        ('{"name": "nb", "parameters": [], "claims": {}}', "parameters must be a dict"),
        ('{"name": 3, "parameters": {}, "claims": {}}', "name must be a str"),
        ('{"name": "nb", "parameters": {}, "claims": {"s": 1}}', 'claim "s" has no numbers'),
        ('{"name": "nb", "parameters": {}, "claims": {"s": {"better": 1}}}', "has no numbers"),
        (
            '{"name": "nb", "parameters": {}, "claims": {"s": {"better": ["a"], "worse": 1}}}',
            "has no numbers",
        ),
        ('{"name": "nb", "parameters": {}, "claims": {}, "seed": "x"}', "seed must be a int"),
        ('{"name": "nb", "parameters": {}, "claims": {}, "data": null}', "data must be a dict"),
    ],
)
def test_a_record_that_is_none_is_named(project, tmp_path, text, words):
    path = tmp_path / "figures" / "nb" / "records" / "broken.json"
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=f"broken.json is no run record.*{words}|{words}"):
        ledger.build_ledger()


def test_old_records_without_seed_or_date_do_not_stop_the_ledger(project, tmp_path):
    path = tmp_path / "figures" / "nb" / "records" / "old.json"
    path.parent.mkdir(parents=True)
    outcome = {"vessel found": {"better": 1, "worse": 0}}
    parameters = {"tier": "class", "dataset": "x"}
    path.write_text(
        json.dumps({"name": "nb", "parameters": parameters, "claims": outcome}), encoding="utf-8"
    )
    assert ledger.build_ledger().loc[("found", "x"), "state"] == "too few runs"


def test_cells_of_a_markdown_table_cannot_be_left():
    text = as_markdown(["a|b"], [["<script>\n| --- |"]])
    assert len(text.splitlines()) == 3 and "<script" not in text and text.count("|") == 9
    assert len(re.findall(r"(?<!\\)\|", text)) == 6
    with pytest.raises(ValueError, match="must have 2 texts"):
        as_markdown(["a", "b"], [["x"]])


def test_the_abstract_is_tested_by_claims_that_exist():
    known = {claim.id for claim in claims.all_claims()}
    assert all(set(ids) <= known for ids in ledger.ABSTRACT.values())
