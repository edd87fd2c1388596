"""The boxes that a detector finds in images, as arrays, whatever the form of its outputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import keras
import numpy as np
import tensorflow as tf

from visualcnn_tf._utils.checks import bad_value
from visualcnn_tf.errors import InvalidArgumentError
from visualcnn_tf.introspect.outputs import flat_outputs, prediction_names
from visualcnn_tf.targets.detections.find import find_detections
from visualcnn_tf.targets.detections.outputs import DetectorOutputs
from visualcnn_tf.targets.detections.sources import is_of_probabilities

#: From what a model returned for a batch to boxes ``(B, N, 4)``, scores of classes ``(B, N, K)`` and, if it has it, the
#: probability ``(B, N)`` that there is an object.
ReadDetections: TypeAlias = Callable[[Any], tuple[Any, ...]]


@dataclass(frozen=True)
class Found:
    """Detections in a batch of images.

    Attributes:
        boxes: four numbers for each box, ``(B, N, 4)``.
        scores: of all classes, ``(B, N, K)``, from 0 to 1; where each box has one class, 1 for that class.
        objectness: the probability that there is an object in each box, ``(B, N)``; 1 where the model has none.
    """

    boxes: np.ndarray
    scores: np.ndarray
    objectness: np.ndarray


#: From a batch of images to the detections in them.
Detector: TypeAlias = Callable[[np.ndarray], Found]


def detector_of(model: Any, read: ReadDetections | None, output: str | None, class_count: int | None) -> Detector:
    """Return what finds boxes by a model.

    Args:
        model: a Keras model, or any function of a batch of images with ``read``.
        read: what reads the model's outputs; None to find boxes and scores in those of a Keras model.
        output: the name of the output that holds the scores, where that is not certain.
        class_count: how many classes there are, where the model returns one for each box.

    Raises:
        InvalidArgumentError: for a model whose outputs can't be read.
    """
    if read is not None:
        return lambda images: _checked(read(_run(model, images)))
    if not isinstance(model, keras.Model):
        raise bad_value("detections", "given for a model that is no Keras model", None)
    run = tf.function(lambda images: _boxes_and_scores(model, images, output), autograph=False)

    def find(images: np.ndarray) -> Found:
        boxes, scores, classes, exists = run(tf.convert_to_tensor(images))
        return _from_tensors(boxes, scores, classes, exists, class_count)

    return find


def _run(model: Any, images: np.ndarray) -> Any:
    return model(images, training=False) if isinstance(model, keras.Model) else model(images)


def _boxes_and_scores(model: keras.Model, images: tf.Tensor, output: str | None) -> tuple[tf.Tensor | None, ...]:
    """Return boxes, probabilities, the class of each box or None, and which boxes there are."""
    outputs = model(images, training=False)
    named = dict(zip(prediction_names(model, outputs), flat_outputs(outputs), strict=True))
    found = find_detections(DetectorOutputs(named, output))
    if found.boxes is None:
        raise InvalidArgumentError(
            f"`detections` must be given for outputs without boxes beside {found.output!r}. Received: outputs "
            f"{ {name: tuple(tensor.shape) for name, tensor in named.items()} }."
        )
    scores = tf.cast(found.scores, tf.float32)
    index = tf.range(tf.shape(scores)[1])[tf.newaxis] + tf.zeros([tf.shape(scores)[0], 1], tf.int32)
    is_probability = is_of_probabilities(found.scores) or found.classes is not None
    probabilities = scores if is_probability else tf.sigmoid(scores)
    return tf.cast(found.boxes, tf.float32), probabilities, found.classes, found.exist(index)


def _from_tensors(boxes: Any, scores: Any, classes: Any, exists: Any, class_count: int | None) -> Found:
    there = exists.numpy().astype(np.float32)
    if classes is None:
        return Found(boxes.numpy(), scores.numpy(), there)
    labels = classes.numpy().astype(int)
    count = max(class_count or 0, int(labels.max(initial=0)) + 1)
    one_hot = (labels[..., np.newaxis] == np.arange(count)).astype(np.float32)
    return Found(boxes.numpy(), one_hot, scores.numpy()[..., 0] * there)


def _checked(found: tuple[Any, ...]) -> Found:
    """Return what a function of the user read, once it is of the right shapes."""
    arrays = [np.asarray(array, np.float32) for array in found] if isinstance(found, (tuple, list)) else []
    shapes = [array.shape for array in arrays]
    fits = len(arrays) in (2, 3) and [len(shape) for shape in shapes] == [3, 3, 2][: len(shapes)]
    if not fits or shapes[0][-1] != 4 or any(shape[:2] != shapes[0][:2] for shape in shapes):
        allowed = "a function that returns boxes (B, N, 4), scores (B, N, K) and perhaps objectness (B, N)"
        raise bad_value("detections", allowed, shapes)
    return Found(arrays[0], arrays[1], arrays[2] if len(arrays) == 3 else np.ones(shapes[0][:2], np.float32))
