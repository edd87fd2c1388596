"""D-RISE against the same in NumPy, and on a detector with known truth."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L  # noqa: N812
from support.detectors import DETECTORS, photos

import visualcnn_tf as vc
from visualcnn_tf.sampling.masks import RandomMasks
from visualcnn_tf.sampling.similarity import intersection_over_union, similarity

BOXES = np.array([[2.0, 2, 10, 10], [12, 12, 20, 22], [0, 12, 8, 24]], np.float32)


def bright(images: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Finds three boxes, each as surely as it is bright, of two classes: red and blue."""
    parts = [images[:, int(y0) : int(y1), int(x0) : int(x1)].mean((1, 2)) for x0, y0, x1, y1 in BOXES]
    colors = np.stack(parts, 1)
    scores = colors[..., [0, 2]]
    return np.repeat(BOXES[None], len(images), 0), scores, colors.mean(-1)


def as_it_is(outputs: Any) -> Any:
    return outputs


def photo() -> np.ndarray:
    return photos(1, seed=3)[0]


# The masks ---------------------------------------------------------------------------------------------------------


def naive_mask(kept: np.ndarray, cell: tuple[int, int], corner: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """Bilinear, pixel by pixel, with half-pixel centers and the border repeated."""
    g, out = len(kept), np.zeros(size)
    for y, x in np.ndindex(size):
        at = [(p + c + 0.5) * g / ((g + 1) * n) - 0.5 for p, c, n in zip((y, x), corner, cell, strict=True)]
        low = [int(np.floor(a)) for a in at]
        for dy, dx in np.ndindex(2, 2):
            weight = np.prod([1 - abs(a - (n + d)) for a, n, d in zip(at, low, (dy, dx), strict=True)])
            i, j = (min(max(n + d, 0), g - 1) for n, d in zip(low, (dy, dx), strict=True))
            out[y, x] += weight * kept[i, j]
    return out


def test_masks_equal_those_made_pixel_by_pixel() -> None:
    masks = RandomMasks(9, 14, 4, 0.5, seed=7)
    found = np.concatenate(list(masks.batches(6, 4)))
    kept = np.random.default_rng([7, 0]).random((6, 4, 4)) < 0.5
    shifts = np.random.default_rng([7, 1]).random((6, 2))
    for mask, cells, shift in zip(found, kept, shifts, strict=True):
        corner = (int(shift[0] * 3), int(shift[1] * 4))
        np.testing.assert_allclose(mask, naive_mask(cells, (3, 4), corner, (9, 14)), atol=1e-6)


def test_masks_do_not_depend_on_the_size_of_batches() -> None:
    masks = RandomMasks(9, 14, 4, 0.5, seed=7)
    np.testing.assert_array_equal(*(np.concatenate(list(masks.batches(7, size))) for size in (2, 7)))
    assert [len(batch) for batch in masks.batches(7, 3)] == [3, 3, 1]


def test_so_many_cells_are_kept() -> None:
    [masks] = RandomMasks(32, 32, 8, 0.3, seed=0).batches(200, 200)
    assert abs(masks.mean() - 0.3) < 0.01


# The likeness ------------------------------------------------------------------------------------------------------


def naive_similarity(box: Any, scores: Any, boxes: Any, others: Any, objectness: Any) -> float:
    best = 0.0
    for one, other, there in zip(boxes, others, objectness, strict=True):
        width = max(0.0, min(box[2], one[2]) - max(box[0], one[0]))
        height = max(0.0, min(box[3], one[3]) - max(box[1], one[1]))
        areas = sum((b[2] - b[0]) * (b[3] - b[1]) for b in (box, one))
        cosine = float(np.dot(scores, other)) / (np.linalg.norm(scores) * np.linalg.norm(other) or 1)
        best = max(best, width * height / (areas - width * height) * cosine * there)
    return best


def test_the_likeness_is_that_of_the_paper() -> None:
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 10, (4, 5, 2))
    boxes = np.concatenate([low, low + rng.uniform(1, 8, (4, 5, 2))], -1)
    scores, objectness = rng.random((4, 5, 3)), rng.random((4, 5))
    box, wanted = np.array([2.0, 3, 9, 8]), rng.random(3)
    want = [naive_similarity(box, wanted, *each) for each in zip(boxes, scores, objectness, strict=True)]
    np.testing.assert_allclose(similarity(box, wanted, boxes, scores, objectness), want, rtol=1e-12)


def test_no_overlap_and_no_scores_are_no_likeness() -> None:
    box = np.array([0.0, 0, 2, 2])
    others = np.array([[[3.0, 3, 4, 4], [1, 1, 1, 1], [0, 0, 2, 2]]])
    np.testing.assert_array_equal(intersection_over_union(box, others), [[0, 0, 1]])
    assert similarity(box, np.ones(2), others, np.zeros((1, 3, 2)), np.ones((1, 3))) == [0]
    assert similarity(box, np.ones(2), others[:, :0], np.zeros((1, 0, 2)), np.ones((1, 0))) == [0]


# The map -----------------------------------------------------------------------------------------------------------


def naive_drise(image: np.ndarray, box: Any, scores: Any, masks: np.ndarray) -> np.ndarray:
    total = np.zeros(image.shape[:2])
    for mask in masks:
        boxes, others, there = (each[0] for each in bright((image * mask[..., None]).astype("float32")[None]))
        total += naive_similarity(box, scores, boxes, others, there) * mask
    return (total - total.min()) / (total.max() - total.min())


@pytest.mark.parametrize("class_index", [None, 1])
def test_the_map_equals_a_loop_over_the_masks(class_index: int | None) -> None:
    image = photo()
    masks = np.concatenate(list(RandomMasks(24, 24, 5, 0.5, seed=2).batches(30, 30)))
    scores = bright(image[None])[1][0, 1] if class_index is None else np.eye(2)[class_index]
    options = {"masks": 30, "grid": 5, "seed": 2, "detections": as_it_is}
    found = vc.drise(bright, image, 1, class_index, batch_size=7, **options)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, naive_drise(image, BOXES[1], scores, masks), atol=1e-5)
    np.testing.assert_array_equal(found, vc.drise(bright, image, 1, class_index, batch_size=7, **options))


def test_the_map_lies_in_the_box() -> None:
    for index, (x0, y0, x1, y1) in enumerate(BOXES.astype(int)):
        found = vc.drise(bright, photo(), index, masks=400, grid=6, detections=as_it_is)
        y, x = np.unravel_index(found.argmax(), found.shape)
        assert y0 <= y < y1
        assert x0 <= x < x1
        inside = np.zeros((24, 24), bool)
        inside[y0:y1, x0:x1] = True
        assert found[inside].mean() > found[~inside].mean() + 0.3


@pytest.mark.parametrize(
    ("box_format", "numbers"),
    [
        ("xyxy", (12, 12, 20, 22)),
        ("yxyx", (12, 12, 22, 20)),
        ("xywh", (12, 12, 8, 10)),
        ("center_xywh", (16, 17, 8, 10)),
        ("center_yxhw", (17, 16, 10, 8)),
        ("rel_xyxy", (0.5, 0.5, 20 / 24, 22 / 24)),
        ("rel_center_yxhw", (17 / 24, 16 / 24, 10 / 24, 8 / 24)),
    ],
)
def test_a_box_of_four_numbers(box_format: str, numbers: Any) -> None:
    places = list(zip(*BOXES.T, strict=True))

    def detections(outputs: Any) -> Any:
        boxes, scores, there = outputs
        left, top, right, bottom = np.moveaxis(boxes, -1, 0)
        width, height = right - left, bottom - top
        x, y = left + width / 2, top + height / 2
        kinds = {
            "xyxy": (left, top, right, bottom),
            "yxyx": (top, left, bottom, right),
            "xywh": (left, top, width, height),
            "center_xywh": (x, y, width, height),
            "center_yxhw": (y, x, height, width),
        }
        parts = np.stack(kinds[box_format.removeprefix("rel_")], -1)
        return parts / 24 if box_format.startswith("rel_") else parts, scores, there

    assert len(places) == 3
    options = {"masks": 20, "grid": 5}
    want = vc.drise(bright, photo(), BOXES[1].tolist(), 0, detections=as_it_is, **options)
    found = vc.drise(bright, photo(), numbers, 0, detections=detections, box_format=box_format, **options)
    np.testing.assert_allclose(found, want, atol=1e-5)


# Keras models ------------------------------------------------------------------------------------------------------


def of_keras(form: str) -> Any:
    """The same as :func:`bright`, as a Keras model."""
    image = keras.Input((24, 24, 3))

    class Bright(L.Layer):
        def call(self, images: Any) -> Any:
            parts = [images[:, int(y0) : int(y1), int(x0) : int(x1)] for x0, y0, x1, y1 in BOXES]
            colors = tf.stack([tf.reduce_mean(part, (1, 2)) for part in parts], 1)
            boxes = tf.constant(BOXES)[None] + 0 * colors[..., :1]
            if form == "lists":
                scores = tf.gather(colors, [0, 2], axis=-1)
                return boxes, tf.reduce_max(scores, -1), tf.argmax(scores, -1, output_type=tf.int32)
            logits = tf.math.log(colors) - tf.math.log(1 - colors)
            return boxes, tf.gather(logits if form == "logits" else tf.sigmoid(logits), [0, 2], axis=-1)

    names = ("boxes", "scores", "classes")
    return keras.Model(image, dict(zip(names, Bright()(image), strict=False)))


@pytest.mark.parametrize("form", ["scores", "logits", "lists"])
def test_boxes_are_found_in_the_outputs_of_a_keras_model(form: str) -> None:
    def detections(images: np.ndarray) -> Any:
        boxes, scores, _ = bright(images)
        if form != "lists":
            return boxes, scores
        return boxes, np.eye(2)[scores.argmax(-1)], scores.max(-1)

    options = {"masks": 25, "grid": 5, "seed": 1}
    want = vc.drise(detections, photo(), 1, detections=as_it_is, **options)
    np.testing.assert_allclose(vc.drise(of_keras(form), photo(), 1, **options), want, atol=2e-5)


def test_boxes_of_an_ordinary_detector() -> None:
    detector = DETECTORS["scores_and_boxes"]()
    found = vc.drise(detector.model, photo(), (4, 4, 20, 20), 1, masks=20, grid=4)
    assert found.shape == (24, 24)
    assert np.isfinite(found).all()


def test_a_detector_that_finds_nothing_has_a_map_of_zeros() -> None:
    def nothing(images: np.ndarray) -> Any:
        return np.zeros((len(images), 0, 4)), np.zeros((len(images), 0, 2))

    found = vc.drise(nothing, photo(), (1, 1, 5, 5), 0, masks=5, detections=as_it_is)
    assert found.shape == (24, 24)
    assert not found.any()
