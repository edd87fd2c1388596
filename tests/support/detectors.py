"""Small detectors, one for each form of outputs, each with the truth about its boxes.

All have the same body: the layers ``"maps"`` (6×6) and ``"coarse"`` (3×3), and on both a head of classes and one of
boxes. ``probe`` is a model of the same layers that returns the maps and the logits of all candidates ``(B, M, K)``;
``chosen`` says, by NumPy alone, which candidate and which class each box of the model is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers as L  # noqa: N812
from keras import ops

SIZE, CLASSES, LISTED = 24, 3, 5
register = keras.saving.register_keras_serializable("detectors")

#: For one image: candidates' logits ``(M, K)`` to candidate and class of each box that the model returns.
Chosen = Callable[[np.ndarray], list[tuple[int, int]]]


@dataclass
class Detector:
    """A detector and the truth about it.

    Attributes:
        model: the detector.
        probe: from its images to the maps of ``"maps"`` and the logits of all candidates.
        chosen: which of these its boxes are.
        options: what ``Box`` has to be told.
        output: which output ``attach`` has to be told.
    """

    model: Any
    probe: Any
    chosen: Chosen
    options: dict[str, Any] = field(default_factory=dict)
    output: str | None = None


DETECTORS: dict[str, Callable[[], Detector]] = {}


def detector(function: Callable[[], Detector]) -> Callable[[], Detector]:
    DETECTORS[function.__name__] = function
    return function


def photos(count: int = 2, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(size=(count, SIZE, SIZE, 3)).astype("float32")


@dataclass
class Body:
    """The maps of both levels, and those of the heads."""

    image: Any
    levels: list[Any]
    classes: list[Any]
    boxes: list[Any]

    @property
    def maps(self) -> Any:
        return self.levels[0]

    def table(self, levels: list[Any], columns: int) -> Any:
        return L.Concatenate(axis=1)([L.Reshape((-1, columns))(level) for level in levels])

    @property
    def logits(self) -> Any:
        return self.table(self.classes, CLASSES)

    @property
    def corners(self) -> Any:
        return self.table(self.boxes, 4)

    def finish(self, outputs: Any, chosen: Chosen, output: str | None = None, **options: Any) -> Detector:
        probe = keras.Model(self.image, [self.maps, self.logits])
        return Detector(keras.Model(self.image, outputs), probe, chosen, options, output)


def body(anchors: int = 1, seed: int = 0) -> Body:
    keras.utils.set_random_seed(seed)
    image = keras.Input((SIZE, SIZE, 3), name="image")
    maps = L.Conv2D(6, 3, strides=4, padding="same", activation="relu", name="maps")(image)
    coarse = L.Conv2D(6, 3, strides=2, padding="same", activation="relu", name="coarse")(maps)
    classes = L.Conv2D(anchors * CLASSES, 3, padding="same", name="class_head")
    boxes = L.Conv2D(anchors * 4, 3, padding="same", name="box_head")
    return Body(image, [maps, coarse], [classes(maps), classes(coarse)], [boxes(maps), boxes(coarse)])


def sigmoid(x: Any) -> Any:
    return L.Activation("sigmoid")(x)


def likeliest(logits: np.ndarray) -> list[tuple[int, int]]:
    """Each candidate is a box, of its likeliest class."""
    return [(m, int(k)) for m, k in enumerate(logits.argmax(-1))]


def sorted_boxes(logits: np.ndarray) -> list[tuple[int, int]]:
    """The candidates in the order of their highest scores."""
    order = np.argsort(-logits.max(-1), kind="stable")[:LISTED]
    return [(int(m), int(logits[m].argmax())) for m in order]


def sorted_scores(logits: np.ndarray) -> list[tuple[int, int]]:
    """The scores of all classes and candidates, sorted."""
    order = np.argsort(-logits.ravel(), kind="stable")[:LISTED]
    return [(int(i) // CLASSES, int(i) % CLASSES) for i in order]


# Scores of all classes for each box --------------------------------------------------------------------------------


@detector
def scores_and_boxes() -> Detector:
    """As RetinaNet and SSD before non-maximum suppression."""
    parts = body()
    return parts.finish({"scores": sigmoid(parts.logits), "boxes": parts.corners}, likeliest)


@detector
def logits_and_boxes() -> Detector:
    """As the RetinaNet of keras_hub."""
    parts = body()
    return parts.finish({"cls_logits": parts.logits, "bbox_regression": parts.corners}, likeliest)


@detector
def sigmoid_of_each_level() -> Detector:
    parts = body()
    scores = parts.table([sigmoid(level) for level in parts.classes], CLASSES)
    return parts.finish([parts.corners, scores], likeliest)


@detector
def several_anchors() -> Detector:
    parts = body(anchors=2)
    return parts.finish({"boxes": parts.corners, "scores": sigmoid(parts.logits)}, likeliest)


@detector
def softmax_with_background() -> Detector:
    """As SSD: class 0 is no object."""
    parts = body()

    def chosen(logits: np.ndarray) -> list[tuple[int, int]]:
        return [(m, 1 + int(row[1:].argmax())) for m, row in enumerate(logits)]

    return parts.finish({"scores": L.Softmax()(parts.logits), "boxes": parts.corners}, chosen, background=0)


@register
class Queries(L.Layer):
    """Learned queries, the same for each image of a batch."""

    def build(self, shape: Any) -> None:
        self.queries = self.add_weight(shape=(4, shape[-1]), name="queries")

    def call(self, tokens: Any) -> Any:
        return ops.broadcast_to(self.queries, (ops.shape(tokens)[0], *self.queries.shape))


@detector
def queries() -> Detector:
    """As DETR: queries that attend to tokens; the last class is no object."""
    parts = body()
    tokens = L.Reshape((-1, 6))(parts.maps)
    attended = L.MultiHeadAttention(2, 4, name="attend")(Queries(name="queries")(tokens), tokens)
    logits, boxes = L.Dense(CLASSES + 1, name="classes")(attended), sigmoid(L.Dense(4, name="corners")(attended))
    outputs = {"pred_logits": logits, "pred_boxes": boxes}
    probe = keras.Model(parts.image, [parts.maps, logits])

    def chosen(rows: np.ndarray) -> list[tuple[int, int]]:
        return likeliest(rows[:, :CLASSES])

    return Detector(keras.Model(parts.image, outputs), probe, chosen, {"background": -1}, output="pred_logits")


# Rows with everything about a box ----------------------------------------------------------------------------------


@detector
def yolo() -> Detector:
    parts = body()
    return parts.finish(L.Concatenate()([parts.corners, sigmoid(parts.logits)]), likeliest)


@detector
def yolo_transposed() -> Detector:
    """As YOLOv8: ``(B, 4 + K, N)``."""
    parts = body()
    halves = [L.Permute((2, 1))(x) for x in (parts.corners, sigmoid(parts.logits))]
    return parts.finish(L.Concatenate(axis=1)(halves), likeliest)


@detector
def yolo_with_objectness() -> Detector:
    """As YOLOv5, level by level: corners, whether there is a box, classes."""
    parts = body()
    there = L.Conv2D(1, 1, name="objectness")
    rows = [
        L.Reshape((-1, 5 + CLASSES))(L.Concatenate()([boxes, sigmoid(there(maps)), sigmoid(classes)]))
        for boxes, maps, classes in zip(parts.boxes, parts.levels, parts.classes, strict=True)
    ]
    return parts.finish(L.Concatenate(axis=1)(rows), likeliest)


@detector
def one_convolution_for_all() -> Detector:
    """Corners and logits of one convolution: nothing tells them apart."""
    keras.utils.set_random_seed(1)
    image = keras.Input((SIZE, SIZE, 3), name="image")
    maps = L.Conv2D(6, 3, strides=4, padding="same", activation="relu", name="maps")(image)
    rows = L.Reshape((-1, 4 + CLASSES))(L.Conv2D(4 + CLASSES, 3, padding="same", name="head")(maps))
    model = keras.Model(image, rows)
    return Detector(model, keras.Model(image, [maps, rows[..., 4:]]), likeliest, {"columns": (4, 4 + CLASSES)})


@detector
def sorted_rows() -> Detector:
    """``(B, 5, 6)``: corners, score, class, the highest score first."""
    parts = body()
    scores = sigmoid(parts.logits)
    highest, which = ops.top_k(ops.max(scores, -1), LISTED)
    corners = ops.take_along_axis(parts.corners, which[..., None], 1)
    # The index of the largest one: Keras's argmax has operations that TensorFlow Lite lacks.
    label = ops.take_along_axis(ops.top_k(scores, 1)[1][..., 0], which, 1)
    columns = [corners, highest[..., None], ops.cast(label, "float32")[..., None]]
    return parts.finish(ops.concatenate(columns, -1), sorted_boxes)


# Lists -------------------------------------------------------------------------------------------------------------


@detector
def top_k_lists() -> Detector:
    parts = body()
    scores, which = ops.top_k(ops.reshape(sigmoid(parts.logits), (-1, 45 * CLASSES)), LISTED)
    boxes = ops.take_along_axis(parts.corners, (which // CLASSES)[..., None], 1)
    outputs = {"boxes": boxes, "scores": scores, "classes": which % CLASSES}
    return parts.finish(outputs, sorted_scores)


@register
class Suppress(L.Layer):
    """Non-maximum suppression that returns indices, by which boxes, scores and classes are gathered."""

    def call(self, corners: Any, scores: Any) -> Any:
        highest, label = tf.reduce_max(scores, -1), tf.argmax(scores, -1, output_type=tf.int32)
        # Corners that do not overlap: all that is suppressed is what comes after the first.
        index = tf.range(tf.shape(corners)[1], dtype=tf.float32)[:, tf.newaxis] * tf.constant([[3.0, 0, 3, 0]])
        apart = tf.zeros_like(corners) + index + tf.constant([0.0, 0, 1, 1])
        found, count = tf.image.non_max_suppression_padded(
            apart, highest, LISTED, pad_to_max_output_size=True, canonicalized_coordinates=True
        )
        gathered = [tf.gather(x, found, batch_dims=1) for x in (corners, highest, label)]
        return (*gathered, count)


@detector
def suppressed() -> Detector:
    parts = body()
    names = ("boxes", "scores", "classes", "count")
    outputs = Suppress(name="suppress")(parts.corners, sigmoid(parts.logits))
    return parts.finish(dict(zip(names, outputs, strict=True)), sorted_boxes)


# Dense heads -------------------------------------------------------------------------------------------------------


@detector
def levels() -> Detector:
    parts = body()
    outputs = {
        **{f"class_{index}": sigmoid(level) for index, level in enumerate(parts.classes)},
        **{f"box_{index}": level for index, level in enumerate(parts.boxes)},
    }
    return parts.finish(outputs, likeliest)


@detector
def levels_of_anchors() -> Detector:
    """Logits, two boxes at each position."""
    parts = body(anchors=2)
    outputs = [level for pair in zip(parts.boxes, parts.classes, strict=True) for level in pair]
    return parts.finish(outputs, likeliest, output="output_1")


@detector
def center_net() -> Detector:
    """A heatmap, sizes and offsets."""
    parts = body()
    sizes, offsets = (L.Conv2D(2, 1, name=name)(parts.maps) for name in ("sizes", "offsets"))
    outputs = {"heatmap": sigmoid(parts.classes[0]), "size": sizes, "offset": offsets}
    return parts.finish(outputs, lambda logits: likeliest(logits[:36]))


@detector
def center_net_decoded() -> Detector:
    """The peaks of the heatmap, sorted: corners, score, class."""
    parts = body()
    heat = sigmoid(parts.classes[0])
    peaks = heat * ops.cast(ops.equal(heat, L.MaxPooling2D(3, 1, "same")(heat)), "float32")
    scores, which = ops.top_k(ops.reshape(peaks, (-1, 36 * CLASSES)), LISTED)
    sizes = L.Reshape((36, 2))(L.Conv2D(2, 1, name="sizes")(parts.maps))
    size = ops.take_along_axis(sizes, (which // CLASSES)[..., None], 1)
    x, y = (ops.cast(part, "float32") for part in (which // CLASSES % 6, which // CLASSES // 6))
    center = ops.stack([x, y], -1)
    columns = [center - size / 2, center + size / 2, scores[..., None], ops.cast(which % CLASSES, "float32")[..., None]]

    def chosen(logits: np.ndarray) -> list[tuple[int, int]]:
        cells = logits[:36].reshape(6, 6, CLASSES)
        padded = np.pad(cells, ((1, 1), (1, 1), (0, 0)), constant_values=-np.inf)
        around = np.max([padded[i : i + 6, j : j + 6] for i in range(3) for j in range(3)], 0)
        return sorted_scores(np.where(cells == around, cells, -np.inf).reshape(36, CLASSES))

    return parts.finish(ops.concatenate(columns, -1), chosen)


# Detectors that nothing can be found in ----------------------------------------------------------------------------


@register
class CombinedSuppression(L.Layer):
    """Non-maximum suppression that returns no indices."""

    def call(self, corners: Any, scores: Any) -> Any:
        found = tf.image.combined_non_max_suppression(corners[:, :, tf.newaxis], scores, LISTED, LISTED)
        return found[0], found[1], found[2]


def for_bad_inputs() -> dict[str, Any]:
    """By the names that the table of bad inputs gives them."""
    parts = body()
    several = {"scores": sigmoid(parts.logits), "more": sigmoid(parts.corners[..., :2]), "boxes": parts.corners}
    return {
        "detector": DETECTORS["scores_and_boxes"]().model,
        "of_lists": DETECTORS["top_k_lists"]().model,
        "of_one_convolution": DETECTORS["one_convolution_for_all"]().model,
        "of_two_tables": keras.Model(parts.image, several),
        "that_suppresses": hiding(),
    }


def hiding() -> Any:
    """A detector whose scores come out of an operation that hides whose they are."""
    parts = body()
    outputs = CombinedSuppression(name="suppress")(parts.corners, sigmoid(parts.logits))
    return keras.Model(parts.image, dict(zip(("boxes", "scores", "classes"), outputs, strict=True)))
