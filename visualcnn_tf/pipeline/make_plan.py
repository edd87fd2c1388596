"""From a model and options to a plan, by one trial run of the model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import keras
import tensorflow as tf

from visualcnn_tf._utils.checks import bad_value, check_choice, quoted
from visualcnn_tf.errors import NotBuiltError
from visualcnn_tf.heatmap.combine import resolve_weights
from visualcnn_tf.introspect.find_inputs import inputs_of_call, symbolic_inputs
from visualcnn_tf.introspect.fused_blocks import fused_blocks_to
from visualcnn_tf.introspect.inputs import ModelInputs
from visualcnn_tf.introspect.outputs import flat_outputs
from visualcnn_tf.introspect.reference_input import Positions
from visualcnn_tf.introspect.reusable_calls import reusable_calls
from visualcnn_tf.introspect.select import Selector, uses_presets
from visualcnn_tf.introspect.trace import trace_model
from visualcnn_tf.pipeline.checks import (
    check_overlay_pixels,
    check_requests,
    gradient_fallbacks,
    warn_of_unknown_positions,
)
from visualcnn_tf.pipeline.options import Options
from visualcnn_tf.pipeline.outputs import EXPLAINED_CLASS, OutputSpec, unique
from visualcnn_tf.pipeline.plan import Plan
from visualcnn_tf.pipeline.plan_outputs import classes_output, explanation_outputs, model_outputs
from visualcnn_tf.pipeline.saved_taps import restored_taps
from visualcnn_tf.pipeline.tap_requests import TapRequest, requested_taps, with_unique_keys
from visualcnn_tf.pixels.resolve import resolve_pixels
from visualcnn_tf.targets.base import Target
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
    if options.output is not None:
        check_choice("output", options.output, names)
        selector.output_index = names.index(options.output)
    calls = selector.select(options.layers, options.after_activation, options.explains_target)
    pixels = resolve_pixels(options.given_pixels, trace)
    requests = requested_taps(calls, options)
    _check_effect(requests, names, options)
    classes = _classes(requests, names, options)
    requests = with_unique_keys(requests, [*names, *(output.name for output in classes)])
    weights = resolve_weights(options.combine_weights, options.combine, [request.call.path for request in requests])
    positions = Positions(trace)
    plan = _plan(positions, inputs, options, [*predictions, *classes], requests, weights)
    plan = replace(plan, pixels=pixels)
    if options.overlay is not None:
        check_overlay_pixels(pixels)
    if plan.output_index is not None:
        explained_output, target = names[plan.output_index], options.resolved_target
        check_requests(positions, inputs, requests, plan.taps, plan.output_index, explained_output, target)
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
    classes = _classes(requests, [output.name for output in predictions], options)
    weights = None if weights is None else tuple(weights)
    plan = _plan(Positions(trace), inputs, options, [*predictions, *classes], requests, weights)
    return replace(plan, pixels=options.given_pixels)


def _classes(requests: Sequence[TapRequest], names: Sequence[str], options: Options) -> list[OutputSpec]:
    """Return the output of the explained classes, or none."""
    target = options.resolved_target
    if not target.reports_classes or not _explains_target(requests):
        return []
    return [classes_output(unique(EXPLAINED_CLASS, names), target)]


def _plan(
    positions: Positions,
    inputs: ModelInputs,
    options: Options,
    outputs: Sequence[OutputSpec],
    requests: Sequence[TapRequest],
    weights: tuple[float, ...] | None,
) -> Plan:
    """Build a plan from what is tapped and the outputs before the heatmaps."""
    target = options.resolved_target
    trace = positions.trace
    taps = tuple(request.tap(positions) for request in requests)
    plan = Plan(inputs, taps, (*outputs, *explanation_outputs(taps, inputs, options, outputs)), weights)
    if options.compile_fused_blocks:
        calls = list(dict.fromkeys(request.call for request in requests))
        plan = replace(plan, fused_blocks=fused_blocks_to(calls, trace))
    if any(request.method.needs_replay for request in requests):
        plan = replace(plan, reusable_calls=reusable_calls(trace))
    if not _explains_target(requests):
        return plan
    output_index = _output_index(options.output, plan.names("model"))
    explained = flat_outputs(trace.outputs)[output_index]
    return replace(
        plan,
        output_index=output_index,
        target_inputs=_target_inputs(target, explained, inputs),
        class_axis=_class_axis(target, explained),
        may_explain_nothing=target.may_explain_nothing(explained),
        fallbacks=gradient_fallbacks(trace, requests, output_index, target),
    )


def _target_inputs(target: Target, output: tf.Tensor, inputs: ModelInputs) -> tuple[TargetInput, ...]:
    """Return the inputs that a target adds, under names that the model's own inputs leave free."""
    taken, found = inputs.names, []
    with output.graph.as_default():
        added = target.inputs_of(output)
    for one in added:
        found.append(replace(one, name=unique(one.name, taken)))
        taken = [*taken, found[-1].name]
    return tuple(found)


def _class_axis(target: Target, output: tf.Tensor) -> int | None:
    with output.graph.as_default():
        return target.class_axis(output)


def _explains_target(requests: Sequence[TapRequest]) -> bool:
    return any(request.method.explains_target for request in requests)


def _output_index(output: str | None, names: Sequence[str]) -> int:
    """Return the index of the model output that is explained.

    Raises:
        InvalidArgumentError: for a name that is not among them, or none where there are several.
    """
    if output is None and len(names) == 1:
        return 0
    if output is None:
        raise bad_value("output", f"one of the model's outputs {quoted(names)}", None, "Name the one to explain.")
    check_choice("output", output, names)
    return list(names).index(output)


def _check_effect(requests: Sequence[TapRequest], names: Sequence[str], options: Options) -> None:
    """Raise for options that would have no effect with the methods that are asked for."""
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
