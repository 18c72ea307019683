"""How fast an initialisation learns, and how many labels it needs."""

import pandas as pd
import pytest

from ldr_lib.transfer import after_steps, labels_to_reach, step_curves


def cells(
    dice: dict[tuple[str, int], float],
    looks: dict | None = None,
    seed: int = 0,
    labelled: str = "a",
) -> pd.DataFrame:
    """One frozen cell of the disc for each initialisation and number of labels."""
    return pd.DataFrame(
        dict(task="disc_drions", protocol="frozen", labels=labels, seed=seed, init=init, Dice=value)
        | {"images": pd.Series([value]), "looks": (looks or {}).get(init, {}), "labelled": labelled}
        for (init, labels), value in dice.items()
    )


def test_a_training_that_has_ended_counts_with_its_best_look():
    looks = {"random": {"40": 0.2, "80": 0.6, "120": 0.5}, "ldr": {"40": 0.5, "80": 0.4}}
    records = cells({("random", 4): 0.5, ("ldr", 4): 0.5, ("scratch", 4): 0.5}, looks)
    table = after_steps(records).pivot(index="steps", columns="init", values="Dice")
    assert table["random"].tolist() == [0.2, 0.6, 0.5]
    assert table["ldr"].tolist() == [0.5, 0.4, 0.5]  # after its end the network of step 40 is kept
    assert "scratch" not in table
    figure = step_curves(records, ("random", "ldr"))
    drawn = figure.axes[0].get_lines()
    assert [line.get_ydata().tolist() for line in drawn[:2]] == [[0.2, 0.6, 0.5], [0.5, 0.4, 0.5]]


def test_the_fewest_labels_that_reach_what_another_one_needs_all_for():
    dice = {("random", 1): 0.3, ("random", 4): 0.7, ("random", 0): 0.8}
    dice |= {("ldr", 1): 0.77, ("ldr", 4): 0.75, ("ldr", 0): 0.9}
    dice |= {("dense", 1): 0.2, ("dense", 0): 0.78, ("whole", 1): 0.1}
    table = labels_to_reach(cells(dice), share=0.95)
    row = table.loc[("disc_drions", "frozen")]
    assert row["Dice to reach"] == pytest.approx(0.76)
    assert row[["random", "ldr", "dense", "whole"]].tolist() == ["all", "1", "all", "not reached"]
    lower = labels_to_reach(cells(dice), share=0.8).loc[("disc_drions", "frozen")]
    assert lower[["random", "ldr"]].tolist() == ["4", "1"]


def test_seeds_that_drew_the_same_images_are_one_draw():
    runs = [(0, "a", 0.2), (1, "a", 0.4), (2, "b", 0.9)]
    looks = [{"random": {"40": dice, "80": 0.5}} for *_, dice in runs]
    records = pd.concat(
        cells({("random", 1): dice}, seen, seed, labelled)
        for (seed, labelled, dice), seen in zip(runs, looks)
    )
    table = after_steps(records, 1).set_index(["draw", "steps"])
    assert table["Dice"].round(6).to_dict() == {
        ("a", 40): 0.3,
        ("a", 80): 0.5,
        ("b", 40): 0.9,
        ("b", 80): 0.5,
    }
    assert table["runs"].tolist() == [2, 2, 1, 1]
    goal = cells({("random", 0): 0.6})
    reached = labels_to_reach(pd.concat([records, goal]), share=0.95)  # (0.3 + 0.9) / 2 > 0.57
    assert reached.loc[("disc_drions", "frozen"), "random"] == "1"
