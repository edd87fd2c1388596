"""Masks as targets for the matrix: a small segmentation model, and what its maps are by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from keras import layers as L  # noqa: N812

import visualcnn_tf as vc
from support import oracle_gradient
from support.footprint import footprint
from support.masks import SPACE, X, pixels_of, ranked, raw_map, segmenter
from support.subjects import Subject
from visualcnn_tf.targets import Mask

BATCH = X[:3]
REGION = (np.random.default_rng(0).random((3, *SPACE)) - 0.3).clip(-1, 1).astype(np.float32)
REGION[REGION < 0] = -1
REGION[2] = 0


def of_mask(
    target: Any,
    weights: Callable[[np.ndarray, np.ndarray], np.ndarray],
    which: Callable[[np.ndarray], np.ndarray],
    given: dict[str, np.ndarray],
    **kind: Any,
) -> Subject:
    """A model, its heatmaps for a target, and what they are: for classes and weights of the pixels of an output."""
    bare = segmenter(*kind.pop("last", ()), **kind)
    bare(BATCH)
    before = footprint(bare)
    output = bare(BATCH).numpy()
    asked = which(output)
    own = np.array([pixels_of(output[b : b + 1], k)[0] for b, k in enumerate(asked)], float)
    found = weights(own, asked)
    explained = vc.attach(bare, "maps", method="hirescam", target=target)
    maps = np.maximum(raw_map(bare, BATCH, found, asked), 0)
    truth = {
        "explained_class": np.where(found.any((1, 2)), asked, -1).astype(np.int32),
        "heatmap_maps": oracle_gradient.finished(maps, SPACE),
    }
    return Subject(bare, explained, {"image": BATCH, **given} if given else BATCH, truth, before=before)


def by_rank(output: np.ndarray) -> np.ndarray:
    return ranked(output)[:, 0]


def every(k: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda output: np.full(len(output), k)


def the_own(own: np.ndarray, asked: np.ndarray) -> np.ndarray:
    return own


def at_points(own: np.ndarray, asked: np.ndarray) -> np.ndarray:
    weights = np.zeros(own.shape)
    weights[0, 4, 7], weights[1] = 1, own[1]
    return weights


SOFTMAX: dict[str, Any] = {"activation": "softmax"}
ASKED = np.array([2, 0, 1], np.int32)
POINTS = np.array([[4, 7], [-1, -1], [0, 99]], np.int32)
SHAPE = REGION[0] > 0

OF_MASKS: dict[str, Callable[[], Subject]] = {
    "mask-predicted": lambda: of_mask("predicted", the_own, by_rank, {}, **SOFTMAX),
    "mask-input": lambda: of_mask("input", the_own, lambda output: ASKED, {"class_index": ASKED}, **SOFTMAX),
    "mask-one_sigmoid": lambda: of_mask(1, the_own, every(1), {}, classes=1, activation="sigmoid"),
    "mask-constant_region": lambda: of_mask(
        Mask(1, SHAPE), lambda own, asked: 0 * own + SHAPE, every(1), {}, last=(L.Softmax(),)
    ),
    "mask-region": lambda: of_mask(
        Mask("input", region="input"),
        lambda own, asked: np.where(REGION < 0, own, REGION),
        lambda output: ASKED,
        {"class_index": ASKED, "region": REGION},
        **SOFTMAX,
    ),
    "mask-point": lambda: of_mask(Mask(0, region="point"), at_points, every(0), {"point": POINTS}, **SOFTMAX),
}
