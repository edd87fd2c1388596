"""Resolve selectors (presets, names, paths, patterns, indices, layers) to the layer calls to tap."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from visualcnn_tf._utils.checks import did_you_mean, quoted
from visualcnn_tf.errors import (
    InvalidArgumentError,
    InvalidTypeError,
    LayerNotFoundError,
    NoFeatureMapError,
)
from visualcnn_tf.introspect.batch_axes import has_row_per_example
from visualcnn_tf.introspect.find_elements import elements_of
from visualcnn_tf.introspect.following_activations import follow_activations
from visualcnn_tf.introspect.inputs import ModelInputs
from visualcnn_tf.introspect.layer_call import LayerCall
from visualcnn_tf.introspect.layer_kinds import CONV_LAYERS
from visualcnn_tf.introspect.named_layers import children
from visualcnn_tf.introspect.out_of_reach import IN_ANOTHER_GRAPH
from visualcnn_tf.introspect.outputs import flat_outputs
from visualcnn_tf.introspect.patterns import matches
from visualcnn_tf.introspect.presets import PRESETS
from visualcnn_tf.introspect.sized_trace import has_open_sizes, sized_trace
from visualcnn_tf.introspect.tokens.calls import NO_MAP, mark_tokens
from visualcnn_tf.introspect.tokens.given import GivenTokens, give_tokens, give_tokens_to
from visualcnn_tf.introspect.trace import Trace, trace_model
from visualcnn_tf.introspect.upstream import upstream


class Selector:
    """Resolves selectors against the trace of a model.

    Args:
        model: the model.
        inputs: its inputs.
        tokens: the grids of tokens that the user gives.

    Attributes:
        trace: the trace of the model on these inputs.
        output_index: index of the one output whose layers presets choose from, among all outputs, flat; None for
            the outputs that presets aim at by themselves.
        explains_target: whether presets choose layers for methods that explain a target.
    """

    def __init__(self, model: keras.Model, inputs: ModelInputs, tokens: GivenTokens | None = None) -> None:
        self.model = model
        self.inputs = inputs
        self.trace = trace_model(model, inputs)
        self.tokens = tokens
        self._mark_tokens(self.trace)
        self.output_index: int | None = None
        self.explains_target = False

    def select(self, layers: Any, after_activation: bool = False, explains_target: bool = False) -> list[LayerCall]:
        """Return the calls to tap, in the order in which they run; one for each time a layer is called.

        Args:
            layers: a selector, or a list of them.
            after_activation: whether to tap the activation that follows a layer instead of the layer.
            explains_target: whether a method explains a target by them, which presets choose layers for.

        Raises:
            LayerNotFoundError: for a name, path, pattern, index or layer that is not in the model.
            NoFeatureMapError: for a layer without spatial output, or out of reach, or a model without any.
            InvalidArgumentError: for an empty list, or one that names the same tap twice.
            InvalidTypeError: for a selector that is neither string, integer nor layer.
        """
        selectors = list(layers) if isinstance(layers, (list, tuple, set, frozenset)) else [layers]
        if not selectors:
            raise InvalidArgumentError(
                "`layers` must select at least one layer. Received: an empty list. "
                f"Use a preset ({quoted(PRESETS)}), names, patterns or indices; None means 'conv'."
            )
        self.explains_target = explains_target
        calls: Iterable[LayerCall] = self._resolve_all(selectors)
        if after_activation:
            calls = follow_activations(self.trace, calls)
        selected = sorted(calls, key=self.trace.calls.index)
        give_tokens_to(selected, self.tokens)
        for call in selected:
            call.elements = elements_of(call, self.trace)
        return selected

    def preset(self, name: str) -> list[LayerCall]:
        """Return the calls that a preset selects, possibly none."""
        trace = self.trace if name == "conv" else self._trace_of_known_size()
        calls = {(call.path, call.index): call for call in self.trace.calls}
        found = PRESETS[name](self._towards_output(trace), self.explains_target)
        return [calls[call.path, call.index] for call in found if call.is_first_time_step]

    def tappable(self) -> list[LayerCall]:
        """Return every call of which a heatmap can be made."""
        return [call for call in self.trace.calls if call.is_tappable and call.is_first_time_step]

    def _towards_output(self, trace: Trace) -> Trace:
        """Return the trace without the calls that have no part in the output that presets choose from."""
        if self.output_index is None:
            return trace
        output = flat_outputs(trace.outputs)[self.output_index]
        needed = upstream(output)
        calls = [call for call in trace.calls if call.tensor is not None and call.tensor.ref() in needed]
        return replace(trace, outputs=output, calls=calls)

    def _trace_of_known_size(self) -> Trace:
        """Return a trace in which every spatial size is known, and whether each map has one row for each example."""
        maps = (call for call in self.trace.calls if call.is_tappable)
        is_unsure = any(has_row_per_example([call.tensor], self.trace) is None for call in maps)
        # Attention is followed through reshapes, which tell more where the number of examples is known.
        has_tokens = any(call.tokens is not None for call in self.trace.calls)
        if not (has_open_sizes(self.inputs) or is_unsure or has_tokens):
            return self.trace
        sized = sized_trace(self.trace)
        self._mark_tokens(sized)
        return sized

    def _mark_tokens(self, trace: Trace) -> None:
        mark_tokens(trace)
        give_tokens(trace, self.tokens)

    def _resolve_all(self, selectors: Sequence[Any]) -> dict[LayerCall, Any]:
        """Return the selected calls, each with the first selector that selects it."""
        chosen: dict[LayerCall, Any] = {}
        for selector in selectors:
            for call in self._resolve("conv" if selector is None else selector):
                if call in chosen and _is_explicit(selector) and _is_explicit(chosen[call]):
                    raise InvalidArgumentError(
                        f"`layers` must name each tap once. Received: {_shown(chosen[call])} and {_shown(selector)}, "
                        f"both the layer {call.path!r}. Remove one."
                    )
                chosen.setdefault(call, selector)
        return chosen

    def _resolve(self, selector: Any) -> list[LayerCall]:
        if isinstance(selector, str):
            if selector in PRESETS:
                return self._by_preset(selector)
            if _is_pattern(selector):
                return self._by_pattern(selector)
            return self._calls_of(self._layer_named(selector))
        if hasattr(selector, "__index__") and not isinstance(selector, bool) and np.ndim(selector) == 0:
            return self._calls_of(self._layer_at(int(selector)))
        if isinstance(selector, keras.Operation):
            if not any(layer is selector for layer in self.trace.layers.values()):
                raise LayerNotFoundError(
                    f"`layers` must be layers of the model {self.model.name!r}. Received: the layer "
                    f"{selector.name!r}, which is not inside it."
                )
            return self._calls_of(selector)
        raise InvalidTypeError(
            "`layers` must be None, a preset, a name, path or pattern, an index, a layer, or a list of these. "
            f"Received: {selector!r} of type {type(selector).__name__}."
        )

    def _by_preset(self, name: str) -> list[LayerCall]:
        self._check_convolutions(name, lambda call: True)
        found = self.preset(name)
        if not found:
            what = "convolution or pooling layer" if name == "conv" else "layer with a spatial output"
            others = [call.path for call in self.tappable()]
            raise NoFeatureMapError(
                f"`layers`={name!r} needs a model with a {what}. Received: {self.model.name!r}, which has none"
                + (f"; name one of its other layers instead, such as {quoted(others[:3])}." if others else ".")
            )
        return found

    def _by_pattern(self, pattern: str) -> list[LayerCall]:
        self._check_convolutions(pattern, lambda call: matches(pattern, call.path))
        found = self._with_rows_of_examples([call for call in self.tappable() if matches(pattern, call.path)])
        if not found:
            for call in self.trace.calls:
                if call.untappable_because and matches(pattern, call.path):
                    self._check_tappable(call, call.path)
            paths = [call.path for call in self.tappable()]
            raise LayerNotFoundError(
                f"`layers` must match layers with a spatial output. Received: the pattern {pattern!r}, which matches "
                f"none.{did_you_mean(pattern, paths)}"
            )
        return found

    def _check_convolutions(self, selector: str, is_meant: Callable[[LayerCall], bool]) -> None:
        """Raise if a preset or pattern means a convolution that can't be tapped: others must not be taken instead."""
        for call in self.trace.calls:
            is_lost = call.untappable_because not in ("", NO_MAP)
            if is_lost and isinstance(call.layer, CONV_LAYERS) and is_meant(call):
                raise NoFeatureMapError(
                    f"`layers`={selector!r} must mean layers that can be tapped. Received: {self.model.name!r}, where "
                    f"{call.path!r} can't be: {call.untappable_because}. Or name the layers to explain."
                )

    def _with_rows_of_examples(self, calls: Iterable[LayerCall]) -> list[LayerCall]:
        """Return the calls whose rows belong to examples; raise if there are others only."""
        found, refusals = [], []
        for call in calls:
            try:
                elements_of(call, self.trace)
                found.append(call)
            except NoFeatureMapError as refusal:
                refusals.append(refusal)
        if refusals and not found:
            raise refusals[0]
        return found

    def _layer_named(self, name: str) -> keras.Operation:
        """Return the layer with this path, or the only one with this name."""
        layers = self.trace.layers
        if name in layers:
            return layers[name]
        paths = [path for path in layers if path.split("/")[-1] == name]
        if len(paths) == 1:
            return layers[paths[0]]
        if paths:
            raise LayerNotFoundError(
                f"`layers` must name one layer. Received: {name!r}, the name of {quoted(paths)}. Use the path."
            )
        raise LayerNotFoundError(
            f"`layers` must name layers of the model {self.model.name!r}. Received: {name!r}."
            f"{did_you_mean(name, [*PRESETS, *layers]) or did_you_mean(name, {path.split('/')[-1] for path in layers})}"
            " `visualcnn layers MODEL` lists what can be tapped."
        )

    def _layer_at(self, index: int) -> keras.Layer:
        layers = self.model.layers or children(self.model)  # a graph has operations only
        if not -len(layers) <= index < len(layers):
            raise LayerNotFoundError(
                f"`layers` indices must be from {-len(layers)} to {len(layers) - 1}, as in `model.layers`. "
                f"Received: {index}."
            )
        return layers[index]

    def _calls_of(self, layer: keras.Operation) -> list[LayerCall]:
        """Return the calls of a layer; of a TimeDistributed layer those of the layer inside."""
        if isinstance(layer, keras.layers.TimeDistributed):
            layer = layer.layer
        calls = [call for call in self.trace.calls if call.layer is layer]
        path = next((path for path, known in self.trace.layers.items() if known is layer), layer.name)
        if getattr(layer, "is_inside", False):
            raise NoFeatureMapError(f"`layers` can't tap {path!r}: {IN_ANOTHER_GRAPH}.")
        if not calls:
            raise NoFeatureMapError(
                f"`layers` must name layers that run when the model is called. Received: {path!r}, which does not "
                "run in inference, is an input, or runs inside a tf.function of its own."
            )
        for call in calls:
            self._check_tappable(call, path)
        return [call for call in calls if call.is_first_time_step]

    def _check_tappable(self, call: LayerCall, path: str) -> None:
        if call.untappable_because:
            raise NoFeatureMapError(f"`layers` can't tap {path!r}: {call.untappable_because}.")
        if not call.spatial_shape:
            raise NoFeatureMapError(
                f"`layers` must name layers with a spatial output, such as (B, h, w, C). Received: {path!r} "
                f"({type(call.layer).__name__}) with output {call.shape}.{self._nearest_map(call)}"
            )

    def _nearest_map(self, call: LayerCall) -> str:
        """Return a sentence that names the last layer with a feature map before a call, else the first after it."""
        order = self.trace.calls.index
        maps = [other for other in self.tappable() if any(n != 1 for n in other.spatial_shape)]
        before = [other for other in maps if order(other) < order(call)]
        nearest = before[-1:] or maps[:1]
        return f" The nearest layer that has one is {nearest[0].path!r}." if nearest else ""


def uses_presets(layers: Any) -> bool:
    """Return whether any of the selectors, one or a list of them, is a preset."""
    selectors = layers if isinstance(layers, (list, tuple, set, frozenset)) else [layers]
    return any(selector is None or (isinstance(selector, str) and selector in PRESETS) for selector in selectors)


def _is_pattern(selector: str) -> bool:
    return any(character in selector for character in "*?[")


def _is_explicit(selector: object) -> bool:
    """Return whether a selector means one layer."""
    is_rule = isinstance(selector, str) and (selector in PRESETS or _is_pattern(selector))
    return selector is not None and not is_rule


def _shown(selector: object) -> str:
    return repr(selector.name if isinstance(selector, keras.Operation) else selector)
