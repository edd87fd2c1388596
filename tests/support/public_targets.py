"""A check for every public name of ``visualcnn_tf.targets``."""

from __future__ import annotations

import typing
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import visualcnn_tf as vc
from support import oracle_gradient
from support.detectors import DETECTORS, photos
from support.linear_classifier import X, classifier, layercam, truth
from support.masks import SPACE, raw, raw_map, segmenter
from support.masks import X as BATCH
from support.oracle import assert_close
from visualcnn_tf import targets


def model() -> Any:
    keras.utils.set_random_seed(2)
    return classifier(keras.layers.Dense(4, activation="softmax", name="head"))


def likeliest(classes: Any) -> np.ndarray:
    return np.argsort(-classes(X).numpy(), 1)


def check_predicted() -> None:
    cnn = model()
    outputs = layercam(cnn, target=targets.Predicted())(X)
    np.testing.assert_array_equal(outputs["explained_class"], likeliest(cnn)[:, 0])
    assert_close(outputs["heatmap_maps"], truth(cnn, X, likeliest(cnn)[:, 0]))


def check_class_index() -> None:
    cnn = model()
    outputs = layercam(cnn, target=targets.ClassIndex([2, 0]))(X)
    for k in (2, 0):
        assert_close(outputs[f"heatmap_maps_class{k}"], truth(cnn, X, [k] * len(X)))


def check_top_k() -> None:
    cnn = model()
    outputs = layercam(cnn, target=targets.TopK(2))(X)
    for rank in (1, 2):
        assert_close(outputs[f"heatmap_maps_top{rank}"], truth(cnn, X, likeliest(cnn)[:, rank - 1]))


def check_from_input() -> None:
    cnn = model()
    asked = np.array([3, -1, 0, 1, 2, 3], np.int32)
    outputs = layercam(cnn, target=targets.FromInput())({"image": X, "class_index": asked})
    assert_close(outputs["heatmap_maps"], truth(cnn, X, np.where(asked < 0, likeliest(cnn)[:, 0], asked)))


def check_mask() -> None:
    model, region = segmenter(activation="softmax"), np.zeros(SPACE)
    region[2:5, 3] = 1
    outputs = raw(model, target=targets.Mask([1, 0], region))(BATCH)
    for k in (1, 0):
        weights = np.repeat(region[np.newaxis], len(BATCH), 0)
        assert_close(outputs[f"heatmap_maps_class{k}"], raw_map(model, BATCH, weights, [k] * len(BATCH)))


def check_score() -> None:
    cnn = model()
    target = targets.Score(lambda logits: logits[:, 1], on="logits")
    outputs = layercam(cnn, target=target)(X)
    assert "explained_class" not in outputs
    assert_close(outputs["heatmap_maps"], truth(cnn, X, [1] * len(X)))


def check_box() -> None:
    detector = DETECTORS["scores_and_boxes"]()
    x, box = photos(), targets.Box(2, class_index=1)
    outputs = vc.attach(detector.model, "maps", target=box, size=None, normalize=None)(x)

    @tf.function
    def pair(x: Any) -> Any:
        maps, logits = detector.probe(x)
        return maps, tf.gradients(logits[:, 2, 1], maps)[0]

    assert_close(outputs["heatmap_maps"], oracle_gradient.fuse(*pair(tf.constant(x)), "hirescam"))


def check_target() -> None:
    for target in (targets.Predicted(), targets.FromInput(), targets.TopK(2), targets.ClassIndex(0)):
        assert isinstance(target, targets.Target)
    with pytest.raises(NotImplementedError):
        targets.Target().scores(X)


def check_get() -> None:
    assert targets.get("top3") == targets.TopK(3)
    with pytest.raises(vc.InvalidArgumentError, match="Did you mean 'predicted'"):
        targets.get("Predicted")


def check_target_like() -> None:
    assert targets.Target in typing.get_args(targets.TargetLike)


PUBLIC_TARGETS: dict[str, Callable[[], None]] = {
    "Box": check_box,
    "ClassIndex": check_class_index,
    "FromInput": check_from_input,
    "Mask": check_mask,
    "Predicted": check_predicted,
    "Score": check_score,
    "Target": check_target,
    "TargetLike": check_target_like,
    "TopK": check_top_k,
    "get": check_get,
}
