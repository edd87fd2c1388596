"""Boxes as targets, in every form of a detector's outputs, against ``tf.gradients`` of the logit written by hand."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from support import oracle_gradient
from support.detectors import CLASSES, DETECTORS, Detector, photos
from support.oracle import assert_close
from support.other_way import intercepted
from support.runtimes import run_litert

import visualcnn_tf as vc
from visualcnn_tf.targets import Box

X = photos()
#: Forms in which the model returns the scores of all classes for each box.
OF_ALL_CLASSES = (
    *("scores_and_boxes", "several_anchors", "yolo_transposed", "levels_of_anchors"),
    *("center_net", "queries"),
)
#: Each in another way.
EXPORTED = ("scores_and_boxes", "sorted_rows", "yolo_transposed", "levels_of_anchors", "center_net_decoded")


def attached(detector: Detector, index: Any, method: Any = None, **options: Any) -> Any:
    target = Box(index, **{**detector.options, **options})
    chosen = {} if method is None else {"method": method}
    return vc.attach(detector.model, "maps", target=target, output=detector.output, normalize=None, size=None, **chosen)


def maps_and_gradients(detector: Detector, picks: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    """The feature maps of each image, and the gradient of the logit that is picked for it."""

    @tf.function
    def run(x: Any) -> Any:
        maps, logits = detector.probe(x)
        score = tf.add_n([logits[b, m, k] for b, (m, k) in enumerate(picks)])
        return maps, tf.gradients(score, maps)[0]

    return tuple(each.numpy() for each in run(tf.constant(X)))


def picked(detector: Detector, index: int) -> list[tuple[int, int]]:
    """Candidate and class of a box in each image."""
    return [detector.chosen(rows)[index] for rows in detector.probe(X)[1].numpy()]


def truth(detector: Detector, picks: list[tuple[int, int]], relu: bool = True) -> np.ndarray:
    return oracle_gradient.fuse(*maps_and_gradients(detector, picks), "hirescam", relu)


def signed() -> Any:
    return vc.methods.HiResCAM(relu=False)


@pytest.mark.sweep(cases=9)
@pytest.mark.parametrize("form", DETECTORS)
def test_the_logit_of_a_box_is_explained(form: str) -> None:
    detector = DETECTORS[form]()
    outputs = attached(detector, [0, 3], signed())(X)
    for column, index in enumerate((0, 3)):
        picks = picked(detector, index)
        assert_close(outputs[f"heatmap_maps_box{index}"], truth(detector, picks, relu=False))
        assert list(outputs["explained_class"][:, column]) == [k for _, k in picks]


def test_the_usual_method_is_hirescam() -> None:
    detector = DETECTORS["yolo"]()
    explained = attached(detector, 1)
    assert [tap.method for tap in explained.taps] == [vc.methods.HiResCAM()]
    assert_close(explained(X)["heatmap_maps"], truth(detector, picked(detector, 1)))


def test_the_usual_method_is_that_of_layers_that_no_pattern_names() -> None:
    explained = vc.attach(DETECTORS["yolo"]().model, ["maps", "coarse"], method={"maps": "mean"}, target=Box(0))
    assert [tap.method.name for tap in explained.taps] == ["mean", "hirescam"]


@pytest.mark.sweep(cases=2)
@pytest.mark.parametrize("form", ["scores_and_boxes", "sorted_rows", "top_k_lists", "levels"])
def test_a_request_asks_for_a_box(form: str) -> None:
    detector = DETECTORS[form]()
    explained = attached(detector, "input", signed())
    for asked in (2, 4):
        outputs = explained({"image": X, "box_index": np.array([asked, 10**6])})
        want = truth(detector, picked(detector, asked), relu=False)
        want[1] = 0  # there is no such box
        assert_close(outputs["heatmap_maps"], want)
        assert list(outputs["explained_class"]) == [picked(detector, asked)[0][1], -1]


@pytest.mark.sweep(cases=2)
@pytest.mark.parametrize("form", ["scores_and_boxes", "sorted_rows", "softmax_with_background"])
def test_the_best_box_is_that_with_the_highest_score(form: str) -> None:
    detector = DETECTORS[form]()
    scores = detector.probe(X)[1].numpy()
    if form == "softmax_with_background":
        powers = np.exp(scores.astype(float))
        scores = (powers / powers.sum(-1, keepdims=True))[..., 1:]
    best = [np.unravel_index(rows.argmax(), rows.shape) for rows in scores]
    picks = [(int(m), int(k) + (form == "softmax_with_background")) for m, k in best]
    want = truth(detector, picks, relu=False)
    assert_close(attached(detector, "best", signed())(X)["heatmap_maps"], want)
    asked = attached(detector, "input", signed())
    assert_close(asked({"image": X, "box_index": np.array([-1, -1])})["heatmap_maps"], want)
    assert_close(asked.predict({"image": X}, verbose=0)["heatmap_maps"], want)


@pytest.mark.sweep(cases=2)
@pytest.mark.parametrize("form", OF_ALL_CLASSES)
def test_a_class_of_a_box_can_be_named(form: str) -> None:
    detector = DETECTORS[form]()
    detector.options.pop("background", None)
    for k in range(CLASSES):
        outputs = attached(detector, 2, signed(), class_index=k)(X)
        assert_close(outputs["heatmap_maps"], truth(detector, [(2, k)] * len(X), relu=False))
        assert list(outputs["explained_class"]) == [k] * len(X)


def test_the_best_box_of_a_class() -> None:
    detector = DETECTORS["logits_and_boxes"]()
    logits = detector.probe(X)[1].numpy()
    for k in range(CLASSES):
        want = truth(detector, [(int(rows[:, k].argmax()), k) for rows in logits], relu=False)
        assert_close(attached(detector, "best", signed(), class_index=k)(X)["heatmap_maps"], want)


def test_rows_beyond_the_count_hold_no_box() -> None:
    detector = DETECTORS["suppressed"]()
    outputs = attached(detector, 3, signed())(X)
    assert list(detector.model(X)["count"]) == [5, 5]
    assert (outputs["explained_class"].numpy() >= 0).all()
    # Fewer boxes than rows: suppress from the third on.
    layer = detector.model.get_layer("suppress")
    original = layer.call
    layer.call = lambda *inputs: (*original(*inputs)[:3], 0 * original(*inputs)[3] + 3)
    try:
        outputs = attached(detector, 3, signed())(X)
    finally:
        layer.call = original
    assert list(outputs["explained_class"]) == [-1, -1]
    assert not outputs["heatmap_maps"].numpy().any()


# Running the model again -------------------------------------------------------------------------------------------


def logit(detector: Detector, image: np.ndarray, pick: tuple[int, int]) -> Any:
    """From feature maps of one image to the logit, by running the layers again."""

    def score(maps: np.ndarray) -> float:
        def replace(layer: Any, call: int, outputs: Any) -> Any:
            return tf.constant(maps[None], tf.float32) if layer.name == "maps" else outputs

        with intercepted(replace):
            return float(detector.probe(image[None])[1][0, pick[0], pick[1]])

    return score


@pytest.mark.sweep(cases=2)
@pytest.mark.parametrize("form", ["sigmoid_of_each_level", "sorted_rows", "top_k_lists", "levels"])
@pytest.mark.parametrize("method", ["reciprocam", "ablationcam"])
def test_a_replay_returns_the_logit_of_the_same_box(form: str, method: str) -> None:
    detector = DETECTORS[form]()
    outputs = attached(detector, 1, method)(X)
    maps, picks = detector.probe(X)[0].numpy().astype(float), picked(detector, 1)
    run = getattr(oracle_gradient, method)
    want = np.array([run(a, logit(detector, x, pick)) for a, x, pick in zip(maps, X, picks, strict=True)])
    assert_close(outputs["heatmap_maps"], want, tolerance=1e-4)


@pytest.mark.parametrize("form", ["sigmoid_of_each_level", "top_k_lists"])
def test_a_replay_from_the_coarse_level_takes_the_fine_one_from_the_run_before(form: str) -> None:
    detector = DETECTORS[form]()
    # A box of the coarse level, and one of the fine level, on which the coarse one has no part.
    picks = [detector.chosen(rows) for rows in detector.probe(X)[1].numpy()]
    explained = vc.attach(detector.model, "coarse", method="reciprocam", target=Box("input"), normalize=None, size=None)
    for index in range(5):
        heatmaps = explained({"image": X, "box_index": np.array([index, index])})["heatmap_coarse"].numpy()
        for b, heatmap in enumerate(heatmaps):
            m, k = picks[b][index]
            on_fine = m < 36
            value = detector.probe(X)[1].numpy()[b, m, k]
            if on_fine:
                np.testing.assert_allclose(heatmap, np.full((3, 3), value), rtol=1e-5)
            else:
                assert heatmap.std() > 1e-4


# Saved and exported ------------------------------------------------------------------------------------------------


@pytest.mark.sweep(cases=1)
@pytest.mark.parametrize("form", EXPORTED)
def test_it_is_saved_and_exported(form: str, tmp_path: Any) -> None:
    detector = DETECTORS[form]()
    explained = attached(detector, "input")
    asked = np.array([3, -1], np.int32)
    want = explained({"image": X, "box_index": asked})
    explained.save(tmp_path / "explained.keras")
    loaded = keras.models.load_model(tmp_path / "explained.keras")
    vc.export_saved_model(explained, tmp_path / "served", version=None)
    vc.export_tflite(explained, tmp_path / "explained.tflite")
    served = tf.saved_model.load(tmp_path / "served").signatures["serving_default"]
    found = {
        "loaded": loaded({"image": X, "box_index": asked}),
        "served": served(image=tf.constant(X), box_index=tf.constant(asked)),
        "tflite": run_litert(tmp_path / "explained.tflite", X, box_index=asked),
    }
    for outputs in found.values():
        assert_close(outputs["heatmap_maps"], want["heatmap_maps"].numpy(), tolerance=1e-4)
        np.testing.assert_array_equal(outputs["explained_class"], want["explained_class"])
