"""Class maps of dense heads, against NumPy on the logits of the head."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from support import oracle
from support.detectors import CLASSES, DETECTORS, hiding, photos
from support.option_cases import tiny_model
from support.oracle import assert_close
from support.runtimes import run_litert

import visualcnn_tf as vc
from visualcnn_tf.targets import Box

X = photos()
#: The form, the boxes at each position, and whether all levels of the head are read.
FORMS = {
    "scores_and_boxes": (1, True),
    "logits_and_boxes": (1, True),
    "sigmoid_of_each_level": (1, True),
    "several_anchors": (2, True),
    "yolo_transposed": (1, True),
    "sorted_rows": (1, True),
    "top_k_lists": (1, True),
    "levels_of_anchors": (2, True),
    "center_net_decoded": (1, False),
}


def truth(detector: Any, form: str, classes: Any, softmax: bool = False) -> np.ndarray:
    anchors, has_coarse = FORMS.get(form, (1, True))
    logits = detector.probe(X)[1].numpy().astype(float)
    if softmax:
        powers = np.exp(logits - logits.max(-1, keepdims=True))
        probabilities = powers / powers.sum(-1, keepdims=True)
    else:
        probabilities = 1 / (1 + np.exp(-logits))
    maps = []
    for each, k in zip(probabilities, classes, strict=True):
        fine = each[: 36 * anchors].reshape(6, 6, anchors, CLASSES)[..., k].max(-1)
        coarse = each[36 * anchors :].reshape(3, 3, anchors, CLASSES)[..., k].max(-1)
        large = oracle.resize(coarse[None], (6, 6), "bilinear")[0]
        maps.append(np.maximum(fine, large) if has_coarse else fine)
    return np.array(maps)


def attached(detector: Any, target: Any, **options: Any) -> Any:
    options = {"size": None, "normalize": None, **options}
    return vc.attach(detector.model, method="detclassmap", target=target, output=detector.output, **options)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.sweep(cases=5)
def test_the_map_is_that_of_the_class_of_the_box(form: str) -> None:
    detector = DETECTORS[form]()
    outputs = attached(detector, Box([0, 2]))(X)
    for column, index in enumerate((0, 2)):
        classes = [detector.chosen(rows)[index][1] for rows in detector.probe(X)[1].numpy()]
        assert list(outputs["explained_class"][:, column]) == classes
        assert_close(outputs[f"heatmap_class_head_box{index}"], truth(detector, form, classes))


def test_of_a_softmax_the_probabilities_are_its() -> None:
    detector = DETECTORS["softmax_with_background"]()
    outputs = attached(detector, Box(0, class_index=2))(X)
    assert_close(outputs["heatmap_class_head"], truth(detector, "", [2, 2], softmax=True))


def test_it_is_as_large_as_the_image_and_needs_no_layer() -> None:
    detector = DETECTORS["scores_and_boxes"]()
    explained = vc.attach(detector.model, method="detclassmap", target=Box("best", class_index=1))
    [tap] = explained.taps
    assert (tap.path, tap.shape) == ("class_head", (None, 6, 6, 3))
    raw = truth(detector, "scores_and_boxes", [1, 1])
    want = oracle.normalized(oracle.resize(raw, (24, 24), "bilinear"), "minmax")
    assert_close(explained(X)["heatmap_class_head"], want)


def test_beside_other_methods_it_has_one_map() -> None:
    detector = DETECTORS["yolo"]()
    explained = vc.attach(detector.model, ["maps", "coarse"], method=["hirescam", "detclassmap"], target=Box(0))
    assert explained.heatmap_names == [
        "heatmap_maps_hirescam",
        "heatmap_class_head_detclassmap",
        "heatmap_coarse_hirescam",
    ]


def test_a_box_that_is_not_there_has_a_map_of_zeros() -> None:
    detector = DETECTORS["scores_and_boxes"]()
    outputs = attached(detector, Box("input"))({"image": X, "box_index": [1, 99]})
    assert outputs["heatmap_class_head"][0].numpy().any()
    assert not outputs["heatmap_class_head"][1].numpy().any()


def test_it_is_saved_and_exported(tmp_path: Any) -> None:
    detector = DETECTORS["several_anchors"]()
    explained = attached(detector, Box("input"))
    asked = np.array([3, -1], np.int32)
    want = explained({"image": X, "box_index": asked})
    explained.save(tmp_path / "explained.keras")
    vc.export_saved_model(explained, tmp_path / "served", version=None)
    vc.export_tflite(explained, tmp_path / "explained.tflite")
    served = tf.saved_model.load(tmp_path / "served").signatures["serving_default"]
    for outputs in (
        keras.models.load_model(tmp_path / "explained.keras")({"image": X, "box_index": asked}),
        served(image=tf.constant(X), box_index=tf.constant(asked)),
        run_litert(tmp_path / "explained.tflite", X, box_index=asked),
    ):
        assert_close(outputs["heatmap_class_head"], want["heatmap_class_head"].numpy(), tolerance=1e-4)


def test_by_hand() -> None:
    fine, coarse = np.zeros((1, 2, 2, 1, 2), np.float32), np.zeros((1, 1, 1, 2, 2), np.float32)
    fine[0, :, :, 0, 0], fine[0, :, :, 0, 1] = [[0.1, 0.9], [0.2, 0.3]], 0.5
    coarse[0, 0, 0, :, 0] = [0.25, 0.15]
    found = vc.methods.DetClassMap()([tf.constant(fine), tf.constant(coarse)], tf.constant([[0]]))
    np.testing.assert_allclose(found, [[[0.25, 0.9], [0.25, 0.3]]])
    assert np.isnan(vc.methods.DetClassMap()([tf.constant(fine * np.nan)], tf.constant([[0]]))).all()


def test_what_has_no_dense_head_is_refused() -> None:
    with pytest.raises(vc.NoFeatureMapError, match="needs a dense head"):
        attached(DETECTORS["queries"](), Box(0))
    with pytest.raises(vc.NoGradientError, match="hides whose they are"):
        vc.attach(hiding(), method="detclassmap", target=Box(0))
    with pytest.raises(vc.InvalidArgumentError, match="`target` must be a box with `method`='detclassmap'"):
        vc.attach(tiny_model(), method="detclassmap")
    with pytest.raises(vc.InvalidArgumentError, match="`layers` must be None with 'detclassmap'"):
        vc.attach(DETECTORS["yolo"]().model, "maps", method="detclassmap", target=Box(0))
