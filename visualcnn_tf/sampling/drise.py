"""D-RISE: which pixels a detection needs, found by running the detector on many masked images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from visualcnn_tf._utils.checks import bad_value, check_choice, is_count
from visualcnn_tf.sampling.masks import RandomMasks
from visualcnn_tf.sampling.read_detections import Detector, Found, ReadDetections, detector_of
from visualcnn_tf.sampling.similarity import similarity
from visualcnn_tf.targets.class_index import is_class_index
from visualcnn_tf.targets.detections.box_formats import BOX_FORMATS, corners


def drise(
    model: Any,
    image: Any,
    box: int | Sequence[float],
    class_index: int | None = None,
    *,
    masks: int = 1000,
    grid: int = 16,
    keep: float = 0.5,
    seed: int = 0,
    batch_size: int = 16,
    box_format: str = "xyxy",
    output: str | None = None,
    detections: ReadDetections | None = None,
) -> np.ndarray:
    """Return which pixels a detection needs, by D-RISE: for any detector, at the cost of one run for each mask.

    The image is hidden behind random masks; each mask counts as much as the detector still finds the box behind it:
    ``max_j IoU · cosine of the class scores · objectness``. Petsiuk et al., "Black-box Explanation of Object Detectors
    via Saliency Maps", https://arxiv.org/abs/2006.03204. It needs no gradients and no layer, and works outside of the
    graph. 1000 masks are 1000 runs of the model for one map; the paper takes 5000. Memory is that of one batch.

    Example:
        >>> import numpy as np
        >>> def model(images):  # finds one box, as surely as its left half is bright
        ...     light = np.mean(images[:, 2:6, :4], axis=(1, 2, 3))
        ...     return np.tile([[[0.0, 2, 8, 6]]], (len(images), 1, 1)), np.ones((len(images), 1, 1)), light[:, None]
        >>> heatmap = drise(model, np.ones((8, 8, 3)), 0, masks=200, grid=4, detections=lambda outputs: outputs)
        >>> bool(heatmap[2:6, :4].mean() > heatmap[2:6, 4:].mean() + 0.2)
        True

    Args:
        model: a Keras model, or with ``detections`` any function of a batch of images.
        image: ``(H, W, C)``, as the model takes it. Where it is hidden it becomes 0.
        box: which of the boxes that the model finds in the image, from 0 in the order of its output; or four numbers
            in ``box_format``, with ``class_index``.
        class_index: the class; by default, of a box of the model, the scores of all its classes.
        masks: how many masks.
        grid: cells a side of the grid of each mask.
        keep: the probability that a cell is kept.
        seed: of the masks; the same seed gives the same map.
        batch_size: how many masked images the model runs on at a time.
        box_format: what the four numbers of a box are: ``"xyxy"``, ``"yxyx"``, ``"xywh"``, ``"center_xywh"`` or
            ``"center_yxhw"``; with ``"rel_"`` before it where they are parts of the image's size.
        output: the name of the output that holds the scores, where several may. Logits become probabilities by a
            sigmoid.
        detections: a function from what the model returns for a batch to boxes ``(B, N, 4)``, scores of classes
            ``(B, N, K)`` from 0 to 1 and, if there is any, the probability ``(B, N)`` of an object. By default they are
            found in the outputs of a Keras model, as for :class:`visualcnn_tf.targets.Box`.

    Returns:
        A heatmap ``(H, W)`` float32, from 0 to 1; all zeros where every mask counts as much.

    Raises:
        InvalidArgumentError: for a box or class that is not there, outputs in which no boxes are found, and other
            arguments that are not allowed.
    """
    image = _checked_image(image)
    _check_options(masks, grid, keep, seed, batch_size, box_format, output, detections)
    if class_index is not None and not is_class_index(class_index):
        raise bad_value("class_index", "a class index from 0, or None", class_index)
    find = detector_of(model, detections, output, None if class_index is None else int(class_index) + 1)
    height, width = image.shape[:2]

    def found_in(images: np.ndarray) -> Found:
        found = find(images)
        pixels = corners(tuple(np.moveaxis(found.boxes, -1, 0)), box_format, width, height)
        return Found(np.stack(pixels, -1), found.scores, found.objectness)

    one, scores = _explained(found_in, image, box, class_index, box_format)
    total = np.zeros((height, width))
    for batch in RandomMasks(height, width, grid, keep, int(seed)).batches(int(masks), int(batch_size)):
        found = found_in(image * batch[..., np.newaxis])
        weights = similarity(one, _as_long(scores, found.scores), found.boxes, found.scores, found.objectness)
        total += np.tensordot(weights, batch.astype(np.float64), 1)
    return _scaled(total)


def _explained(
    found_in: Detector, image: np.ndarray, box: Any, class_index: int | None, box_format: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return corners and class scores of the detection that is explained."""
    height, width = image.shape[:2]
    if not is_class_index(box):
        pixels = _checked_box(box, box_format, width, height)
        if class_index is None:
            raise bad_value("class_index", "given for a box of four numbers", None)
        return pixels, np.eye(class_index + 1, dtype=np.float32)[class_index]
    found = found_in(image[np.newaxis])
    count, classes = found.scores.shape[1:]
    if box >= count or not found.objectness[0, box]:
        raise bad_value("box", f"one of the {int((found.objectness[0] > 0).sum())} boxes that the model finds", box)
    if class_index is None:
        return found.boxes[0, box], found.scores[0, box]
    if class_index >= classes:
        raise bad_value("class_index", f"within the {classes} classes of the model", class_index)
    return found.boxes[0, box], np.eye(classes, dtype=np.float32)[class_index]


def _as_long(scores: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the scores of a detection for as many classes as others have: those that are missing have none."""
    count = others.shape[-1]
    return np.asarray(np.pad(scores, (0, max(count - len(scores), 0)))[:count])


def _scaled(total: np.ndarray) -> np.ndarray:
    low, high = total.min(), total.max()
    span = high - low if high - low > 1e-9 * abs(high) else np.inf
    return np.asarray((total - low) / span, np.float32)


def _checked_image(image: Any) -> np.ndarray:
    array = np.asarray(image)
    if array.ndim != 3 or array.dtype.kind not in "fiub" or not array.size:
        raise bad_value("image", "one image (H, W, C) of numbers", array.shape, "For a batch, take one: images[0].")
    array = array.astype(np.float32)
    if not np.isfinite(array).all():
        raise bad_value("image", "finite", "NaN or infinity")
    return array


def _checked_box(box: Any, box_format: str, width: int, height: int) -> np.ndarray:
    numbers = np.asarray(box, dtype=np.float64) if isinstance(box, (list, tuple, np.ndarray)) else np.zeros(0)
    if numbers.shape != (4,) or not np.isfinite(numbers).all():
        raise bad_value("box", "the index of a box from 0, or four numbers", box)
    found = np.array(corners(tuple(numbers), box_format, width, height), np.float32)
    if not (found[2] > found[0] and found[3] > found[1]):
        raise bad_value("box", f"a box with an area, in the format {box_format!r}", box)
    return found


def _check_options(
    masks: object,
    grid: object,
    keep: object,
    seed: object,
    batch_size: object,
    box_format: object,
    output: object,
    detections: object,
) -> None:
    for name, value in (("masks", masks), ("grid", grid), ("batch_size", batch_size)):
        if not is_count(value):
            raise bad_value(name, "a number of at least 1", value)
    if isinstance(keep, bool) or not isinstance(keep, (int, float)) or not 0 < keep < 1:
        raise bad_value("keep", "a probability between 0 and 1", keep)
    if not is_class_index(seed):
        raise bad_value("seed", "an integer of at least 0", seed)
    check_choice("box_format", box_format, BOX_FORMATS)
    if detections is not None and not callable(detections):
        raise bad_value("detections", "a function of the model's outputs, or None", detections)
    if detections is not None and output is not None:
        raise bad_value("output", "None where `detections` reads the outputs", output)
