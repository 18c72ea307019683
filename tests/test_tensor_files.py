"""Weights, checkpoints and teacher maps that were damaged on disk are named and never used."""

import hashlib
import os
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from ldr_lib import DataError, TwoBranchNet, load_model, save_model
from ldr_lib.data.augment import standardise
from ldr_lib.guided.priors import vessel_trees
from ldr_lib.guided.settings import GuidedSettings
from ldr_lib.guided.training import train_guided
from ldr_lib.guided.vessel_pairs import VesselPairs
from ldr_lib.network import Encoder
from ldr_lib.pretrained import (
    WEIGHTS,
    load_encoder,
    load_pretrained,
    load_representation,
    load_weights,
    random_encoder,
)
from ldr_lib.structures import guide_for
from ldr_lib.tensor_files import SUMS, fingerprint_of, list_sums, read_tensors, save_tensors
from ldr_lib.transfer.pretraining import save_encoder


def flip(path, place):
    """Flips a bit at a share of the header (below 0) or of the tensors (from 0 to 1)."""
    content = bytearray(path.read_bytes())
    header = 8 + int.from_bytes(content[:8], "little")
    at = (
        int(-place * (header - 1))
        if place < 0
        else header + int(place * (len(content) - header - 1))
    )
    content[at] ^= 4
    path.write_bytes(content)


def cut(path, share):
    os.truncate(path, int(share * path.stat().st_size))


def zero_tail(path, share):
    size = path.stat().st_size
    cut(path, 1 - share)
    os.truncate(path, size)


DAMAGE = {
    **{f"header flipped at {p}": (flip, -p) for p in (0.001, 0.005, 0.01, 0.3, 0.6, 0.9, 0.99)},
    **{f"tensors flipped at {p}": (flip, p) for p in (0.0, 0.2, 0.5, 0.8, 1.0)},
    **{f"cut to {share}": (cut, share) for share in (0.0, 0.1, 0.5, 0.999)},
    **{f"last {share} zeroed": (zero_tail, share) for share in (0.001, 0.3)},
    "text": (lambda path, text: path.write_text(text, encoding="utf-8"), "no weights"),
    "longer": (lambda path, more: path.write_bytes(path.read_bytes() + more), b"\0\0"),
    "gone": (lambda path, _: path.unlink(), None),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder with one file of each kind, and the function that reads it from another folder."""
    folder = tmp_path_factory.mktemp("whole")
    rng = np.random.default_rng(0)
    images, inside = rng.integers(40, 200, (4, 64, 64, 3), np.uint8), np.ones((4, 64, 64), bool)
    pairs = VesselPairs(images, inside, vessel_trees(2, 0, 64), size=32)
    settings = GuidedSettings(
        n_clusters=8,
        pairs=1,
        view_size=32,
        crop_scale=(0.4, 0.6),
        stages=({"confident": 1.0},),
        epochs=(1,),
        steps=1,
        rendered=2,
    )
    given = (standardise(images, inside), pairs, guide_for("vessel"), settings)
    with pytest.MonkeyPatch.context() as patch:  # the teacher takes long
        patch.setattr(
            "ldr_lib.guided.training.teacher_maps", lambda *_: np.ones((4, 1, 64, 64), np.float32)
        )
        train_guided(*given, folder, "cpu")
    save_encoder(Encoder(3), folder / "encoder.safetensors")

    def resume(folder):
        train_guided(*given, folder, "cpu", resume=True)

    def weights(folder):
        load_weights(random_encoder(3, seed=9), folder / "encoder.safetensors")

    return folder, {
        "model": lambda folder: load_model(folder / "model.safetensors", "cpu"),
        "encoder": weights,
        "checkpoint": resume,
        "teacher": resume,
    }


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("kind", ["model", "encoder", "checkpoint", "teacher"])
def test_damage_is_noticed_and_the_file_named(whole, tmp_path, kind, damage):
    source, read = whole
    folder = shutil.copytree(source, tmp_path / "run")
    read[kind](folder)
    path = folder / f"{kind}.safetensors"
    apply, how_much = DAMAGE[damage]
    apply(path, how_much)
    if (kind, damage) == ("checkpoint", "gone"):  # nothing to go on from: trained anew
        return
    with pytest.raises(
        DataError, match=f"{kind}.safetensors.*([Cc]opy it|[Rr]emove it|anew|pickle)"
    ):
        read[kind](folder)


@pytest.mark.parametrize("place", [-0.6, 0.0, 0.3, 0.7, 1.0])
@pytest.mark.parametrize(
    "name, load",
    [
        ("vessel", lambda: load_pretrained("fundus", "cpu")),
        ("representation_fundus_both_1000", lambda: load_representation("fundus", "cpu")),
        ("encoder_chest_dense", lambda: load_encoder("chest", "dense", "cpu")),
    ],
)
def test_damaged_weights_of_the_package_are_noticed(tmp_path, monkeypatch, name, load, place):
    shutil.copytree(WEIGHTS, tmp_path / "weights")
    monkeypatch.setattr("ldr_lib.pretrained.WEIGHTS", tmp_path / "weights")
    load()
    flip(tmp_path / "weights" / f"{name}.safetensors", place)
    with pytest.raises(DataError, match=f"{name}.safetensors"):
        load()


def test_the_package_lists_the_checksums_of_its_weights():
    lines = (WEIGHTS / SUMS).read_text(encoding="utf-8").splitlines()
    listed = dict(reversed(line.split("  ")) for line in lines)
    assert listed.keys() == {path.name for path in WEIGHTS.glob("*.safetensors")}
    for name, digest in listed.items():
        assert hashlib.sha256((WEIGHTS / name).read_bytes()).hexdigest() == digest


def test_a_list_of_checksums_is_written_as_the_package_has_it(tmp_path):
    for path in WEIGHTS.glob("*.safetensors"):
        shutil.copy(path, tmp_path)
    assert list_sums(tmp_path).read_bytes() == (WEIGHTS / SUMS).read_bytes()


def test_files_without_a_checksum_are_read(tmp_path):
    save_file({"a": torch.ones(2)}, tmp_path / "a.safetensors", {"note": "mine"})
    tensors, about = read_tensors(tmp_path / "a.safetensors", "")
    assert torch.equal(tensors["a"], torch.ones(2)) and about == {"note": "mine"}


@pytest.mark.parametrize(
    "value",
    [
        torch.tensor(3),
        torch.rand(2, 3, 4, 5).contiguous(memory_format=torch.channels_last),
        torch.rand(4).half(),
        torch.rand(4).bfloat16(),
        torch.tensor([True, False]),
        torch.zeros(0),
    ],
)
def test_tensors_come_back_as_they_were(tmp_path, value):
    save_tensors({"a": value}, tmp_path / "a.safetensors", {"note": "mine"})
    tensors, about = read_tensors(tmp_path / "a.safetensors", "")
    assert torch.equal(tensors["a"], value) and tensors["a"].dtype == value.dtype
    assert about == {"note": "mine"}
    assert torch.equal(load_file(tmp_path / "a.safetensors")["a"], value)


def test_fingerprints_tell_networks_apart():
    one, other = TwoBranchNet(n_clusters=3), TwoBranchNet(n_clusters=3)
    assert fingerprint_of(one.state_dict()) != fingerprint_of(other.state_dict())
    other.load_state_dict(one.state_dict())
    assert fingerprint_of(one.state_dict()) == fingerprint_of(other.state_dict())
    moved = {
        name: value.to(memory_format=torch.channels_last) if value.ndim == 4 else value
        for name, value in one.state_dict().items()
    }
    assert fingerprint_of(moved) == fingerprint_of(one.state_dict())


def test_a_network_saved_at_half_precision_is_loaded_at_full(tmp_path):
    save_model(TwoBranchNet(1).half(), tmp_path / "net.safetensors")
    for net in (load_model(tmp_path / "net.safetensors", "cpu"), *load_pretrained("chest", "cpu")):
        assert {p.dtype for p in net.parameters()} == {torch.float32}
