"""Where the channels of each tensor are: convolutions tell it, and transposes change it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import tensorflow as tf

from visualcnn_tf.graphs.analysis import Analysis
from visualcnn_tf.graphs.nodes import NodeDef, Ref, data_inputs
from visualcnn_tf.introspect.operation_layers import NORMALIZATION_OPERATIONS

LAST, FIRST = "channels_last", "channels_first"
_OTHER = {LAST: FIRST, FIRST: LAST}
_TOLD = {"NHWC": LAST, "NDHWC": LAST, "NCHW": FIRST, "NCDHW": FIRST}

#: Where the channels of tensors are, as far as it is known.
Formats: TypeAlias = dict[Ref, str]


def data_formats(analysis: Analysis) -> Formats:
    """Return where the channels of tensors are: as their operation says, or as in what it reads or is read by."""
    found: Formats = {}
    for name in analysis.nodes:
        read = analysis.features_read(name)
        known = _after(analysis, name, found.get(read[0])) if read else None
        _set(found, analysis, name, known)
    for name in reversed(list(analysis.nodes)):  # what comes before the first convolution
        read = analysis.features_read(name)
        if read and (name, 0) in found and read[0] not in found:
            _set(found, analysis, read[0][0], _before(analysis, name, found[name, 0]))
    return found


def _set(found: Formats, analysis: Analysis, name: str, known: str | None) -> None:
    if known is not None:
        found |= {(name, index): known for index in range(len(analysis.operation(name).outputs))}


def _after(analysis: Analysis, name: str, before: str | None) -> str | None:
    """Return the format of what an operation returns, from that of what it reads."""
    node = analysis.nodes[name]
    order = _order(analysis, node)
    return _told(node) or (before if order is None else _transposed(order, before))


def _before(analysis: Analysis, name: str, after: str) -> str | None:
    """Return the format of what an operation reads, from that of what it returns."""
    order = _order(analysis, analysis.nodes[name])
    if order is None:
        return after
    inverse = [order.index(axis) for axis in range(len(order))]
    return _transposed(inverse, after)


def _transposed(order: Sequence[int], before: str | None) -> str | None:
    """Return the format after a transpose: another one if it moves channels between the first axis and the last."""
    rank = len(order)
    to_first, to_last = [0, rank - 1, *range(1, rank - 1)], [0, *range(2, rank), 1]
    if list(order) == to_first == to_last:  # of maps with one spatial axis
        return None if before is None else _OTHER[before]
    return FIRST if list(order) == to_first else LAST if list(order) == to_last else before


def _told(node: NodeDef) -> str | None:
    """Return the format that an operation names; a batch normalization may name another to normalize channels."""
    if "data_format" not in node.attr or node.op in NORMALIZATION_OPERATIONS:
        return None
    return _TOLD.get(node.attr["data_format"].s.decode())


def _order(analysis: Analysis, node: NodeDef) -> list[int] | None:
    """Return the order of axes of a transpose, None for any other operation."""
    if node.op != "Transpose":
        return None
    value = tf.get_static_value(analysis.tensor(data_inputs(node)[1]))
    return None if value is None else [int(axis) for axis in value]
