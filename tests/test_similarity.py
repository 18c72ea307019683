import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from ldr_lib.similarity import RANKED, moments, retrieval, standardised


def draws(truth, inside, queries, seed):
    """The queries and the ranked pixels of each image, as the docstring of `retrieval` says."""
    rng = np.random.default_rng(seed)
    structure = [np.flatnonzero(t & i) for t, i in zip(truth, inside)]
    asked = [rng.choice(found, queries) for found in structure]
    for i, within in enumerate(inside):
        others = np.setdiff1d(np.flatnonzero(within), asked[i])
        ranked = rng.choice(others, min(RANKED, len(others)), replace=False)
        elsewhere = np.concatenate([np.stack([np.full(queries, j), asked[j]], 1)
                                    for j in range(len(inside)) if j != i])  # fmt: skip
        yield i, asked[i], ranked, rng.permutation(elsewhere)[:queries]


@pytest.mark.parametrize("integers", [False, True], ids=["all different", "with ties"])
def test_retrieval_equals_scikit_learn_query_by_query(integers):
    rng = np.random.default_rng(0)
    truth, inside = rng.random((3, 20, 20)) < 0.3, rng.random((3, 20, 20)) < 0.8
    features = rng.normal(size=(3, 20, 20, 4)) * [1, 5, 0.1, 2] + truth[..., None]
    features = features.round() if integers else features
    z = (features - features[inside].mean(0)) / features[inside].std(0)
    flat = (z / np.linalg.norm(z, axis=-1, keepdims=True)).reshape(3, 400, 4)
    found = retrieval(features, truth, inside, queries=5, seed=7)
    for i, own, ranked, foreign in draws(truth, inside, 5, 7):
        belongs = truth[i].ravel()[ranked]
        for where, queries in (
            ("", flat[i][own]),
            (" across", np.stack([flat[j][p] for j, p in foreign])),
        ):
            for name, measure in (("AUC", roc_auc_score), ("AP", average_precision_score)):
                by_hand = [measure(belongs, (flat[i][ranked] @ q).round(6)) for q in queries]
                assert found[name + where][i] == pytest.approx(np.mean(by_hand), abs=0.01)


def test_retrieval_is_perfect_for_separate_and_chance_for_random_features():
    rng = np.random.default_rng(0)
    truth, inside = rng.random((2, 30, 30)) < 0.3, np.ones((2, 30, 30), bool)
    noise = rng.normal(size=(2, 30, 30, 4))
    separate = noise * 0.01 + 5 * truth[..., None]
    assert (retrieval(separate, truth, inside) > 0.99).all(axis=None)
    found, share = retrieval(noise, truth, inside, queries=20), truth.mean((1, 2))
    for where in ("", " across"):
        assert found["AUC" + where].to_numpy() == pytest.approx([0.5, 0.5], abs=0.05)
        assert found["AP" + where].to_numpy() == pytest.approx(share, abs=0.06)


def test_neither_unit_nor_offset_of_a_feature_counts():
    rng = np.random.default_rng(0)
    truth, inside = rng.random((2, 30, 30)) < 0.3, rng.random((2, 30, 30)) < 0.9
    features = rng.normal(size=(2, 30, 30, 4)) + truth[..., None]
    changed = features * [1, 100, 0.01, 3] + [0, 50, 1, -2]
    changed[~inside] = 1e6  # what lies outside plays no part
    same = retrieval(changed, truth, inside)
    np.testing.assert_allclose(same, retrieval(features, truth, inside), atol=1e-6)


def test_a_single_feature_is_ranked_by_difference():
    rng = np.random.default_rng(0)
    truth, inside = rng.random((2, 30, 30)) < 0.3, np.ones((2, 30, 30), bool)
    grey = np.where(truth, 0.5, rng.choice([0.1, 0.9], truth.shape))[..., None]
    noisy = grey + rng.normal(0, 0.02, grey.shape)
    assert (retrieval(noisy, truth, inside) > 0.99).all(axis=None)  # neither bright nor dark


def test_across_images_a_structure_that_looks_otherwise_in_each_is_not_found():
    rng = np.random.default_rng(0)
    truth, inside = rng.random((2, 30, 30)) < 0.3, np.ones((2, 30, 30), bool)
    features = rng.normal(size=(2, 30, 30, 4)) * 0.1
    features[0][truth[0]] += [3, 0, 0, 0]
    features[1][truth[1]] += [0, 3, 0, 0]
    found = retrieval(features, truth, inside)
    assert (found["AP"] > 0.95).all() and (found["AP across"] < 0.7).all()


def test_retrieval_is_undefined_where_an_image_lacks_the_structure_or_all_else():
    features = np.random.default_rng(0).normal(size=(3, 8, 8, 2))
    truth = np.zeros((3, 8, 8), bool)
    truth[0, :, :4], truth[1] = True, True
    found = retrieval(features, truth, np.ones_like(truth))
    assert found[["AUC", "AP"]].iloc[0].notna().all() and found.iloc[1:].isna().all(axis=None)
    assert found[["AUC across", "AP across"]].isna().all(axis=None)  # no other image to ask
    nothing = np.zeros_like(truth)
    assert retrieval(features, nothing, ~nothing).isna().all(axis=None)


def test_standardised_features_are_unit_vectors_of_the_given_scale():
    rng = np.random.default_rng(0)
    features, inside = rng.normal(3, 7, size=(2, 9, 9, 5)), rng.random((2, 9, 9)) < 0.7
    mean, deviation = moments(features, inside)
    np.testing.assert_allclose(mean, features[inside].mean(0))
    np.testing.assert_allclose(deviation, features[inside].std(0))
    z = standardised(features, mean, deviation)
    np.testing.assert_allclose(np.linalg.norm(z, axis=-1), 1, atol=1e-6)
    cosine = (features - mean) / deviation
    cosine /= np.linalg.norm(cosine, axis=-1, keepdims=True)
    np.testing.assert_allclose(z, cosine, atol=1e-6)
