"""Outputs are compared example by example: correlations, classes, and lists of detections."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from visualcnn_tf.export.comparison import Comparison, compare, correlations, pooled_correlation, same_class
from visualcnn_tf.export.detections import in_the_models_order
from visualcnn_tf.export.mask_ties import tied_masks
from visualcnn_tf.export.output_check import sum_up
from visualcnn_tf.export.output_roles import OutputRoles

RNG = np.random.default_rng(0)
MAPS = RNG.uniform(size=(5, 6, 7)).astype("float32")


def rows(array: Any) -> np.ndarray:
    return np.asarray(array, np.float64).reshape(len(array), -1)


# Correlation ------------------------------------------------------------------------------------------------------


def test_correlation_is_that_of_numpy_for_each_example() -> None:
    other = MAPS * RNG.uniform(0.2, 1, MAPS.shape).astype("float32")
    want = [np.corrcoef(a, b)[0, 1] for a, b in zip(rows(MAPS), rows(other), strict=True)]
    np.testing.assert_allclose(correlations(rows(MAPS), rows(other)), want, atol=1e-12)
    np.testing.assert_allclose(correlations(rows(MAPS), rows(-3 * MAPS + 5)), -1, atol=1e-9)
    np.testing.assert_allclose(correlations(rows(1e-30 * MAPS), rows(MAPS)), 1, atol=1e-9)


@pytest.mark.parametrize(
    ("a", "b", "want"),
    [
        ([0.0, 0, 0], [0.0, 0, 0], 1),
        ([0.7, 0.7, 0.7], [0.0, 0, 0], 1),
        ([0.0, 0, 0], [0.0, 1, 0], 0),
        ([0.0, 1, 0], [0.5, 0.5, 0.5], 0),
        ([0.3, np.nextafter(np.float32(0.3), 1), 0.3], [0.0, 1, 0], 0),  # constant but for rounding
        ([np.nan, 1, 0], [0.0, 1, 0], 0),
        ([np.inf, 1, 0], [0.0, 1, 0], 0),
    ],
    ids=["blank", "constant", "only one blank", "only one constant", "rounding", "nan", "infinity"],
)
def test_the_correlation_of_a_constant_map(a: Any, b: Any, want: float) -> None:
    assert correlations(np.array([a], float), np.array([b], float)).tolist() == [want]


def test_the_pooled_correlation_is_that_of_all_values() -> None:
    a, b = RNG.normal(5, 2, (40, 3)), RNG.normal(5, 2, (40, 3))
    b += a
    want = np.corrcoef(a.ravel(), b.ravel())[0, 1]
    parts = [compare(*(x[i : i + 8].astype("float32") for x in (b, a, a))) for i in range(0, 40, 8)]
    assert pooled_correlation(Comparison.joined(parts, 40).sums) == pytest.approx(want, abs=1e-6)
    same = np.full((4, 1), 0.25, np.float32)
    assert pooled_correlation(compare(same, same, same).sums) == 1
    assert pooled_correlation(compare(a[:4, :1], same, same).sums) == 0


# The sum of all examples -------------------------------------------------------------------------------------------


def test_a_check_tells_of_the_worst_example() -> None:
    got = MAPS.copy()
    got[3] = 1 - got[3]
    check = sum_up(compare(got, MAPS, MAPS), is_map=True)
    assert check.correlation == pytest.approx((4 - 1) / 5)
    assert check.correlation_min == pytest.approx(-1)
    assert check.correlation_p5 == pytest.approx(np.percentile([1, 1, 1, -1, 1], 5))
    assert check.max_difference == pytest.approx(np.abs(got - MAPS).max())
    assert (check.compared, check.blank, check.agreement) == (5, 0, None)


def test_a_batch_that_is_filled_up_counts_once() -> None:
    first, second = MAPS[:3], np.concatenate([MAPS[3:], MAPS[3:4]])
    parts = [compare(x, x, x) for x in (first, second)]
    assert sum_up(Comparison.joined(parts, 5), is_map=True).compared == 5


def test_blank_maps_are_counted() -> None:
    want = MAPS * np.array([1, 0, 1, 0, 0])[:, None, None].astype("float32")
    assert sum_up(compare(want, want, want), is_map=True).blank == 3


@pytest.mark.parametrize(
    ("got", "want", "share"),
    [
        ([[0.1, 0.9], [0.6, 0.4]], [[0.2, 0.8], [0.4, 0.6]], [1, 0]),
        ([[0.4], [0.9]], [[0.6], [0.7]], [0, 1]),  # a probability of the second of two classes
        ([[4.0], [0.9]], [[2.0], [0.7]], [np.nan, np.nan]),  # no probability
        ([0.4, 0.9], [0.6, 0.7], [np.nan, np.nan]),
        (np.array([[1, 2], [3, 4]]), np.array([[1, 2], [4, 3]]), [1, 0]),
        ([[[0.1, 0.9], [0.6, 0.4]]], [[[0.1, 0.9], [0.4, 0.6]]], [0.5]),  # a class for each position
    ],
    ids=["scores", "one probability", "one number", "vector", "classes", "dense"],
)
def test_classes_agree(got: Any, want: Any, share: Any) -> None:
    np.testing.assert_array_equal(same_class(np.asarray(got), np.asarray(want)), share)


# Lists of detections -----------------------------------------------------------------------------------------------


def detections(scores: Any) -> dict[str, np.ndarray]:
    count = len(scores)
    boxes = np.random.default_rng(1).uniform(0, 300, (1, count, 4)).astype("float32")
    labels = np.arange(count, dtype="float32")[None] % 3
    return {"boxes": boxes, "scores": np.array([scores], "float32"), "labels": labels}


def swapped(outputs: dict[str, np.ndarray], i: int, j: int) -> dict[str, np.ndarray]:
    order = np.arange(outputs["scores"].shape[1])
    order[[i, j]] = order[[j, i]]
    scores = outputs["scores"]  # the file sorts them, too
    return {name: scores if name == "scores" else array[:, order] for name, array in outputs.items()}


NAMES = ("boxes", "scores", "labels")


@pytest.mark.parametrize("scores", [[0.9, 0.70001, 0.7, 0.2], [0.9, 0.7, 0.7, 0.7]], ids=["nearly equal", "equal"])
def test_rows_of_equal_scores_may_change_places(scores: Any) -> None:
    want = detections(scores)
    found = in_the_models_order(swapped(want, 1, 2), want, NAMES, 1e-4)
    for name in NAMES:
        np.testing.assert_allclose(found[name], want[name], atol=2e-5)


def test_equal_scores_in_any_order_with_other_rounding() -> None:
    want = detections([0.9, 0.5, 0.5, 0.5, 0.5, 0.1])
    order = [0, 3, 1, 4, 2, 5]
    got = {name: array[:, order] * (1 + 1e-6) for name, array in want.items()}
    found = in_the_models_order(got, want, NAMES, 1e-4)
    for name in NAMES:
        np.testing.assert_allclose(found[name], want[name], rtol=1e-5)


def test_rows_of_other_scores_may_not() -> None:
    want = detections([0.9, 0.7, 0.6, 0.2])
    got = swapped(want, 1, 2)
    np.testing.assert_array_equal(in_the_models_order(got, want, NAMES, 1e-4)["boxes"], got["boxes"])
    assert (got["boxes"] != want["boxes"]).any()


@pytest.mark.parametrize(
    "outputs",
    [
        {"probabilities": np.array([[0.5, 0.5, 0.0]])},
        {"positions": RNG.normal(size=(1, 9, 4))},  # no column is sorted
        {"one": np.array([[0.2, 0.8, 0.0]]), "other": np.array([[0.3, 0.3, 0.4]])},
        {"boxes": np.full((1, 4, 2), 7.0)},
    ],
    ids=["scores of classes", "a sequence", "two heads", "constant"],
)
def test_outputs_that_are_no_lists_keep_their_order(outputs: dict[str, np.ndarray]) -> None:
    got = {name: array[:, ::-1].copy() for name, array in outputs.items()}
    found = in_the_models_order(got, outputs, tuple(outputs), 1e-4)
    for name in outputs:
        np.testing.assert_array_equal(found[name], got[name])


def test_one_output_with_scores_in_a_column() -> None:
    want = RNG.uniform(size=(2, 5, 6)).astype("float32")
    want[..., 4] = [0.9, 0.8, 0.8, 0.3, 0.3]
    got = want[:, [0, 2, 1, 4, 3]]
    np.testing.assert_array_equal(in_the_models_order({"rows": got}, {"rows": want}, ["rows"], 1e-4)["rows"], want)


# Classes that tie --------------------------------------------------------------------------------------------------


def test_classes_of_nearly_equal_scores_may_change() -> None:
    roles = OutputRoles(classes="explained_class", scores="predictions")
    predictions = np.array([[0.4, 0.399999, 0.2], [0.5, 0.3, 0.2], [0.4, 0.4, 0.2]], "float32")
    want = {"predictions": predictions, "explained_class": np.array([0, 0, 0], np.int32)}
    got = {"predictions": predictions, "explained_class": np.array([1, 1, -1], np.int32)}
    assert roles.tied(got, want, 1e-4).tolist() == [True, False, False]


def test_maps_are_left_out_where_another_class_is_explained() -> None:
    roles = OutputRoles(frozenset(["top1", "top2", "both"]), {"top1": 0, "top2": 1, "both": None}, "classes")
    want = {"classes": np.array([[3, 5], [3, 5]])}
    got = {"classes": np.array([[3, 5], [3, 4]])}
    found = {name: roles.explains_the_same(name, got, want) for name in ("top1", "top2", "both", "agnostic")}
    assert found.pop("agnostic") is None
    assert {name: same.tolist() for name, same in found.items()} == {
        "top1": [True, True],
        "top2": [True, False],
        "both": [True, False],
    }


# Ties of masks -----------------------------------------------------------------------------------------------------

PIXELS = np.zeros((1, 4, 4, 3))
PIXELS[0, :, :2, 0] = PIXELS[0, :, 2:, 1] = 1.0  # eight pixels each of classes 0 and 1


@pytest.mark.parametrize(
    ("change", "found", "own", "is_tied"),
    [
        (None, 0, 1, True),  # as many pixels
        (None, 0, 2, False),
        (None, 2, -1, True),  # neither has a pixel
        (((0, 2), [1.0, 0.0, 0.0]), 0, 1, False),  # nine and seven, surely
        (((0, 2), [0.5 + 5e-7, 0.5 - 5e-7, 0.0]), 0, 1, True),  # nine and seven, one of them unsure
        (((0, 2), [0.0, 0.5 - 5e-7, 0.5 + 5e-7]), 2, -1, True),  # one pixel or none
        (((0, 2), [0.0, 0.0, 1.0]), 2, -1, False),
    ],
)
def test_masks_are_tied_by_the_pixels_that_rounding_may_move(change: Any, found: int, own: int, is_tied: bool) -> None:
    scores = PIXELS.copy()
    if change is not None:
        scores[(0, *change[0])] = change[1]
    roles = OutputRoles(classes="explained_class", scores="masks", class_axis=1)
    arrays = [{"masks": np.moveaxis(scores, -1, 1), "explained_class": np.array([k])} for k in (found, own)]
    assert roles.tied(*arrays, 1e-5).tolist() == [is_tied]


def test_ties_of_one_sigmoid_mask() -> None:
    scores = np.full((1, 2, 2, 1), 0.9)
    scores[0, 0] = 0.1
    for value, is_tied in ((0.1, True), (0.5, True), (0.9, False)):
        scores[0, 0, 0] = value
        assert tied_masks(scores, np.array([[0]]), np.array([[1]]), 1e-5).tolist() == [is_tied]
