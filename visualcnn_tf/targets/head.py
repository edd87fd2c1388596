"""The head of a classifier: its output, its logits, and which class a unit stands for."""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

from visualcnn_tf.errors import InvalidArgumentError
from visualcnn_tf.gradients.tensors import PASS_THROUGH, to_gradient_dtype
from visualcnn_tf.targets.logits import find_logits

# What class indices may have gone through.
_AROUND_INDICES = (*PASS_THROUGH, "ExpandDims", "Reshape", "Squeeze", "StridedSlice")


@dataclass(frozen=True, eq=False)
class Head:
    """The end of a classifier.

    Attributes:
        output: what the model returns, ``(B, K)``.
        logits: what its softmax or sigmoid reads, ``(B, K)`` or ``(B, 1, 1, K)``, or the output itself.
        kind: ``"softmax"``, ``"sigmoid"`` or ``"linear"``.
    """

    output: tf.Tensor
    logits: tf.Tensor
    kind: str

    @property
    def classes(self) -> int:
        """The number of classes: a single sigmoid unit tells two."""
        return 2 if self.is_binary else int(self.output.shape[-1])

    @property
    def is_binary(self) -> bool:
        """Whether one sigmoid unit stands for two classes."""
        return self.kind == "sigmoid" and self.output.shape[-1] == 1

    def likeliest(self, count: int) -> tf.Tensor:
        """Return the likeliest classes, ``(B, count)`` int32, the likeliest first."""
        # From what the model returns: a reader of the logits would keep TensorFlow from fusing their layer with its
        # activation, and so change the last bits of the predictions.
        output = to_gradient_dtype(self.output)
        if self.is_binary:
            first = tf.cast(output > 0.5, tf.int32)
            return tf.concat([first, 1 - first], 1)[:, :count]
        if count == 1:
            return tf.expand_dims(tf.argmax(output, -1, output_type=tf.int32), 1)
        return tf.math.top_k(output, count).indices


def find_head(output: tf.Tensor) -> Head:
    """Find the logits of a model's output ``(B, K)``, a tensor of the graph that is being built.

    Raises:
        InvalidArgumentError: for an output that is not ``(B, K)`` with a known number of units.
    """
    if output.shape.rank != 2 or output.shape[-1] is None or not output.dtype.is_floating:
        raise InvalidArgumentError(
            "`target` must be a callable for an output that is not scores of classes, (B, K), (B, H, W, K) or "
            "(B, K, H, W), such as `target=lambda output: ...` of shape (B,). Received: an output of shape "
            f"{output.shape} and type {output.dtype.name}.{_advice(output)}"
        )
    found = find_logits(output)
    return Head(output, found.tensor, found.kind)


def _advice(output: tf.Tensor) -> str:
    """Return what to do about an output of class indices, which hide the scores that they come from."""
    tensor = output
    while tensor.op.type in _AROUND_INDICES and tensor.op.inputs:
        tensor = tensor.op.inputs[0]
    if tensor.op.type != "ArgMax":
        return ""
    return (
        " It is the index of the largest score (an argmax), and no gradient leads to the scores: attach to a model "
        "that outputs them, `keras.Model(model.input, scores)`."
    )
