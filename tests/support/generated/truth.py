"""The heatmap that a call of a layer should have, by hand and in NumPy's float64.

Nothing here imports the package: feature maps are those that the model gives by hand, gradients those of a
``tf.GradientTape``, and a method that runs the model again does so by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from support import oracle, oracle_gradient
from support.generated.hand import Box, Call, Elements
from support.generated.models import Design, Result

#: From a run by hand, and the class of each example, to one number for each example.
Score = Callable[[Result, np.ndarray], tf.Tensor]

REPLAYS = ("reciprocam", "ablationcam", "scorecam")


@dataclass
class Truth:
    """What a heatmap should be.

    Attributes:
        heatmap: ``(B, H, W)``, or ``(B, n, H, W)`` for several elements.
        allowed: how far each map may be off: more than usual where normalization enlarges the rounding of float32.
    """

    heatmap: np.ndarray
    allowed: np.ndarray


@dataclass
class Question:
    """Which heatmap.

    Attributes:
        design: the model.
        arrays: a batch by name.
        calls: of its layers, by hand.
        number: which call of a layer, among all.
        method: the name of a method.
        score: what is explained, or None.
        classes: the class of each example that is explained, ``(B,)``.
        size: as in ``attach``.
        normalize: as in ``attach``.
    """

    design: Design
    arrays: Mapping[str, np.ndarray]
    calls: Sequence[Call]
    number: int
    method: str
    score: Score | None
    classes: np.ndarray
    size: str | tuple[int, ...] | None
    normalize: str | None

    def answer(self) -> Truth:
        """Compute the heatmaps of the batch."""
        flow = self.calls[self.number].flow
        maps, size_of_terms = self._maps()
        space = None if flow.reference is None else self.design.branch(flow.reference).space
        placed = [place(one, flow.box, space, self.size) for one in maps]
        heatmaps = np.stack([show(one, seen, self.normalize) for one, seen in placed])
        spans = np.array([_span(one[seen], self.normalize) for one, seen in placed])
        rounding = 4e-6 * size_of_terms * np.divide(1.0, spans, out=np.zeros_like(spans), where=spans > 0)
        allowed = rounding + 1e-4 * (_largest(heatmaps) if self.normalize is None else 1.0)
        return Truth(unfolded(heatmaps, flow.elements), unfolded(allowed, flow.elements))

    def _maps(self) -> tuple[np.ndarray, np.ndarray]:
        """The fused maps, elements in the batch, and how large the terms are that they are sums of."""
        if self.method in oracle.FUSIONS:
            values = self.calls[self.number].flow.value
            return oracle.fuse(values, self.method), _largest(np.asarray(values, np.float64))
        if self.method in REPLAYS:
            return self._replayed()
        values, gradients = self.gradients()
        assert gradients is not None
        values, gradients = np.asarray(values, np.float64), np.asarray(gradients, np.float64)
        weights = _largest(gradients)
        return oracle_gradient.fuse(values, gradients, self.method), weights * _largest(values) * values.shape[-1]

    def gradients(self) -> tuple[tf.Tensor, tf.Tensor | None]:
        """What the layer returns, and the gradient of the score; None where no path leads to it."""
        assert self.score is not None
        kept: list[tf.Tensor] = []

        def watch(number: int, value: tf.Tensor) -> tf.Tensor:
            if number == self.number:
                tape.watch(value)
                kept.append(value)
            return value

        with tf.GradientTape() as tape:
            score = tf.reduce_sum(self.score(self.design.by_hand(self.arrays, watch), self.classes))
        return kept[0], tape.gradient(score, kept[0])

    # Running the model again -------------------------------------------------------------------------------------

    def _replayed(self) -> tuple[np.ndarray, np.ndarray]:
        count = len(next(iter(self.arrays.values())))
        found = [self._replayed_one(b, {name: x[b : b + 1] for name, x in self.arrays.items()}) for b in range(count)]
        return np.stack([maps for maps, _ in found]), np.array([size for _, size in found])

    def _replayed_one(self, b: int, example: Mapping[str, np.ndarray]) -> tuple[np.ndarray, float]:
        """The map of example ``b``, alone in its batch."""
        result = self.design.by_hand(example)
        flow = result.calls[self.number].flow
        maps = np.asarray(flow.value, np.float64)[0]
        channels = np.moveaxis(maps, -1, 0)
        if self.method == "reciprocam":
            scores = self._scores(b, example, [maps * mask[..., None] for mask in gaussians(maps.shape[:-1])])
            return scores.reshape(maps.shape[:-1]), float(abs(scores).max())
        if self.method == "ablationcam":
            whole = self._scores(b, example, [maps])[0]
            left = [maps * (np.arange(len(channels)) != k) for k in range(len(channels))]
            weights = (whole - self._scores(b, example, left)) / (abs(whole) or 1.0)
        else:
            weights = _softmax(self._masked_scores(b, example, channels, flow.reference, flow.box))
        total = sum(w * channel for w, channel in zip(weights, channels, strict=True))
        return np.maximum(total, 0), float(abs(weights).max() * abs(maps).max())

    def _scores(self, b: int, example: Mapping[str, np.ndarray], variants: Sequence[np.ndarray]) -> np.ndarray:
        """The scores of one example with each of these in place of what the layer returned."""
        values = tf.constant(np.stack(variants), tf.float32)
        many = {name: np.repeat(x, len(variants), 0) for name, x in example.items()}
        return self._score(b, many, lambda number, value: values if number == self.number else value)

    def _masked_scores(
        self, b: int, example: Mapping[str, np.ndarray], channels: np.ndarray, reference: str | None, box: Box
    ) -> np.ndarray:
        """The scores of one example whose reference input is masked by each channel, where that lies."""
        assert reference is not None
        branch = self.design.branch(reference)
        masks = np.stack([show(*place(one, box, branch.space, "input"), "minmax") for one in channels])
        many = {name: np.repeat(x, len(channels), 0) for name, x in example.items()}
        masks = masks if branch.reshaped is not None else masks[..., None]
        masked = many[reference].astype(np.float32) * masks.astype(np.float32)
        many[reference] = masked.astype(many[reference].dtype)
        return self._score(b, many, None)

    def _score(self, b: int, arrays: Mapping[str, np.ndarray], change: Any) -> np.ndarray:
        assert self.score is not None
        classes = np.repeat(self.classes[b : b + 1], len(next(iter(arrays.values()))))
        return np.asarray(self.score(self.design.by_hand(arrays, change), classes), np.float64)


def gaussians(space: Sequence[int]) -> list[np.ndarray]:
    """Around each position 1/2 of itself and 1/4 of each neighbor, along each axis."""
    masks = []
    for position in np.ndindex(*space):
        mask = np.ones(())
        for i, n in zip(position, space, strict=True):
            mask = np.multiply.outer(mask, [{0: 0.5, 1: 0.25}.get(abs(i - j), 0.0) for j in range(n)])
        masks.append(mask)
    return masks


# Where a map lies ---------------------------------------------------------------------------------------------------


def place(
    one: np.ndarray, box: Box, space: Sequence[int] | None, size: str | tuple[int, ...] | None
) -> tuple[np.ndarray, tuple[slice, ...]]:
    """Put a map ``(h, w)`` where it lies in the reference input.

    Returns:
        The map on a canvas of zeros, and the part of the canvas that it covers.
    """
    if size is None:
        return one, (slice(None),) * one.ndim
    if space is None:
        assert size != "input"
        return oracle.resize(one[None], size, "bilinear")[0], (slice(None),) * one.ndim
    canvas = tuple(space) if size == "input" else size
    if _covers_all(box, space, one.shape):
        box = tuple((0.0, float(n)) for n in space)
    ends = [_pixels(low, high, n / m) for (low, high), n, m in zip(box, canvas, space, strict=True)]
    whole = oracle.resize(one[None], [high - low for low, high in ends], "bilinear")[0]
    seen = tuple(slice(max(low, 0), min(high, n)) for (low, high), n in zip(ends, canvas, strict=True))
    out = np.zeros(canvas)
    out[seen] = whole[tuple(slice(s.start - low, s.stop - low) for s, (low, _) in zip(seen, ends, strict=True))]
    return out, seen


def _covers_all(box: Box, space: Sequence[int], cells: Sequence[int]) -> bool:
    """Whether a map covers its input but for half of one of its positions at each end, or hardly more."""
    halves = [0.51 * (high - low) / n for (low, high), n in zip(box, cells, strict=True)]
    ends = [max(abs(low), abs(n - high)) for (low, high), n in zip(box, space, strict=True)]
    return all(end <= half for end, half in zip(ends, halves, strict=True))


def _pixels(low: float, high: float, scale: float) -> tuple[int, int]:
    """The ends of a box on the canvas, in whole pixels: halves are rounded up, whatever their last bit is."""
    return int(np.floor(low * scale + 0.5001)), int(np.floor(high * scale + 0.5001))


def show(one: np.ndarray, seen: tuple[slice, ...], normalize: str | None) -> np.ndarray:
    """Normalize over the part that a map covers, and leave zeros elsewhere."""
    out = np.zeros_like(one)
    out[seen] = oracle.normalized(one[seen][None], normalize)[0]
    return out


def unfolded(batch: np.ndarray, elements: Elements | None) -> np.ndarray:
    """``(B, n, ...)`` where elements are in the batch."""
    if elements is None:
        return batch
    if elements.order == "element":
        return batch.reshape(elements.count, -1, *batch.shape[1:]).swapaxes(0, 1)
    return batch.reshape(-1, elements.count, *batch.shape[1:])


def _largest(values: np.ndarray) -> np.ndarray:
    return abs(values).reshape(len(values), -1).max(1)


def _span(one: np.ndarray, normalize: str | None) -> float:
    if normalize is None:
        return 1.0
    return float(np.ptp(one) if normalize == "minmax" else abs(one).max())


def _softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max())
    return powers / powers.sum()
