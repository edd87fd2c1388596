"""From what the user asks for (presets, names, paths, patterns, indices, layers) to the calls to tap."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable, Mapping, Sequence
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
from visualcnn_tf.introspect.following import after_activations
from visualcnn_tf.introspect.inputs import ModelInputs
from visualcnn_tf.introspect.outputs import flat_outputs
from visualcnn_tf.introspect.presets import PRESETS, conv_calls, last_calls, stage_calls, tappable
from visualcnn_tf.introspect.trace import LayerCall, Trace, probe, upstream

_RULES: dict[str, Callable[[Trace], list[LayerCall]]] = {
    "conv": conv_calls,
    "stages": stage_calls,
    "last": last_calls,
}
# Large enough that no stage of the usual architectures collapses, small enough to trace quickly: only shapes flow.
_TRIAL_SIZES = {1: (4096, 16384, 512), 2: (256, 224, 512, 128, 64), 3: (64, 128, 32)}


class Selector:
    """Resolves selectors against one trial run of a model.

    Args:
        model: the model.
        inputs: what it takes.

    Attributes:
        output: which of the model's outputs the presets lead to, by place among all, flat; None for all of them.
    """

    def __init__(self, model: Any, inputs: ModelInputs) -> None:
        self.model = model
        self.inputs = inputs
        self.trace = probe(model, inputs)
        self.output: int | None = None
        self._sized: Trace | None = None

    def select(self, layers: Any, after_activation: bool = False) -> list[LayerCall]:
        """The calls to tap, in the order in which they run; one for each time a layer is called.

        Args:
            layers: a selector, or a list of them.
            after_activation: whether the activation that follows a layer is tapped in its place.

        Raises:
            LayerNotFoundError: for a name, path, pattern, index or layer that is not in the model.
            NoFeatureMapError: for a layer without spatial output, or a model without any.
            InvalidArgumentError: for an empty list, or one that names the same tap twice.
            InvalidTypeError: for a selector that is neither string, integer nor layer.
        """
        selectors = list(layers) if isinstance(layers, (list, tuple, set, frozenset)) else [layers]
        if not selectors:
            raise InvalidArgumentError(
                "`layers` must select at least one layer. Received: an empty list. "
                f"Use a preset ({quoted(PRESETS)}), names, patterns or indices; None means 'conv'."
            )
        chosen: dict[LayerCall, Any] = {}
        for selector in selectors:
            for call in self._resolve("conv" if selector is None else selector):
                both_explicit = call in chosen and _is_explicit(selector) and _is_explicit(chosen[call])
                if both_explicit:
                    raise InvalidArgumentError(
                        f"`layers` must name each tap once. Received: {_shown(chosen[call])} and {_shown(selector)}, "
                        f"both the layer {call.path!r}. Remove one."
                    )
                chosen.setdefault(call, selector)
        calls = after_activations(self.trace, chosen) if after_activation else chosen
        return sorted(calls, key=self.trace.calls.index)

    def preset(self, name: str) -> list[LayerCall]:
        """The calls that a preset names, possibly none."""
        if name == "conv":
            return _first_frames(conv_calls(self._leading(self.trace)))
        known = self._leading(self.sized())
        calls = {(call.path, call.index): call for call in self.trace.calls}
        return [calls[call.path, call.index] for call in _RULES[name](known)]

    def _leading(self, trial: Trace) -> Trace:
        """The trial without what has no part in the output that the presets lead to."""
        if self.output is None:
            return trial
        output = flat_outputs(trial.outputs)[self.output]
        known = upstream(output)
        calls = [call for call in trial.calls if call.tensor is not None and call.tensor.ref() in known]
        return replace(trial, outputs=output, calls=calls)

    def tappable(self) -> list[LayerCall]:
        """Every call of which a heatmap can be made."""
        return _first_frames(call for call in self.trace.calls if tappable(call))

    def sized(self) -> Trace:
        """A trial run in which every size is known: unknown ones are tried out."""
        if self._sized is None:
            unknown = any(None in spec.shape[1:] for spec in self.inputs.specs)
            self._sized = self._trial() if unknown else self.trace
        return self._sized

    def _trial(self) -> Trace:
        ranks = [len(spec.shape) for spec in self.inputs.specs]
        candidates = _TRIAL_SIZES.get(max(max(ranks) - 2, 1), _TRIAL_SIZES[3])
        failure: Exception | None = None
        for size in candidates:
            specs = tuple(
                replace(spec, shape=(None, *(n or size for n in spec.shape[1:]))) for spec in self.inputs.specs
            )
            try:
                return probe(self.model, ModelInputs(self.inputs.structure, specs))
            except Exception as error:
                failure = error
        raise InvalidArgumentError(
            f"`layers` presets need sizes, and the model runs on none of {candidates}. Name the layers, or pass "
            f"`input_shape` with a size that the model accepts. Received: {self.model.name!r}."
        ) from failure

    def _resolve(self, selector: Any) -> list[LayerCall]:
        if isinstance(selector, str):
            if selector in PRESETS:
                return self._preset_or_error(selector)
            if any(character in selector for character in "*?["):
                return self._by_pattern(selector)
            return self._by_layer(self._named(selector))
        if hasattr(selector, "__index__") and not isinstance(selector, bool) and np.ndim(selector) == 0:
            return self._by_layer(self._at(int(selector)))
        if isinstance(selector, keras.Operation):
            if not any(layer is selector for layer in self.trace.layers.values()):
                raise LayerNotFoundError(
                    f"`layers` must be layers of the model {self.model.name!r}. Received: the layer "
                    f"{selector.name!r}, which is not inside it."
                )
            return self._by_layer(selector)
        raise InvalidTypeError(
            "`layers` must be None, a preset, a name, path or pattern, an index, a layer, or a list of these. "
            f"Received: {selector!r} of type {type(selector).__name__}."
        )

    def _preset_or_error(self, name: str) -> list[LayerCall]:
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
        found = [call for call in self.tappable() if matches(pattern, call.path)]
        if not found:
            paths = [call.path for call in self.tappable()]
            raise LayerNotFoundError(
                f"`layers` must match layers with a spatial output. Received: the pattern {pattern!r}, which matches "
                f"none.{did_you_mean(pattern, paths)}"
            )
        return found

    def _named(self, name: str) -> Any:
        layers = self.trace.layers
        if name in layers:
            return layers[name]
        inside = [path for path in layers if path.split("/")[-1] == name]
        if len(inside) == 1:
            return layers[inside[0]]
        if inside:
            raise LayerNotFoundError(
                f"`layers` must name one layer. Received: {name!r}, which stands at {quoted(inside)}. Use the path."
            )
        raise LayerNotFoundError(
            f"`layers` must name layers of the model {self.model.name!r}. Received: {name!r}."
            f"{did_you_mean(name, layers) or did_you_mean(name, {p.split('/')[-1] for p in layers})}"
            " `visualcnn layers MODEL` lists what can be tapped."
        )

    def _at(self, index: int) -> Any:
        layers = self.model.layers
        if not -len(layers) <= index < len(layers):
            raise LayerNotFoundError(
                f"`layers` indices must be from {-len(layers)} to {len(layers) - 1}, as in `model.layers`. "
                f"Received: {index}."
            )
        return layers[index]

    def _by_layer(self, layer: Any) -> list[LayerCall]:
        if isinstance(layer, keras.layers.TimeDistributed):
            layer = layer.layer
        calls = [call for call in self.trace.calls if call.layer is layer]
        path = next((path for path, known in self.trace.layers.items() if known is layer), layer.name)
        if not calls:
            raise NoFeatureMapError(
                f"`layers` must name layers that run when the model is called. Received: {path!r}, which does not "
                "run in inference, is an input, or runs inside a tf.function of its own."
            )
        for call in calls:
            if call.obstacle:
                raise NoFeatureMapError(f"`layers` can't tap {path!r}: {call.obstacle}.")
            if not call.space:
                raise NoFeatureMapError(
                    f"`layers` must name layers with a spatial output, such as (B, h, w, C). Received: {path!r} "
                    f"({type(layer).__name__}) with output {call.shape}.{self._nearest(call)}"
                )
        return _first_frames(calls)

    def _nearest(self, call: LayerCall) -> str:
        place = self.trace.calls.index(call)
        maps = [other for other in self.tappable() if any(n != 1 for n in other.space)]
        before = [other for other in maps if self.trace.calls.index(other) < place]
        nearest = before[-1] if before else maps[0] if maps else None
        return f" The nearest layer that has one is {nearest.path!r}." if nearest else ""


def matches(pattern: str, path: str) -> bool:
    """Whether a pattern matches a layer's path or, when it has no ``/``, the layer's own name."""
    return fnmatch.fnmatchcase(path, pattern) or (
        "/" not in pattern and fnmatch.fnmatchcase(path.split("/")[-1], pattern)
    )


def _first_frames(calls: Iterable[LayerCall]) -> list[LayerCall]:
    """One call for all the time steps of a TimeDistributed layer."""
    return [call for call in calls if call.frames is None or call.index % call.frames == 0]


def _is_explicit(selector: Any) -> bool:
    is_rule = isinstance(selector, str) and (selector in PRESETS or any(c in selector for c in "*?["))
    return selector is not None and not is_rule


def _shown(selector: Any) -> str:
    return repr(selector.name if isinstance(selector, keras.Operation) else selector)


def methods_for(method: Any, paths: Sequence[str], default: Any, argument: str = "method") -> list[Any]:
    """The method (or weight) of each path: one for all, or the first pattern of a dict that matches.

    Raises:
        LayerNotFoundError: for a pattern that matches no tap.
    """
    if not isinstance(method, Mapping):
        return [method] * len(paths)
    for pattern in method:
        if not isinstance(pattern, str) or not any(matches(pattern, path) for path in paths):
            raise LayerNotFoundError(
                f"`{argument}` patterns must match tapped layers. Received: {pattern!r}, which matches none of "
                f"{quoted(paths)}."
            )
    return [next((m for pattern, m in method.items() if matches(pattern, path)), default) for path in paths]
