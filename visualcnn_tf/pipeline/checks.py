"""What ``attach`` refuses, or warns of, before any work starts: scores that a layer has no part in, high costs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import tensorflow as tf

from visualcnn_tf._utils.checks import bad_value, quoted
from visualcnn_tf._utils.warn import warn_user
from visualcnn_tf.errors import (
    ExpensiveMethodWarning,
    NoFeatureMapError,
    NoGradientError,
    PositionsUnknownWarning,
    ProbabilityWarning,
    SpatialAxesLostWarning,
)
from visualcnn_tf.gradients.backward import backward_pass
from visualcnn_tf.gradients.graph_paths import connected, downstream_of, upstream_operations
from visualcnn_tf.introspect.batch_axes import batch_axes
from visualcnn_tf.introspect.inputs import ModelInputs
from visualcnn_tf.introspect.layer_call import LayerCall
from visualcnn_tf.introspect.predictions import is_prediction
from visualcnn_tf.introspect.reference_input import Positions
from visualcnn_tf.introspect.reusable_calls import runs_on_any_batch
from visualcnn_tf.introspect.trace import Trace
from visualcnn_tf.methods.base import Method
from visualcnn_tf.pipeline.attention import attention_of
from visualcnn_tf.pipeline.explained_output import ExplainedOutput
from visualcnn_tf.pipeline.masking import check_masking
from visualcnn_tf.pipeline.tap import Tap
from visualcnn_tf.pipeline.tap_requests import TapRequest
from visualcnn_tf.pipeline.token_checks import check_positions_reach
from visualcnn_tf.pixels.pixels import Pixels
from visualcnn_tf.targets.dense.head import is_dense
from visualcnn_tf.targets.logits import find_logits, probability_behind

# From so many evaluations for each image on, and so many times the work of a prediction, a warning tells the cost.
_MANY_EVALUATIONS, _MUCH_WORK = 256, 10
_PRODUCTS = ("Conv2D", "Conv3D", "DepthwiseConv2dNative", "MatMul", "BatchMatMulV2")


def check_requests(
    positions: Positions,
    inputs: ModelInputs,
    requests: Sequence[TapRequest],
    taps: Sequence[Tap],
    explained: ExplainedOutput,
) -> None:
    """Check that each method can explain the target by its layer, and warn of what it costs.

    Args:
        positions: of the model.
        inputs: what it takes.
        requests: what is tapped.
        taps: the taps of these requests.
        explained: what is explained.

    Raises:
        NoGradientError: when no path leads from a layer to the score.
        NoFeatureMapError: for a layer that a method can't change: of unknown size, with time steps or elements.
        InputShapeError: for a method that masks the image, where no input is one.
        InvalidArgumentError: for a target that the model's output can't serve.
    """
    trace = positions.trace
    output, name = explained.tensor, explained.name
    _check_rows(trace, output, name)
    _check_is_scores(trace, explained)
    with output.graph.as_default():
        explained.target.check(explained.read)
    for request, tap in zip(requests, taps, strict=True):
        if request.method.needs_replay:
            _check_replay(trace, tap)
        if request.method.masks_input:
            check_masking(trace, tap, request.call, inputs)
    with output.graph.as_default():
        _warn_of_probability(explained)
        result = explained.scores.result
        for request in requests:
            if request.method.explains_target:
                if not request.method.needs_head:
                    _check_connected(result, request, _read(request, explained), name)
                _warn_of_lost_positions(positions, request.call)
        for call in dict.fromkeys(request.call for request in requests if request.method.explains_target):
            check_positions_reach(trace, call, lambda one: explained.in_trace(one).scores.result)
    for request, tap in zip(requests, taps, strict=True):
        if request.method.needs_replay:
            _warn_of_cost(trace, tap, request.call, output)


def check_overlay_pixels(pixels: Pixels | None) -> None:
    """Raise unless it is known which values of a model's input are black and white, which overlays have to know.

    Raises:
        InvalidArgumentError: if nothing or only a function is known.
    """
    if pixels is None or pixels.scaling is None:
        raise bad_value(
            "pixels",
            "given for overlays, by name: what the model takes can't be found out",
            None if pixels is None else pixels.values,
            "Say what it takes where a photo has pixels of 0 to 255, such as `pixels='0..1'`.",
        )


def gradient_fallbacks(requests: Sequence[TapRequest], explained: ExplainedOutput) -> tuple[tuple[str, str], ...]:
    """Return type and name of each operation whose gradient is TensorFlow's own, not a rule of this package.

    Raises:
        NoGradientError: for an operation on the way from a layer to the score that has no gradient.
    """
    found: dict[tuple[str, str], None] = {}
    with explained.tensor.graph.as_default():
        scores = explained.scores
        for index in range(len(explained.target.suffixes)):
            wanted = [r for r in requests if r.method.needs_gradients and r.target_index == index]
            tensors = [tensor for r in wanted for tensor in _read(r, explained)]
            sources = [tensor for tensor in tensors if connected([scores.result], tensor)]
            if sources:
                found |= dict.fromkeys(backward_pass([scores.result], [scores.seed(index)], sources).fallbacks)
    return tuple(found)


def _read(request: TapRequest, explained: ExplainedOutput) -> list[tf.Tensor]:
    """Return the tensors of the trace that the method of a request reads."""
    if request.method.needs_attention:
        return attention_of(request.call, list(explained.outputs.values()), explained.index)
    return [request.call.tensor]


def _check_connected(result: tf.Tensor, request: TapRequest, read: Sequence[tf.Tensor], name: str) -> None:
    if not all(connected([result], tensor) for tensor in read):
        raise NoGradientError(
            f"`method`={request.method.name!r} explains the score by the layer, and no path leads from "
            f"{request.call.path!r} to {name!r}, the output that is explained. Select another layer, or `output`."
        )


def warn_of_unknown_positions(positions: Positions, requests: Sequence[TapRequest]) -> None:
    """Warn of operations that move pixels in a way that can't be followed, so that heatmaps may lie beside them."""
    paths: dict[str, list[str]] = {}
    for request in requests:
        moved_by = positions.view(request.call).moved_by
        if moved_by and request.call.path not in paths.setdefault(moved_by, []):
            paths[moved_by].append(request.call.path)
    for moved_by, found in paths.items():
        warn_user(
            f"`layers`: the operation {moved_by} moves pixels in a way that can't be followed, so the heatmaps of "
            f"{quoted(found)} are stretched over the whole input and may lie beside what they show. Select a layer "
            "before that operation, or set `size=None`.",
            PositionsUnknownWarning,
        )


def _warn_of_lost_positions(positions: Positions, call: LayerCall) -> None:
    """Warn of a layer that is computed from tensors without positions alone; the user has told those of its tokens."""
    if call.tokens is None and positions.are_lost(call):
        warn_user(
            f"`layers`: everything that {call.path!r} sees was flattened or pooled before, so positions in its heatmap "
            "are not positions in the image. Select a layer before the flattening.",
            SpatialAxesLostWarning,
        )


def _warn_of_probability(explained: ExplainedOutput) -> None:
    """Warn of a class whose score is a probability, because no logit was found behind it."""
    target = explained.target
    kinds = [probability_behind(tensor) for tensor in target.without_logits(explained.read)]
    kind = next(filter(None, kinds), None)
    if kind is not None:
        warn_user(
            f"`output` {explained.name!r} is a mixture of probabilities (computed from a {kind}), which has no logit: "
            "the probability itself is explained. Where it is near 0 or 1, gradients vanish: attach to a model that "
            "outputs one of them alone, or use a method without gradients.",
            ProbabilityWarning,
        )


def _check_rows(trace: Trace, output: tf.Tensor, name: str) -> None:
    """Raise if an output has several rows for each example: there is one score for each."""
    batch = batch_axes(trace).get(output.ref())
    if batch is not None and batch.inner is not None and not batch.is_row_per_example:
        raise bad_value(
            "output",
            "an output with the batch first, and one row for each example",
            name,
            f"Of shape {output.shape}, it has rows for elements of examples, such as views or patches: "
            "reshape it to (B, elements, ...).",
        )


def _check_is_scores(trace: Trace, explained: ExplainedOutput) -> None:
    """Raise for the feature maps of a backbone, whose channels are no classes."""
    output, target = explained.tensor, explained.target
    if not target.reports_classes or target.finds_output or not is_dense(output):
        return
    with output.graph.as_default():
        is_linear = find_logits(output).kind == "linear" and probability_behind(output) is None
    if is_linear and not is_prediction(trace, output):
        raise bad_value(
            "target",
            "a callable for an output that is not scores of classes, such as `target=lambda maps: ...` of shape (B,)",
            target,
            f"{explained.name!r} of shape {output.shape} is feature maps: no softmax or sigmoid ends the model, nor a "
            "layer that makes fewer channels. Attach to the model with its head.",
        )


def _check_replay(trace: Trace, tap: Tap) -> None:
    if tap.elements is not None:
        raise NoFeatureMapError(
            f"`method`={tap.method.name!r} needs one feature map for each example. Received: {tap.path!r} with shape "
            f"{tap.shape}, where elements of each example, such as views or patches, are merged into the batch. "
            "Use 'gradcam'."
        )
    if not runs_on_any_batch(trace):
        raise NoFeatureMapError(
            f"`method`={tap.method.name!r} runs the model on larger batches. Received: {trace.model.name!r}, which "
            f"takes batches of {trace.inputs[0].shape[0]} only. Build it without a batch size, or use 'gradcam'."
        )
    if tap.has_steps or None in tap.step_shape[1:]:
        raise NoFeatureMapError(
            f"`method`={tap.method.name!r} needs feature maps of a known size, without time steps. Received: "
            f"{tap.path!r} with shape {tap.shape}. Pass `input_shape` to fix the sizes, or use 'gradcam'."
        )


def _warn_of_cost(trace: Trace, tap: Tap, call: LayerCall, output: tf.Tensor) -> None:
    cost = tap.method.cost([int(n or 0) for n in tap.space], int(tap.channels or 0))
    if cost.evaluations < _MANY_EVALUATIONS or tap.target_index:
        return
    share = 1.0 if cost.of == "model" else share_after(trace, call, output)
    if cost.evaluations * share < _MUCH_WORK:
        return
    warn_user(
        f"`method`={tap.method.name!r} of {tap.path!r} {tap.shape} runs {share:.0%} of the model's arithmetic "
        f"{cost.evaluations} times for each image: {1 + cost.evaluations * share:.0f} times the work of a prediction. "
        f"{_advice(tap.method)}",
        ExpensiveMethodWarning,
    )


def _advice(method: Method) -> str:
    if hasattr(method, "max_channels"):
        return f"Limit the channels: `method={type(method).__name__}(max_channels=32)`."
    return "Select a deeper layer."


def share_after(trace: Trace, call: LayerCall, output: tf.Tensor) -> float:
    """Return the part of the model's multiplications that come after a call, on the way to an output."""
    after = downstream_of([call.tensor], [output])
    # Not all operations of the graph: to follow positions through functions, their bodies were copied into it.
    work = {op: _multiplications(op) for op in upstream_operations(trace.output_tensors)}
    replayed = sum(count for op, count in work.items() if any(tensor.ref() in after for tensor in op.inputs))
    return replayed / max(1, sum(work.values()))


def _multiplications(op: tf.Operation) -> int:
    """Return those of a convolution or a product with weights, for one image."""
    if op.type not in _PRODUCTS:
        return 0
    weights, positions = op.inputs[1].shape, op.outputs[0].shape[1:-1]
    if None in weights or None in positions:
        return 0
    return math.prod(int(n) for n in (*weights, *positions))
