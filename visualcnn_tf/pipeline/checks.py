"""What ``attach`` refuses, or warns of, before any work starts: scores that a layer has no part in, high costs."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from visualcnn_tf.errors import ExpensiveMethodWarning, NoFeatureMapError, NoGradientError, SpatialAxesLostWarning
from visualcnn_tf.gradients.backward import backward_pass
from visualcnn_tf.gradients.graph_paths import connected, downstream_of
from visualcnn_tf.introspect.outputs import flat_outputs
from visualcnn_tf.introspect.trace import LayerCall, Trace
from visualcnn_tf.methods import is_discriminative, is_perturbation, needs_gradients
from visualcnn_tf.pipeline.tap import Tap
from visualcnn_tf.targets.score import Scores, Target, suffixes

# From so many runs for each image on, and so many times the work of a prediction, a warning tells the cost.
_MANY_RUNS, _MUCH_WORK = 256, 10


def check_reachable(
    trial: Trace, tapped: Sequence[tuple[LayerCall, Tap]], scored: int, name: str, target: Target
) -> tuple[tuple[str, str], ...]:
    """Walks back in the graph of the trial run, once for each class, from the output of that place and name.

    Returns:
        Type and name of each operation that the walk has no rule of its own for.

    Raises:
        NoGradientError: when no path leads from a tap to the score, or an operation on it has no gradient.
        InvalidArgumentError: for a target that the model's output can't serve.
    """
    output = flat_outputs(trial.outputs)[scored]
    found: dict[tuple[str, str], None] = {}
    with output.graph.as_default():
        index = tf.fill(tf.shape(output)[:1], -1) if target == "input" else None
        scores = Scores(output, target, index)
        for column in range(len(suffixes(target))):
            wanted = [tap for tap in tapped if is_discriminative(tap[1].method) and tap[1].column == column]
            for call, tap in wanted:
                if not connected([scores.result], call.tensor):
                    raise NoGradientError(
                        f"`method`={tap.method!r} explains the score by the layer, and no path leads from {tap.path!r} "
                        f"to {name!r}, the output that is explained. Select another layer, or `output`."
                    )
                if not _has_places(trial, call):
                    warnings.warn(
                        f"`layers`: everything that {tap.path!r} sees was flattened or pooled before, so places in its "
                        "heatmap are not places in the image. Select a layer before the flattening.",
                        SpatialAxesLostWarning,
                        stacklevel=4,
                    )
            sources = [call.tensor for call, tap in wanted if needs_gradients(tap.method)]
            if sources:
                found |= dict.fromkeys(backward_pass([scores.result], [scores.seed(column)], sources).fallbacks)
    return tuple(found)


def _has_places(trial: Trace, call: LayerCall) -> bool:
    """Whether a path leads from an input to the tap on which every tensor has spatial axes."""
    reached = downstream_of(trial.inputs, [call.tensor], lambda tensor: (tensor.shape.rank or 3) > 2)
    return call.tensor.ref() in reached


def check_replays(trial: Trace, tapped: Sequence[tuple[LayerCall, Tap]], scored: int, max_channels: int | None) -> None:
    """Warns of methods that run the model very often.

    Raises:
        NoFeatureMapError: for a tap that can't be changed: of unknown size, or with time steps.
    """
    output = flat_outputs(trial.outputs)[scored]
    for call, tap in tapped:
        if not is_perturbation(tap.method):
            continue
        if tap.has_steps or None in tap.shape[1:]:
            raise NoFeatureMapError(
                f"`method`={tap.method!r} needs feature maps of a known size, without time steps. Received: "
                f"{tap.path!r} with shape {tap.shape}. Pass `input_shape` to fix the sizes, or use 'gradcam'."
            )
        shape = [int(n or 0) for n in tap.shape[1:]]
        channels = shape.pop(0 if tap.data_format == "channels_first" else -1)
        by_place = tap.method == "reciprocam"
        runs = math.prod(shape) if by_place else min(channels, max_channels or channels)
        if runs < _MANY_RUNS or tap.column:
            continue
        share = 1.0 if tap.method == "scorecam" else _share_after(call, output)
        if runs * share < _MUCH_WORK:
            continue
        advice = "Select a deeper layer." if by_place else "Pass `max_channels`, such as 32."
        warnings.warn(
            f"`method`={tap.method!r} of {tap.path!r} {tap.shape} runs {share:.0%} of the model's arithmetic {runs} "
            f"times for each image: {1 + runs * share:.0f} times the work of a prediction. {advice}",
            ExpensiveMethodWarning,
            stacklevel=4,
        )


def _share_after(call: LayerCall, output: Any) -> float:
    """The part of the model's multiplications that come after a tap."""
    after = downstream_of([call.tensor], [output])
    work = {op: _multiplications(op) for op in output.graph.get_operations()}
    rerun = sum(count for op, count in work.items() if any(tensor.ref() in after for tensor in op.inputs))
    return rerun / max(1, sum(work.values()))


def _multiplications(op: Any) -> int:
    """Of a convolution or a product with weights, for one image."""
    if op.type not in ("Conv2D", "Conv3D", "DepthwiseConv2dNative", "MatMul", "BatchMatMulV2"):
        return 0
    weights, places = op.inputs[1].shape, op.outputs[0].shape[1:-1]
    if None in weights or None in places:
        return 0
    return math.prod(int(n) for n in (*weights, *places))
