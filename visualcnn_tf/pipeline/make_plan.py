"""From a model and options to a plan, by one trial run of the model."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import keras

from visualcnn_tf._utils.checks import bad_value, check_choice, quoted
from visualcnn_tf.errors import NotBuiltError
from visualcnn_tf.heatmap.combine import resolve_weights
from visualcnn_tf.introspect.find_inputs import inputs_of_call, symbolic_inputs
from visualcnn_tf.introspect.fused_blocks import fused_blocks_to
from visualcnn_tf.introspect.inputs import ModelInputs
from visualcnn_tf.introspect.reference_input import Positions
from visualcnn_tf.introspect.reusable_calls import reusable_calls
from visualcnn_tf.introspect.select import Selector, uses_presets
from visualcnn_tf.introspect.trace import Trace, trace_model
from visualcnn_tf.pipeline.attention import first_tokens, with_tokens_read
from visualcnn_tf.pipeline.checks import (
    check_overlay_pixels,
    check_requests,
    gradient_fallbacks,
    warn_of_unknown_positions,
)
from visualcnn_tf.pipeline.explained_output import ExplainedOutput, find_explained_output
from visualcnn_tf.pipeline.head_call import find_head_call
from visualcnn_tf.pipeline.options import Options
from visualcnn_tf.pipeline.outputs import EXPLAINED_CLASS, OutputSpec, unique
from visualcnn_tf.pipeline.plan import Plan
from visualcnn_tf.pipeline.plan_outputs import classes_output, explanation_outputs, model_outputs, report_outputs
from visualcnn_tf.pipeline.saved_taps import restored_taps
from visualcnn_tf.pipeline.tap import Tap
from visualcnn_tf.pipeline.tap_requests import TapRequest, requested_taps, with_head_call, with_unique_keys
from visualcnn_tf.pixels.resolve import resolve_pixels
from visualcnn_tf.targets.inputs import TargetInput
from visualcnn_tf.targets.predicted import Predicted


def make_plan(model: keras.Model, inputs: ModelInputs, options: Options) -> Plan:
    """Select the taps as the options ask for them, check them, and work out the outputs.

    Raises:
        VisualCNNError: for every layer, method or size that the model can't serve.
    """
    selector = Selector(model, inputs, options.tokens)
    trace = selector.trace
    predictions = model_outputs(model, trace)
    names = [output.name for output in predictions]
    selector.output_index = _index_for_presets(trace, names, options)
    requests = _requests(selector, options)
    pixels = resolve_pixels(options.given_pixels, trace)
    _check_effect(requests, names, options)
    explained = _explained_output(requests, trace, names, options)
    if explained is not None:
        requests = with_head_call(requests, functools.cache(partial(find_head_call, trace, explained)))
    classes = _of_target(explained, names)
    requests = with_unique_keys(requests, [*names, *(output.name for output in classes)])
    weights = resolve_weights(options.combine_weights, options.combine, [request.call.path for request in requests])
    positions = Positions(trace)
    plan = _plan(positions, inputs, options, [*predictions, *classes], requests, weights, explained)
    plan = replace(plan, pixels=pixels)
    if options.overlay is not None:
        check_overlay_pixels(pixels)
    if explained is not None:
        check_requests(positions, inputs, requests, plan.taps, explained)
    if options.size is not None:
        warn_of_unknown_positions(positions, requests)
    return plan


def plan_of_call(model: keras.Model, inputs: Any, options: Options) -> Plan:
    """Make the plan of a model whose inputs were not known, from the inputs of its first call.

    Raises:
        NotBuiltError: when these do not tell what the model takes.
    """
    asked = [one.name for one in options.resolved_target.inputs if isinstance(inputs, Mapping) and one.name in inputs]
    if asked:
        raise NotBuiltError(
            f"The inputs of {model.name!r} are not known before its first call, so {quoted(asked)} can't be told from "
            "them. Call it once without, or attach with `input_shape=(height, width, channels)`."
        )
    described = symbolic_inputs(model) or inputs_of_call(model, inputs)
    plan = make_plan(model, described, options)
    return replace(plan, inputs=symbolic_inputs(model) or described)


def restore_plan(
    model: keras.Model,
    inputs: ModelInputs,
    options: Options,
    saved_taps: Iterable[Mapping[str, Any]],
    weights: Sequence[float] | None,
) -> Plan:
    """Work out the plan of a model that was loaded, from its taps as ``save_taps`` saved them.

    Raises:
        LayerNotFoundError: for a layer that the loaded model does not have.
    """
    trace = trace_model(model, inputs)
    predictions = model_outputs(model, trace)
    requests = restored_taps(model, trace, saved_taps)
    names = [output.name for output in predictions]
    explained = _explained_output(requests, trace, names, options)
    classes = _of_target(explained, names)
    weights = None if weights is None else tuple(weights)
    plan = _plan(Positions(trace), inputs, options, [*predictions, *classes], requests, weights, explained)
    return replace(plan, pixels=options.given_pixels)


def _explained_output(
    requests: Sequence[TapRequest], trace: Trace, names: Sequence[str], options: Options
) -> ExplainedOutput | None:
    """Return the output that the target explains; None where no method explains a target."""
    if not _explains_target(requests):
        return None
    return find_explained_output(trace, names, options.output, options.resolved_target)


def _of_target(explained: ExplainedOutput | None, names: Sequence[str]) -> list[OutputSpec]:
    """Return the outputs that tell what is explained, or none: the classes and what else the target reports."""
    if explained is None:
        return []
    target = explained.target
    classes = [classes_output(unique(EXPLAINED_CLASS, names), target)] if target.reports_classes else []
    return [*classes, *report_outputs(explained, [*names, *(spec.name for spec in classes)])]


def _plan(
    positions: Positions,
    inputs: ModelInputs,
    options: Options,
    outputs: Sequence[OutputSpec],
    requests: Sequence[TapRequest],
    weights: tuple[float, ...] | None,
    explained: ExplainedOutput | None,
) -> Plan:
    """Build a plan from what is tapped and the outputs before the heatmaps."""
    trace = positions.trace
    taps = tuple(_tap(request, positions, explained) for request in requests)
    plan = Plan(inputs, taps, (*outputs, *explanation_outputs(taps, inputs, options, outputs)), weights)
    if options.compile_fused_blocks:
        calls = list(dict.fromkeys(request.call for request in requests))
        plan = replace(plan, fused_blocks=fused_blocks_to(calls, trace))
    if any(request.method.needs_replay for request in requests):
        plan = replace(plan, reusable_calls=reusable_calls(trace))
    if explained is None:
        return plan
    return replace(
        plan,
        output_index=explained.index,
        target_inputs=_target_inputs(explained, inputs),
        class_axis=_class_axis(explained),
        may_explain_nothing=explained.target.may_explain_nothing(explained.read),
        fallbacks=gradient_fallbacks(requests, explained),
    )


def _index_for_presets(trace: Trace, names: Sequence[str], options: Options) -> int | None:
    """Return the index of the output whose layers presets choose from; None for all."""
    if options.output is not None:
        check_choice("output", options.output, names)
        return list(names).index(options.output)
    target = options.resolved_target
    return find_explained_output(trace, names, None, target).index if target.finds_output else None


def _target_inputs(explained: ExplainedOutput, inputs: ModelInputs) -> tuple[TargetInput, ...]:
    """Return the inputs that a target adds, under names that the model's own inputs leave free."""
    taken, found = inputs.names, []
    with explained.tensor.graph.as_default():
        added = explained.target.inputs_of(explained.read)
    for one in added:
        found.append(replace(one, name=unique(one.name, taken)))
        taken = [*taken, found[-1].name]
    return tuple(found)


def _class_axis(explained: ExplainedOutput) -> int | None:
    with explained.tensor.graph.as_default():
        return explained.target.class_axis(explained.read)


def _requests(selector: Selector, options: Options) -> list[TapRequest]:
    """Return what is tapped: by methods of attention the first tokens, unless `layers` or methods by layers say it."""
    rollouts = [method for method in options.methods if method.needs_attention]
    is_default = options.layers is None or (isinstance(options.layers, str) and options.layers == "last")
    if not rollouts or not is_default or isinstance(options.method, Mapping):
        calls = selector.select(options.layers, options.after_activation, options.explains_target)
        return requested_taps(calls, options)
    first = first_tokens(selector.trace, selector.output_index)
    first = selector.select(first.layer, options.after_activation)[0]
    if len(rollouts) == len(options.methods):
        return requested_taps([first], options)
    calls = selector.select(options.layers, options.after_activation, options.explains_target)
    return requested_taps(calls, options, first)


def _tap(request: TapRequest, positions: Positions, explained: ExplainedOutput | None) -> Tap:
    """Return the tap of a request, which no longer needs the trace."""
    tap = request.tap(positions)
    if not request.method.needs_attention:
        return tap
    return with_tokens_read(tap, request.call, positions.trace, None if explained is None else explained.index)


def _explains_target(requests: Sequence[TapRequest]) -> bool:
    return any(request.method.explains_target for request in requests)


def _check_effect(requests: Sequence[TapRequest], names: Sequence[str], options: Options) -> None:
    """Raise for options that would have no effect with the methods that are asked for."""
    if options.layers is not None and all(method.needs_head for method in options.methods):
        raise bad_value("layers", f"None with {options.methods[0].name!r}, which reads the head", options.layers)
    if _explains_target(requests):
        if options.compile_fused_blocks:
            # The backward pass goes through the activations, and a replay runs them again.
            raise bad_value(
                "compile_fused_blocks", "False with methods that explain a target", True, "Use `jit_compile` alone."
            )
        return
    if options.resolved_target != Predicted():
        raise bad_value(
            "target",
            "'predicted' with methods that explain no class",
            options.resolved_target,
            "Use a method such as 'gradcam'.",
        )
    if options.output is not None and (len(names) == 1 or not uses_presets(options.layers)):
        raise bad_value(
            "output",
            "None where `layers` are named or there is one output, with methods that explain no class",
            options.output,
            "Use a method such as 'gradcam'. Presets choose layers that lead to `output`.",
        )
