"""What a model does to its image input itself, before the first operation that reads weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from visualcnn_tf.introspect.operation_layers import CONVOLUTIONS
from visualcnn_tf.introspect.trace import Trace
from visualcnn_tf.introspect.upstream import READING_SHAPES

#: Brightnesses of the gray images that the preprocessing is tried on: the ends and the middles of all ranges.
PROBES = (-1.0, 0.0, 0.5, 1.0, 127.5, 255.0)
_UNKNOWN = 64  # pixels, for a size that the model leaves open


@dataclass(frozen=True, eq=False)
class Preprocessing:
    """What becomes of gray images of each brightness in ``PROBES`` before the first weights.

    Attributes:
        results: by brightness, the numbers that vary with it, flat and all in the same order.
        layers: the paths of the layers that take part.
    """

    results: dict[float, NDArray[np.float64]]
    layers: tuple[str, ...] = ()

    @property
    def does_nothing(self) -> bool:
        """Whether images reach the first weights as they are."""
        return all(np.array_equal(numbers, np.full_like(numbers, probe)) for probe, numbers in self.results.items())


def image_tensors(trace: Trace) -> list[tf.Tensor]:
    """Return the inputs that are gray or color images, or films of them."""
    return [tensor for tensor in trace.inputs if tensor.shape.rank and is_image(tensor.shape)]


def is_image(shape: Sequence[int | None]) -> bool:
    """Return whether a shape with the batch is that of gray or color images, or of films of them."""
    return len(shape) in (4, 5) and bool({shape[-1], shape[1]} & {1, 3})


def preprocessings(trace: Trace, image: tf.Tensor) -> Iterator[Preprocessing]:
    """Yield what the first operations with weights read of an image input, one for each tensor.

    Those that don't depend on the brightness, or can't be computed on their own, are left out.
    """
    before, read = _before_weights(image)
    layers = tuple(call.path for call in trace.calls if call.tensor is not None and call.tensor.ref() in before)
    for tensor in read:
        results = _results(image, tensor)
        if results is not None:
            yield Preprocessing(results, layers)


def _before_weights(image: tf.Tensor) -> tuple[set[Any], list[tf.Tensor]]:
    """Return what is computed from an image without weights, by reference, and what of it is read beside weights."""
    before, with_weights = {image.ref()}, set()
    read: dict[Any, tf.Tensor] = {}
    for op in image.graph.get_operations():
        if op.type in READING_SHAPES:
            continue
        from_image = [tensor for tensor in op.inputs if tensor.ref() in before]
        # In frozen graphs weights are constants.
        has_weights = op.type in CONVOLUTIONS or any(
            tensor.dtype == tf.resource or tensor.ref() in with_weights for tensor in op.inputs
        )
        outputs = {tensor.ref() for tensor in op.outputs}
        if has_weights:
            with_weights |= outputs
            read |= {tensor.ref(): tensor for tensor in from_image}
        elif from_image:
            before |= outputs
    return before - {image.ref()}, list(read.values())


def _results(image: tf.Tensor, tensor: tf.Tensor) -> dict[float, NDArray[np.float64]] | None:
    """Return what a tensor is for gray images: the numbers that vary with their brightness, or None without any."""
    if tensor is image:
        return {probe: np.array([probe]) for probe in PROBES}
    try:
        found = np.stack(list(_computed(image, tensor)))
    except (tf.errors.OpError, TypeError, ValueError):
        return None
    varying = np.any(found != found[:1], axis=0) & np.all(np.isfinite(found), axis=0)
    return dict(zip(PROBES, found[:, varying], strict=True)) if varying.any() else None


def _computed(image: tf.Tensor, tensor: tf.Tensor) -> Iterator[NDArray[np.float64]]:
    """Yield a tensor, flat, for gray images of each brightness."""
    shape = [image.shape[0] or 1, *(n or _UNKNOWN for n in image.shape[1:])]
    constants = _captured(image.graph)
    # On the CPU: it is a small graph, and a second session would take the memory of a GPU.
    config = tf.compat.v1.ConfigProto(device_count={"GPU": 0}, allow_soft_placement=True)
    with tf.compat.v1.Session(graph=image.graph, config=config) as session:
        for probe in PROBES:
            gray = np.full(shape, probe, image.dtype.as_numpy_dtype)
            yield np.asarray(session.run(tensor, {image.name: gray, **constants}), np.float64).reshape(-1)


def _captured(graph: Any) -> dict[str, NDArray[Any]]:
    """Return the values of large constants, such as a mean image, which a function's graph holds as placeholders."""
    captures: Sequence[tuple[Any, tf.Tensor]] = getattr(graph, "captures", ())
    return {
        inner.name: outer.numpy() for outer, inner in captures if inner.dtype != tf.resource and hasattr(outer, "numpy")
    }
