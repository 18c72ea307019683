"""Guided training: its losses against float64 formulas, its stages, and that it can be resumed."""

import json
import warnings
from copy import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from ldr_lib.checkpoint import identity, state_fingerprint
from ldr_lib.data.augment import standardise
from ldr_lib.data.errors import DataError
from ldr_lib.data.views import ViewMaker
from ldr_lib.guided import training
from ldr_lib.guided.adversary import Discriminator
from ldr_lib.guided.batch import GuidedBatch
from ldr_lib.guided.predict import teacher_maps
from ldr_lib.guided.priors import vessel_trees
from ldr_lib.guided.settings import METHODS, GuidedSettings, method_stages
from ldr_lib.guided.training import guided_learner, train_guided
from ldr_lib.guided.vessel_pairs import VesselPairs
from ldr_lib.losses import calibration_loss, confident_loss, guided_loss
from ldr_lib.network import TwoBranchNet
from ldr_lib.structures import guide_for
from ldr_lib.tensor_files import read_tensors

TINY = GuidedSettings(
    n_clusters=8, pairs=1, view_size=32, crop_scale=(0.4, 0.6), epochs=(1, 2), steps=2, rendered=3
)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    images, inside = (
        rng.integers(40, 200, (4, 64, 64, 3), dtype=np.uint8),
        np.ones((4, 64, 64), bool),
    )
    make_pairs = VesselPairs(images, inside, vessel_trees(2, 0, 64), size=32)
    return standardise(images, inside), make_pairs


def test_guided_loss_equals_its_formula():
    rng = np.random.default_rng(0)
    p, t = rng.uniform(0.05, 0.95, (2, 3, 5, 4)), rng.integers(0, 2, (2, 3, 5, 4)).astype(float)
    entropy = -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean()
    overlaps = [
        (2 * (p[:, s] * t[:, s]).sum() + 1) / (p[:, s].sum() + t[:, s].sum() + 1) for s in range(3)
    ]
    maps, targets = torch.from_numpy(p).float(), torch.from_numpy(t).float()
    expected = entropy + 1 - np.mean(overlaps)
    assert guided_loss(maps, targets).item() == pytest.approx(expected, rel=1e-4)
    assert calibration_loss(maps, targets).item() == pytest.approx(entropy, rel=1e-5)


def test_only_confident_pseudo_labels_have_a_gradient():
    teacher = torch.tensor([0.9, 0.5, 0.1, 0.79]).reshape(1, 1, 1, 4)
    maps = torch.tensor([0.6, 0.2, 0.4, 0.3]).reshape(1, 1, 1, 4).requires_grad_()
    loss = confident_loss(maps, teacher)
    assert loss.item() == pytest.approx(-(np.log(0.6) + np.log(0.6)) / 2, rel=1e-5)
    loss.backward()
    assert (
        maps.grad[0, 0, 0, 1] == maps.grad[0, 0, 0, 3] == 0
        and maps.grad[0, 0, 0, 0] < 0 < maps.grad[0, 0, 0, 2]
    )


def stages(method):
    return {"stages": method_stages(method), "epochs": (1, 1, 2)[: len(method_stages(method))]}


@pytest.mark.parametrize("method", METHODS)
def test_every_method_trains_and_moves_the_network(data, tmp_path, method):
    images, make_pairs = data
    after = []
    net, rows = train_guided(
        images,
        make_pairs,
        guide_for("vessel"),
        replace(TINY, **stages(method)),
        tmp_path,
        "cpu",
        after_epoch=after.append,
    )
    torch.manual_seed(0)
    assert len(rows) == len(after) == sum(stages(method)["epochs"])
    assert net.guide == guide_for("vessel") and all(each is net for each in after)
    named = [set(stage) for stage in method_stages(method)]
    assert all(named[row["stage"] - 1] <= row.keys() for row in rows)
    assert not torch.equal(
        TwoBranchNet(3, 32, 8).encoder.groups[0][0][0].weight, net.encoder.groups[0][0][0].weight
    )


def test_resumed_equals_uninterrupted(data, tmp_path):
    images, make_pairs = data
    settings = replace(TINY, **stages("combined"))
    whole, rows = train_guided(
        images, make_pairs, guide_for("vessel"), settings, tmp_path / "whole", "cpu"
    )

    class Interrupted(Exception):
        pass

    epochs = []

    def stop(net):
        epochs.append(net)
        if len(epochs) == 4:
            raise Interrupted("the power went")

    with pytest.raises(Interrupted):
        train_guided(
            images,
            make_pairs,
            guide_for("vessel"),
            settings,
            tmp_path / "parts",
            "cpu",
            after_epoch=stop,
        )
    resumed, again = train_guided(
        images, make_pairs, guide_for("vessel"), settings, tmp_path / "parts", "cpu", resume=True
    )
    assert all(
        torch.equal(a, b)
        for a, b in zip(whole.state_dict().values(), resumed.state_dict().values())
    )
    for row in (*rows, *again):
        del row["seconds"]
    assert rows == again


@pytest.fixture
def quick_teacher(monkeypatch):
    """A teacher whose maps depend on its weights and take no time."""

    def maps(net, images):
        share = next(net.parameters()).detach().abs().mean().sigmoid()
        return np.full((len(images), 1, *images.shape[1:3]), share, np.float32)

    monkeypatch.setattr(training, "teacher_maps", maps)


class Interrupted(Exception):
    pass


def interrupted(epoch, *arguments, **options):
    """Trains until this epoch has ended but has not been kept."""
    epochs = []

    def stop(net):
        epochs.append(net)
        if len(epochs) == epoch:
            raise Interrupted("the power went")

    with pytest.raises(Interrupted):
        train_guided(*arguments, after_epoch=stop, **options)


def equal(one, other):
    return all(
        torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values())
    )


def test_a_run_begun_anew_and_killed_before_its_first_checkpoint_mixes_nothing(
    data, tmp_path, quick_teacher
):
    images, make_pairs = data
    settings = replace(TINY, **stages("combined"))
    given = (images, make_pairs, guide_for("vessel"), settings)
    whole, _ = train_guided(*given, tmp_path / "whole", "cpu")
    interrupted(4, *given, tmp_path / "parts", "cpu")  # in the middle of stage 3
    interrupted(1, *given, tmp_path / "parts", "cpu", resume=False)
    resumed, _ = train_guided(*given, tmp_path / "parts", "cpu", resume=True)
    assert equal(whole, resumed)


def test_another_start_other_images_or_teacher_images_are_refused(data, tmp_path, quick_teacher):
    images, make_pairs = data
    settings = replace(TINY, stages=({"confident": 1.0},), epochs=(2,))
    start, other = TwoBranchNet(3, 32, 8), TwoBranchNet(3, 32, 8)
    given = (make_pairs, guide_for("vessel"), settings, tmp_path, "cpu")
    interrupted(2, images, *given, start=start)
    for changes, message in (
        (dict(start=other), "checkpoint.* belongs to another run: start was"),
        (dict(start=None), "checkpoint.* belongs to another run: start was"),
        (dict(start=start, teacher_images=images[:2]), "teacher.* with other teacher_images"),
    ):
        with pytest.raises(DataError, match=message):
            train_guided(images, *given, resume=True, **changes)
    with pytest.raises(DataError, match="belongs to another run: data was"):
        train_guided(images[::-1], *given, resume=True, start=start)
    train_guided(images, *given, resume=True, start=start)


SHORT = replace(TINY, stages=({"guided": 1.0},), epochs=(2,))


def test_other_priors_and_guides_are_refused_and_equal_ones_go_on(data, tmp_path):
    images, make_pairs = data
    how = (SHORT, tmp_path, "cpu")
    interrupted(2, images, make_pairs, guide_for("vessel"), *how)

    def pairs(seed=0, **changes):
        rng = np.random.default_rng(0)
        eyes, inside = rng.integers(40, 200, (4, 64, 64, 3), np.uint8), np.ones((4, 64, 64), bool)
        return VesselPairs(eyes, inside, vessel_trees(2, seed, 64), size=32, **changes)

    thicker = replace(guide_for("vessel")["vessel"], clusters=(3,))
    other = replace(guide_for("vessel"), structures=(thicker,))
    for maker, guide, name in (
        (pairs(seed=1), guide_for("vessel"), "make_pairs"),
        (pairs(shuffled=True), guide_for("vessel"), "make_pairs"),
        (pairs(), other, "guide"),
    ):
        with pytest.raises(DataError, match=f"checkpoint.* belongs to another run: {name} was"):
            train_guided(images, maker, guide, *how, resume=True)
    _, rows = train_guided(images, pairs(), guide_for("vessel"), *how, resume=True)
    assert [row["epoch"] for row in rows] == [0, 1]


def test_a_function_that_makes_pairs_cannot_be_compared_and_a_warning_says_so(data, tmp_path):
    images, make_pairs = data

    def maker(n, device="cpu"):
        return make_pairs(n, device)

    given = (images, maker, guide_for("vessel"), SHORT, tmp_path, "cpu")
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "make_pairs")
        interrupted(2, *given)
    with pytest.warns(UserWarning, match="make_pairs cannot be compared .*function is a function"):
        train_guided(*given, resume=True)


def test_checkpoints_of_earlier_revisions_which_noted_no_prior_and_no_guide_go_on(
    data, tmp_path, monkeypatch, quick_teacher
):
    images, make_pairs = data
    settings = replace(TINY, stages=({"confident": 1.0},), epochs=(2,))
    given = (images, make_pairs, guide_for("vessel"), settings, tmp_path, "cpu")
    with monkeypatch.context() as earlier:
        earlier.setattr(training, "identity", lambda *given, **_: identity(*given))
        interrupted(2, *given)
    _, about = read_tensors(tmp_path / "checkpoint.safetensors", "")
    assert not {"make_pairs", "guide"} & json.loads(about["about"]).keys()
    _, rows = train_guided(*given, resume=True)
    assert len(rows) == 2
    _, about = read_tensors(tmp_path / "checkpoint.safetensors", "")
    assert {"make_pairs", "guide"} <= json.loads(about["about"]).keys()


def test_what_a_pair_maker_holds_is_fingerprinted_or_named(data):
    _, make_pairs = data
    make_pairs = copy(make_pairs)
    before = state_fingerprint(make_pairs)
    make_pairs.statistics = [one + 1e-3 for one in make_pairs.statistics]
    assert state_fingerprint(make_pairs) != before == state_fingerprint(data[1])
    make_pairs.drawn = [np.random.default_rng(0)]
    with pytest.raises(DataError, match=r"VesselPairs.drawn\[0\] is a Generator, whose content"):
        state_fingerprint(make_pairs)
    make_pairs.drawn = make_pairs
    with pytest.raises(DataError, match="VesselPairs holds itself"):
        state_fingerprint(make_pairs)


def test_maps_of_another_teacher_and_missing_ones_are_named(data, tmp_path, quick_teacher):
    images, make_pairs = data
    settings = replace(TINY, stages=({"confident": 1.0},), epochs=(2,))
    given = (images, make_pairs, guide_for("vessel"))
    interrupted(2, *given, settings, tmp_path / "one", "cpu")
    interrupted(1, *given, replace(settings, seed=1), tmp_path / "two", "cpu")
    path = tmp_path / "one" / "teacher.safetensors"
    path.write_bytes((tmp_path / "two" / "teacher.safetensors").read_bytes())
    with pytest.raises(DataError, match="teacher.safetensors belongs to a run with other seed"):
        train_guided(*given, settings, tmp_path / "one", "cpu", resume=True)
    path.unlink()
    with pytest.raises(DataError, match="teacher.safetensors, .* is missing. Begin .* anew"):
        train_guided(*given, settings, tmp_path / "one", "cpu", resume=True)


def test_a_guided_cluster_learns_its_prior(data, tmp_path):
    images, make_pairs = data
    settings = replace(
        TINY, stages=({"guided": 1.0},), epochs=(4,), steps=10, rendered=6, learning_rate=5e-3
    )
    _, rows = train_guided(images, make_pairs, guide_for("vessel"), settings, tmp_path, "cpu")
    assert rows[-1]["guided"] < 0.9 * rows[0]["guided"]


def test_mistakes_are_named(data, tmp_path):
    images, make_pairs = data
    unknown = 'unknown method "magic"; known are adversarial, rendered, combined'
    with pytest.raises(ValueError, match=unknown):
        method_stages("magic")
    with pytest.raises(DataError, match="give both the same channels and size"):
        train_guided(images[..., :1], make_pairs, guide_for("vessel"), TINY, tmp_path, "cpu")
    net = TwoBranchNet(3, 32, 8)
    with pytest.raises(DataError, match="the network has no guide"):
        guided_learner(net, Discriminator(), images, make_pairs, TINY)
    with pytest.raises(ValueError, match="unknown loss"):
        replace(TINY, stages=({"guided": 1, "magic": 1}, {}))


def test_initialisation_and_pseudo_labels_come_from_the_network_that_is_given(data, tmp_path):
    images, make_pairs = data
    torch.manual_seed(9)
    start = TwoBranchNet(3, 32, 8)
    settings = replace(TINY, stages=({"calibrate": 1.0, "confident": 1.0},), epochs=(0,))
    net, _ = train_guided(
        images, make_pairs, guide_for("vessel"), settings, tmp_path, "cpu", start=start
    )
    assert all(
        torch.equal(a, b) for a, b in zip(net.state_dict().values(), start.state_dict().values())
    )
    train_guided(
        images,
        make_pairs,
        guide_for("vessel"),
        replace(settings, epochs=(1,)),
        tmp_path,
        "cpu",
        start=start,
        teacher_images=images[:2],
    )
    kept, _ = read_tensors(tmp_path / "teacher.safetensors", "")
    pseudo_labels = kept["maps"].numpy()
    start.guide = guide_for("vessel")
    assert pseudo_labels.shape == (2, 1, 64, 64)
    assert np.array_equal(pseudo_labels, teacher_maps(start, images[:2]))


def test_the_discriminator_judges_softened_masks(data, tmp_path, monkeypatch):
    images, make_pairs = data
    judged = []
    losses = training.adversarial_losses

    def record(discriminator, maps, masks):
        judged.append(masks)
        return losses(discriminator, maps, masks)

    monkeypatch.setattr(training, "adversarial_losses", record)
    settings = replace(TINY, **stages("adversarial"))
    train_guided(images, make_pairs, guide_for("vessel"), settings, tmp_path, "cpu")
    assert judged and all(((mask > 0.001) & (mask < 0.999)).float().mean() > 0.9 for mask in judged)


def test_batches_are_split_as_they_were_stacked(data):
    images, make_pairs = data
    settings = replace(TINY, pairs=2)
    make_views = ViewMaker(settings.view_size, settings.crop_scale)
    torch.manual_seed(0)
    views = make_views(torch.from_numpy(images[:4]).permute(0, 3, 1, 2))
    rendered, teacher = make_pairs(3), make_pairs(2)
    batch = GuidedBatch(views, rendered, teacher, use_rendered=True)
    stacked = batch.stack()
    of_views, others = batch.split(stacked)
    assert torch.equal(of_views, views.stack()) and len(others) == 5
    unmixed = batch.unmixed(stacked)
    parts = batch.split_unmixed(unmixed)
    assert [len(part) for part in parts] == [views.n_unmixed, 3, 2]
    assert torch.equal(parts[0], views.stack()[: views.n_unmixed])
    assert torch.equal(parts[1], rendered.images) and torch.equal(parts[2], teacher.images)
    only_masks = GuidedBatch(views, rendered, None, use_rendered=False)
    assert [
        len(part) for part in only_masks.split_unmixed(only_masks.unmixed(only_masks.stack()))
    ] == [
        views.n_unmixed,
        0,
        0,
    ]
