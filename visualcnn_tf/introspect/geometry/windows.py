"""Rules of operations with windows that slide over the axes: convolutions, pooling, and the blocks of dilated ones.

A convolution is taken to cover exactly what it reads: its map is stretched over that. Padding of its own moves nothing;
one without uses up the padding before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from visualcnn_tf.introspect.geometry.axes import Axes, Axis
from visualcnn_tf.introspect.geometry.node import Node, Rule
from visualcnn_tf.introspect.geometry.numbers import (
    NotFollowedError,
    Number,
    elements,
    larger,
    pairs,
    size_of,
    smaller,
)

_CHANNELS_FIRST = ("NCHW", "NCDHW", "NCW")


def _convolution(node: Node) -> Axes:
    kernel = node.shape(1)[:-2]
    return _windows(node, 0, kernel, grows=False)


def _pooling(node: Node) -> Axes:
    return _windows(node, 0, _spatial(node, node.attribute("ksize")), grows=False)


def _transposed(node: Node) -> Axes:
    return _windows(node, 2, [1] * (len(node.axes_of(2)) - 2), grows=True)


def _patches(node: Node) -> Axes:
    return _windows(node, 0, node.attribute("ksizes")[1:-1], grows=False)


def _windows(node: Node, data: int, kernel: Sequence[int | None], grows: bool) -> Axes:
    """Return the axes after a window of this size in each spatial axis of an input of the operation."""
    axes = node.axes_of(data)
    strides = _spatial(node, _attribute(node, "strides"))
    dilations = _spatial(node, _attribute(node, "dilations", "rates"))
    is_valid = _attribute(node, "padding") == "VALID" and not grows
    spatial = _spatial_axes(node, len(axes))
    result = [axes[0], *[Axis()] * (len(axes) - 1)]  # whatever is made of channels shows nothing of their axis
    for index, size, stride, dilation in zip(spatial, kernel, strides, dilations, strict=True):
        axis, step = axes[index], 1 / stride if grows else float(stride)
        if is_valid:
            axis = axis.eaten(float(((size or 1) - 1) * dilation))
        used = axes[index].before + axes[index].after - axis.before - axis.after
        step = _step(node.shape(data)[index], used, node.result_shape[index], step)
        result[index] = axis.resampled(node.result_shape[index], node.name, step)
    return tuple(result)


def _step(before: int | None, used: Number, after: int | None, stride: float) -> Number:
    """Return how many positions are one of the result, which is stretched over all but the used-up padding."""
    return (before - used) / after if before and after else stride


def _attribute(node: Node, *names: str) -> Any:
    """Return the first of these attributes that the operation has, or ones for each axis."""
    known = node.op.node_def.attr
    for name in names:
        if name in known:
            return node.attribute(name)
    return [1] * len(node.result_shape)


def _is_channels_first(node: Node) -> bool:
    return "data_format" in node.op.node_def.attr and node.attribute("data_format") in _CHANNELS_FIRST


def _spatial_axes(node: Node, rank: int) -> range:
    return range(2, rank) if _is_channels_first(node) else range(1, rank - 1)


def _spatial(node: Node, values: Sequence[int]) -> list[int]:
    return [values[index] for index in _spatial_axes(node, len(values))]


def _space_to_batch(node: Node) -> Axes:
    """Blocks of a dilated convolution, with the padding that it needs."""
    blocks, paddings = elements(node.op.inputs[1]), pairs(node.op.inputs[2])
    result = list(node.data)
    for index, (block, padding) in enumerate(zip(blocks, paddings, strict=True), start=1):
        padded = result[index].padded(size_of(node.op.inputs[0], index), *padding)
        result[index] = padded.resampled(node.result_shape[index], node.name, block)
    return tuple(result)


def _batch_to_space(node: Node) -> Axes:
    """The inverse of :func:`_space_to_batch`: what the convolution has left of its padding is cropped."""
    blocks, crops = elements(node.op.inputs[1]), pairs(node.op.inputs[2])
    result = list(node.data)
    for index, (block, crop) in enumerate(zip(blocks, crops, strict=True), start=1):
        axis = result[index].resampled(node.result_shape[index], node.name, 1 / block)
        result[index] = _without_filling(axis, *crop)
    return tuple(result)


def _without_filling(axis: Axis, begin: Number, end: Number) -> Axis:
    """Return the axis without what filled the last block: using that up, a convolution spared other padding."""
    spared = larger(begin - axis.before, 0.0) + larger(end - axis.after, 0.0)
    before, after = larger(axis.before - begin, 0.0), larger(axis.after - end, 0.0)
    first = smaller(before, spared)
    return replace(axis, before=before - first, after=larger(after - (spared - first), 0.0), length=None)


def resized(node: Node) -> Axes:
    """Return the axes of a tensor that is resized, or changed in some other way that keeps its rank."""
    index = next(index for index, axes in enumerate(node.axes) if axes is not None)
    axes, tensor = node.axes_of(index), node.op.inputs[index]
    if len(axes) != len(node.result_shape):
        raise NotFollowedError
    sizes = zip(axes, node.shape(index), node.result_shape, strict=True)
    return tuple(
        axis
        if before == after and before is not None
        else axis.settled(size_of(tensor, k), node.name).resampled(after, node.name)
        for k, (axis, before, after) in enumerate(sizes)
    )


RULES: dict[str, Rule] = {
    **dict.fromkeys(("Conv2D", "Conv3D", "DepthwiseConv2dNative"), _convolution),
    **dict.fromkeys(("MaxPool", "AvgPool", "MaxPool3D", "AvgPool3D"), _pooling),
    **dict.fromkeys(("Conv2DBackpropInput", "Conv3DBackpropInputV2"), _transposed),
    **dict.fromkeys(("ExtractImagePatches", "ExtractVolumePatches"), _patches),
    **dict.fromkeys(("ResizeArea", "ResizeBicubic", "ResizeBilinear", "ResizeNearestNeighbor"), resized),
    "BatchToSpaceND": _batch_to_space,
    "SpaceToBatchND": _space_to_batch,
}
