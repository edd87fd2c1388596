"""The logits that scores of boxes come from, found through everything that selects, sorts, joins or arranges them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import tensorflow as tf

from visualcnn_tf._utils.types import AxisSize
from visualcnn_tf.errors import NoGradientError
from visualcnn_tf.gradients.inline import inline_call
from visualcnn_tf.targets.detections.selections import Index, NotSelectingError, Selected, selected
from visualcnn_tf.targets.logits import SIGMOID, SOFTMAX

# Operations in which it is lost which values of their inputs their outputs are.
_LOOPS = ("While", "StatelessWhile", "TensorList", "If", "StatelessIf", "Case", "StatelessCase")
_HIDING = (*_LOOPS, "CombinedNonMaxSuppression", "NonMaxSuppression", "PyFunc", "EagerPyFunc")
_SAME_VALUES = ("ExpandDims", "Reshape", "Squeeze")


@dataclass(frozen=True, eq=False)
class Source:
    """A tensor of logits that scores come from.

    Attributes:
        tensor: the logits, or the scores themselves where there is no softmax or sigmoid.
        kind: ``"softmax"``, ``"sigmoid"`` or ``"linear"``.
        length: how many numbers of it belong to one image.
        position: which of these the elements are that were asked for.
        is_here: whether they are elements of this tensor; None where all are.
    """

    tensor: tf.Tensor
    kind: str
    length: AxisSize
    position: Index
    is_here: Index | None


@dataclass(frozen=True, eq=False)
class Sources:
    """All tensors of logits that the elements of a tensor come from, side by side."""

    parts: tuple[Source, ...]

    @property
    def logits(self) -> tf.Tensor:
        """The logits of all parts, ``(B, M)``."""
        flat = [tf.reshape(part.tensor, _rows_of(part)) for part in self.parts]
        return flat[0] if len(flat) == 1 else tf.concat(flat, 1)

    @property
    def positions(self) -> tf.Tensor:
        """Which of :attr:`logits` each element is, ``(B, n)`` int32."""
        total, start = tf.constant(0), 0
        for part in self.parts:
            position = part.position() + start
            total += position if part.is_here is None else position * tf.cast(part.is_here(), tf.int32)
            start += part.length
        return total

    @property
    def linear(self) -> list[tf.Tensor]:
        """The parts that no softmax or sigmoid follows."""
        return [part.tensor for part in self.parts if part.kind == "linear"]


def find_sources(tensor: tf.Tensor, elements: tf.Tensor | None = None) -> Sources:
    """Find the logits of elements of a tensor of the graph that is being built.

    Args:
        tensor: scores, ``(B, ...)``.
        elements: positions ``(B, n)`` int32 in the numbers of each image, flat; None where they are not asked for.

    Raises:
        NoGradientError: for scores that come out of a loop or the like, which hides where they are from.
    """
    length = _static_length(tensor)

    @cache
    def images() -> tf.Tensor:
        return tf.range(tf.shape(tensor)[0])[:, tf.newaxis]

    def index() -> tf.Tensor:
        each = tf.size(tensor) // tf.maximum(tf.shape(tensor)[0], 1) if length is None else length
        return elements + images() * each

    return Sources(tuple(_follow(Selected(tensor, cache(index)), images, None if length is None else Fraction(1))))


def is_of_probabilities(tensor: tf.Tensor) -> bool:
    """Return whether every value of a tensor is one of a softmax or sigmoid."""
    try:
        return not find_sources(tensor).linear
    except NoGradientError:
        return False


def _follow(found: Selected, images: Index, rows: Fraction | None) -> Iterator[Source]:
    """Yield the tensors of logits that elements come from.

    Args:
        found: the elements.
        images: of which image each is, ``(B, 1)``.
        rows: how many rows of the tensor belong to one image, 1 for a batch; None where that is not known.
    """
    op = found.tensor.op
    if op.type in (*SOFTMAX, *SIGMOID):
        kind = "sigmoid" if op.type in SIGMOID else "softmax"
        yield _source(Selected(op.inputs[0], found.index, found.is_here), kind, images, rows)
    elif _repeats_images(op):
        yield from _follow_repeated(found, images, rows)
    else:
        try:
            parts = _inputs(found)
        except NotSelectingError:
            _check_visible(found.tensor)
            yield _source(found, "linear", images, rows)
            return
        for part in parts:
            yield from _follow(part, images, _rows_before(op, part.tensor, found.tensor, rows))


def _inputs(found: Selected) -> list[Selected]:
    """Return which elements of the inputs of a tensor's operation the elements are."""
    inner = inline_call(found.tensor.op)
    if inner is not None:
        return [Selected(inner[1][found.tensor.value_index], found.index, found.is_here)]
    return [
        Selected(part.tensor, part.index, _both(part.is_here, found.is_here))
        for part in selected(found.tensor, found.index)
    ]


def _both(one: Index | None, other: Index | None) -> Index | None:
    if one is None or other is None:
        return one or other
    return cache(lambda: tf.logical_and(one(), other()))


def _repeats_images(op: tf.Operation) -> bool:
    """Return whether an operation gathers images, as a replay does with what it takes from the run before."""
    return op.type == "GatherV2" and not op.get_attr("batch_dims") and tf.get_static_value(op.inputs[2]) == 0


def _follow_repeated(found: Selected, images: Index, rows: Fraction | None) -> Iterator[Source]:
    """Find the logits before images were repeated, and repeat them."""
    x, order, _ = found.tensor.op.inputs

    def before() -> tf.Tensor:
        inner = math.prod(_sizes_of_row(x))
        index = tf.gather(order, found.index() // inner) * inner + found.index() % inner
        return tf.cast(index, tf.int32)

    def images_before() -> tf.Tensor:
        return tf.cast(tf.gather(order, images()), tf.int32)

    for part in _follow(Selected(x, cache(before), found.is_here), cache(images_before), rows):
        yield Source(tf.gather(part.tensor, order), part.kind, part.length, part.position, part.is_here)


def _sizes_of_row(tensor: tf.Tensor) -> list[AxisSize]:
    return [tf.shape(tensor)[axis] if size is None else size for axis, size in enumerate(tensor.shape) if axis]


def _check_visible(tensor: tf.Tensor) -> None:
    """Raise for a tensor whose operation hides which of its inputs the values are."""
    if tensor.dtype.is_floating and not tensor.op.type.startswith(_HIDING):
        return
    raise NoGradientError(
        f"`target` explains the score of a box by its logit. Received: scores that come out of {tensor.op.type!r} "
        f"({tensor.op.name!r}), which hides whose they are. Attach to the model before its non-maximum suppression, "
        "whose outputs are of all boxes, or use `visualcnn_tf.drise`, which reads the outputs alone."
    )


def _source(found: Selected, kind: str, images: Index, rows: Fraction | None) -> Source:
    tensor, length = found.tensor, _static_length(found.tensor)
    count = int(rows * length) if rows is not None and length is not None else tf.size(tensor) // tf.shape(images())[0]
    return Source(tensor, kind, count, cache(lambda: found.index() - images() * count), found.is_here)


def _rows_of(part: Source) -> list[AxisSize]:
    """Return the shape ``(B, M)`` of the numbers of one part."""
    is_known = isinstance(part.length, int)
    return [-1, part.length] if is_known else [tf.size(part.tensor) // part.length, part.length]


def _rows_before(op: tf.Operation, x: tf.Tensor, output: tf.Tensor, rows: Fraction | None) -> Fraction | None:
    """Return how many rows of an input belong to one image; only reshaping moves the batch into other axes."""
    if rows is None or op.type not in _SAME_VALUES:
        return rows
    before, after = _static_length(x), _static_length(output)
    return None if not before or after is None else rows * after / before


def _static_length(tensor: tf.Tensor) -> int | None:
    """Return how many numbers each row of a tensor has, None where that is not known."""
    shape = tensor.shape
    return None if shape.rank is None or None in shape[1:] else math.prod(shape[1:])
