"""Finding the logits: from a model's output back to what its softmax or sigmoid reads.

At a probability of 1.0 the derivative of the probability, and of its logarithm, is lost in rounding; that of the
logit is not. So the score of a class is its logit, found in the graph without touching the model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf

from visualcnn_tf.gradients.inline import inline_call
from visualcnn_tf.gradients.tensors import PASS_THROUGH
from visualcnn_tf.targets.dense.class_axis import moved_axis

#: What makes probabilities of logits.
SOFTMAX, SIGMOID = ("Softmax", "LogSoftmax"), ("Sigmoid",)
#: Clipping to a constant keeps a probability what it is but for its ends.
CLIPPING = ("Minimum", "Maximum", "ClipByValue")


def _resized(resize: Callable[..., tf.Tensor], op: tf.Operation, x: tf.Tensor) -> tf.Tensor:
    options = {name: op.get_attr(name) for name in ("align_corners", "half_pixel_centers")}
    return resize(images=x, size=op.inputs[1], **options)


def _strided_slice(op: tf.Operation, x: tf.Tensor) -> tf.Tensor:
    masks = ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")
    begin, end, strides = op.inputs[1:]
    attributes = {name: op.get_attr(name) for name in masks}
    return tf.raw_ops.StridedSlice(input=x, begin=begin, end=end, strides=strides, **attributes)


#: Operations that only select or rearrange values, and how to apply them to the logits.
REARRANGING: dict[str, Callable[[tf.Operation, tf.Tensor], tf.Tensor]] = {
    "ExpandDims": lambda op, x: tf.expand_dims(x, op.inputs[1]),
    "GatherV2": lambda op, x: tf.gather(x, op.inputs[1], axis=op.inputs[2], batch_dims=op.get_attr("batch_dims")),
    "Reshape": lambda op, x: tf.reshape(x, op.inputs[1]),
    "ResizeBilinear": lambda op, x: _resized(tf.raw_ops.ResizeBilinear, op, x),
    "ResizeNearestNeighbor": lambda op, x: _resized(tf.raw_ops.ResizeNearestNeighbor, op, x),
    "Slice": lambda op, x: tf.slice(x, *op.inputs[1:]),
    "Squeeze": lambda op, x: tf.squeeze(x, op.get_attr("squeeze_dims") or None),
    "StridedSlice": _strided_slice,
    "Tile": lambda op, x: tf.tile(x, op.inputs[1]),
    "Transpose": lambda op, x: tf.transpose(x, op.inputs[1]),
}
# What a probability may have gone through without becoming a score of another kind: averages, products, selections.
_PROBABILITY_KEEPING = (
    *REARRANGING,
    *PASS_THROUGH,
    *CLIPPING,
    *("Add", "AddN", "AddV2", "ConcatV2", "Log", "Max", "Mean", "Mul", "Pack", "Pow", "Prod", "RealDiv", "Sub", "Sum"),
)


@dataclass(frozen=True, eq=False)
class Logits:
    """What the softmax or sigmoid of an output reads.

    Attributes:
        tensor: the logits, or the output itself where there is no softmax or sigmoid. Of the output's shape, but for
            axes of size 1 between the batch and the classes.
        kind: ``"softmax"``, ``"sigmoid"`` or ``"linear"``.
        class_axis: the axis of the output over which the softmax is taken; None without a softmax, and where the axis
            can't be followed.
    """

    tensor: tf.Tensor
    kind: str
    class_axis: int | None = None


def find_logits(output: tf.Tensor) -> Logits:
    """Find the logits of an output ``(B, …, K)``, a tensor of the graph that is being built.

    They are looked for behind casts, identities, clipping to constants, slicing, gathering, reshaping and transposing.
    Logits of masks are enlarged as the masks are.
    """
    tensor = output
    steps: list[tf.Operation] = []
    while True:
        op = tensor.op
        if op.type in (*SOFTMAX, *SIGMOID):
            logits = _rearranged(op.inputs[0], steps, output)
            if op.type in SIGMOID:
                return Logits(logits, "sigmoid")
            rank = op.inputs[0].shape.rank
            return Logits(logits, "softmax", None if rank is None else moved_axis(rank - 1, steps[::-1]))
        inner = inline_call(op)
        if inner is not None:
            tensor = inner[1][tensor.value_index]
        elif op.type in PASS_THROUGH or op.type in CLIPPING:
            tensor = _clipped(op)
            if tensor is None:
                return Logits(output, "linear")
        elif op.type in REARRANGING:
            steps.append(op)
            tensor = op.inputs[0]
        else:
            return Logits(output, "linear")


def _clipped(op: tf.Operation) -> tf.Tensor | None:
    """Return the one input that is not a constant bound, or None if there are several."""
    variable = [tensor for tensor in op.inputs if tf.get_static_value(tensor) is None]
    return variable[0] if len(variable) == 1 else None


def _rearranged(logits: tf.Tensor, steps: list[tf.Operation], output: tf.Tensor) -> tf.Tensor:
    """Return logits in the arrangement of the output, left alone where they are it but for axes of size 1."""
    if all(op.type in ("Reshape", "Squeeze", "ExpandDims") for op in steps) and _same_units(logits, output):
        return logits
    for op in reversed(steps):
        logits = REARRANGING[op.type](op, logits)
    return logits


def _same_units(logits: tf.Tensor, output: tf.Tensor) -> bool:
    """Return whether logits are ``(B, K)`` as the output, or the same with axes of size 1 between."""
    sizes = logits.shape.as_list() if logits.shape.rank else []
    return output.shape.rank == 2 and len(sizes) > 1 and sizes[-1] == output.shape[-1] and set(sizes[1:-1]) <= {1}


def probability_behind(output: tf.Tensor) -> str | None:
    """Return the type of the softmax or sigmoid that an output without logits is a mixture of, or None.

    An average of several softmaxes, for example, is a probability that has no logit.
    """
    seen, todo, highest = set(), [output], max(3, output.shape.rank or 0)
    while todo:
        op = todo.pop().op
        if op.type in (*SOFTMAX, *SIGMOID):
            return str(op.type)
        if op in seen or op.type not in _PROBABILITY_KEEPING:
            continue
        seen.add(op)
        # A gate, such as that of squeeze and excitation, stands on feature maps of a higher rank.
        todo += [tensor for tensor in op.inputs if tensor.shape.rank is not None and tensor.shape.rank <= highest]
    return None
