"""Scores of guided networks on test images: in order, and by the cluster that fits best."""

from types import SimpleNamespace

import numpy as np

from ldr_lib.guided import tested
from ldr_lib.network import TwoBranchNet
from ldr_lib.structures import guide_for


def test_the_best_cluster_is_found_and_the_guide_left_as_it_was(monkeypatch):
    truths = [np.arange(9).reshape(3, 3) > 6]

    def predict_structure(net, image, structure, by):
        (number,) = net.guide[structure].clusters
        return truths[0] * 0.3 if number == 2 else 0.3 - truths[0] * 0.3

    samples = [SimpleNamespace(image=None, masks={"vessel": truths[0]}, name="a")]
    monkeypatch.setattr(tested, "samples_of", lambda *_: samples)
    monkeypatch.setattr(tested, "predict_structure", predict_structure)
    net = TwoBranchNet(3, 8, 4)
    number, table = tested.best_cluster(net, guide_for("vessel")["vessel"], "")
    assert number == 2 and table["average precision"].item() == 1 and net.guide is None


def test_scores_are_in_the_order_of_the_images(monkeypatch):
    samples = [SimpleNamespace(name=f"image {i}", image=i) for i in range(2)]
    truths = [np.eye(8) > 0, np.ones((6, 6)) > 0]
    for sample, truth in zip(samples, truths):
        sample.masks = {"vessel": truth}
    monkeypatch.setattr(tested, "open_dataset", lambda *_: samples)
    monkeypatch.setattr(tested, "predict_structure", lambda net, i, *_: truths[i] * (0.9 - 0.5 * i))
    table = tested.score_structure(None, "vessel", "")
    assert list(table.index) == ["image 0", "image 1"]
    assert table["Dice"].tolist() == [1, 0] and table["clDice"].tolist()[0] == 1
    assert table["oracle Dice"].tolist() == table["average precision"].tolist() == [1, 1]


def test_the_fovea_is_localised_in_disc_diameters(monkeypatch):
    middle = tested.fovea_localisation(None, 4)
    assert len(middle) == 4 and (middle["distance"] > 0).all()
    monkeypatch.setattr(
        tested, "predict_structure", lambda net, image, name: np.zeros(image.shape[:2])
    )
    nothing = tested.fovea_localisation(TwoBranchNet(), 4)
    assert np.isinf(nothing["distance"]).all()
    assert (nothing["within half a disc diameter"] == 0).all()
