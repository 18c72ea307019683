"""Cards of the shipped networks are those of their committed records."""

import json

import pytest
import yaml

from ldr_lib.guided.shipping import COLOURS, SHIPPED_RUNS, card, ship
from ldr_lib.guided.study import NAME
from ldr_lib.pretrained import WEIGHTS
from ldr_lib.runs import record_path
from ldr_lib.structures import guide_for


def committed(guided):
    label = SHIPPED_RUNS[guided]
    return json.loads(record_path(NAME, label).read_text(encoding="utf-8")), label


@pytest.mark.parametrize("guided", SHIPPED_RUNS)
def test_committed_cards_are_those_of_the_records(guided):
    assert (WEIGHTS / f"{guided}.md").read_text(encoding="utf-8") == card(
        guided, *committed(guided)
    )


@pytest.mark.parametrize("guided", SHIPPED_RUNS)
def test_a_card_has_a_readable_head_and_names_everything(guided):
    record, label = committed(guided)
    _, head, body = card(guided, record, label).split("---\n", 2)
    about = yaml.safe_load(head)
    assert about["license"] == "other" and len(about["datasets"]) == len(about["license_details"])
    for structure in guide_for(guided).names:
        assert structure in body
        if structure != "fovea":
            dice = record["metrics"][f"{structure} by cluster"]["Dice"]
            assert about["metrics"][f"Dice, {structure} by cluster"] == round(dice, 3)
            assert f"| {structure} by cluster | {dice:.3f} |" in body
    assert f"python -m ldr_lib guided {guided} " in body and label in body


def test_every_structure_has_a_colour():
    names = [name for guided in SHIPPED_RUNS for name in guide_for(guided).names]
    assert COLOURS.keys() == set(names) and len(set(COLOURS.values())) == len(names)


def test_unknown_networks_are_named():
    with pytest.raises(ValueError, match='unknown guided network "knee"; known are vessel'):
        ship("knee")
