"""Draw how a model is explained and called, and what must come of it: heatmaps, or an error by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import tensorflow as tf

from support.generated.choices import Draw
from support.generated.designs import draw_design
from support.generated.hand import Call
from support.generated.models import Design, Output, Result
from support.generated.text import text
from support.generated.truth import REPLAYS, Question, Score
from visualcnn_tf import errors

ACTIVATION_METHODS = ("deviation", "mean", "mean_abs", "max", "l2", "std")
GRADIENT_METHODS = ("gradcam", "hirescam", "layercam", "xgradcam")


@dataclass
class Case:
    """A model, and one way to explain it.

    Attributes:
        seed: that all of it is drawn from.
        design: the model.
        arrays: a batch by input.
        method: the name of a method.
        layers: the selector.
        chosen: the numbers of the calls that the selector must choose; None where only one must be among them.
        among: calls one of which must be chosen.
        options: all others of ``attach``.
        explained: the output that is explained, or None.
        score: by hand.
        classes: of each score of the target, the class of each example.
        class_index: what the call asks for, or None.
        refused: the error that must come instead, or None.
        called: how: ``"predict"`` or ``"call"``, with the inputs as the model takes them or as a ``"dict"`` by name.
    """

    seed: int
    design: Design
    arrays: Mapping[str, np.ndarray]
    result: Result
    method: str = "deviation"
    layers: Any = None
    chosen: frozenset[int] = frozenset()
    among: frozenset[int] = frozenset()
    options: dict[str, Any] = field(default_factory=dict)
    explained: Output | None = None
    score: Score | None = None
    classes: Sequence[np.ndarray] = ()
    class_index: np.ndarray | None = None
    refused: type[Exception] | None = None
    called: Sequence[str] = ("predict", "as_is")

    def question(self, number: int, target_index: int) -> Question:
        """What the heatmap of a call should be."""
        classes = self.classes[target_index] if self.classes else np.zeros(len(next(iter(self.arrays.values()))), int)
        return Question(
            self.design,
            self.arrays,
            self.result.calls,
            number,
            self.method,
            self.score,
            classes,
            self.options.get("size", "input"),
            self.options.get("normalize", "minmax"),
        )

    def __str__(self) -> str:
        return text(self)


def draw_case(seed: int) -> Case:
    """Draw a model and how it is explained."""
    design, draw = draw_design(seed)
    arrays = design.arrays(draw.number(1, 3), seed)
    case = Case(seed, design, arrays, design.by_hand(arrays))
    _draw_method(draw, case)
    _draw_layers(draw, case)
    _draw_output(draw, case)
    _draw_size(draw, case)
    _draw_call(draw, case)
    case.refused = refusal(case)
    return case


# Method and layers --------------------------------------------------------------------------------------------------


def _draw_method(draw: Draw, case: Case) -> None:
    kinds = ("activation", "activation", "gradient", "gradient", "replay")
    methods = {"activation": ACTIVATION_METHODS, "gradient": GRADIENT_METHODS, "replay": REPLAYS}
    case.method = draw.one(*methods[draw.one(*kinds)])
    case.options["normalize"] = draw.one("minmax", "minmax", "minmax", "max", None)


def _draw_layers(draw: Draw, case: Case) -> None:
    """Choose a selector, and by hand what it must choose."""
    calls = case.result.calls
    tappable = [number for number, call in enumerate(calls) if _is_map(call)]
    kind = draw.one("name", "name", "path", "list", "pattern", "conv", "last", "stages")
    if case.method in REPLAYS:
        kind = draw.one("name", "path", "last" if len(case.design.branches) == 1 else "name")
        small = [n for n in tappable if np.prod(calls[n].flow.space) <= 250]
        if not small:
            case.method = "gradcam"
        tappable = small or tappable
    if kind in ("name", "path", "list"):
        paths = draw.shuffled(sorted({calls[number].path for number in tappable}))[: 2 if kind == "list" else 1]
        case.layers = paths if kind == "list" else paths[0].split("/")[-1] if kind == "name" else paths[0]
        case.chosen = _numbers(calls, lambda call: call.path in paths)
    elif kind == "pattern":
        names = sorted({calls[number].path.split("/")[-1] for number in tappable})
        case.layers = draw.one(*names).rstrip("0123456789") + "*"
        case.chosen = _numbers(calls, lambda call: _matches(call.path, case.layers) and _is_map(call))
    elif kind == "conv":
        case.layers = draw.one("conv", None)
        case.chosen = _numbers(calls, lambda call: call.kind in ("conv", "output"))
    else:
        case.layers = kind
        case.among = _last(case)


def _numbers(calls: Sequence[Call], wanted: Callable[[Call], bool]) -> frozenset[int]:
    return frozenset(number for number, call in enumerate(calls) if wanted(call))


def _matches(path: str, pattern: str) -> bool:
    return fnmatchcase(path, pattern) or fnmatchcase(path.split("/")[-1], pattern)


def _is_map(call: Call) -> bool:
    return call.flow.value.dtype.is_floating and call.flow.value.shape.rank >= 3


def _last(case: Case) -> frozenset[int]:
    """The calls that may be the last feature map: of each branch, the last that is more than a crop or a dropout."""
    calls = case.result.calls
    ends: dict[str | None, int] = {}
    for number, call in enumerate(calls):
        if call.kind in ("conv", "feature"):
            ends[call.flow.reference] = number
    same = [calls[number].flow.value for number in ends.values()]
    # A nested model returns what its last layer does.
    return _numbers(calls, lambda call: any(_equal(call.flow.value, value) for value in same))


def _equal(one: tf.Tensor, other: tf.Tensor) -> bool:
    return one.shape == other.shape and bool(tf.reduce_all(one == other))


# What is explained --------------------------------------------------------------------------------------------------


def _draw_output(draw: Draw, case: Case) -> None:
    """Choose an output and a target, where the method explains one."""
    if case.method in ACTIVATION_METHODS:
        return
    output = case.explained = draw.one(*case.design.outputs)
    if len(case.design.outputs) > 1:
        case.options["output"] = output.name
    if output.of_map:
        case.options["target"] = _mask_score
        case.score = lambda result, classes: _mask_score(result.outputs[output.name])
        return
    if draw.chance(0.15):
        case.options["target"] = _first_score
        case.score = lambda result, classes: _first_score(result.outputs[output.name])
        return
    case.score = lambda result, classes: _logits_of(output, result.logits[output.name], classes)
    _draw_target(draw, case, output)


def _mask_score(output: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(output[..., 1], [1, 2])


def _first_score(output: tf.Tensor) -> tf.Tensor:
    return output[:, 0]


def _logits_of(output: Output, logits: tf.Tensor, classes: np.ndarray) -> tf.Tensor:
    if output.units == 1 and output.activation == "sigmoid":
        return logits[:, 0] * tf.constant(np.where(classes == 1, 1.0, -1.0), tf.float32)
    return tf.gather(logits, tf.constant(classes), batch_dims=1)


def _draw_target(draw: Draw, case: Case, output: Output) -> None:
    """Choose classes, and by hand which they are."""
    values = case.result.outputs[output.name].numpy()
    count = len(values)
    binary = output.units == 1 and output.activation == "sigmoid"
    order = np.argsort(-np.concatenate([1 - values, values], 1) if binary else -values, -1)
    number = 2 if binary else output.units
    ranked = np.sort(np.concatenate([1 - values, values], 1) if binary else values, -1)
    clear = bool((np.diff(ranked[:, -3:], axis=-1) > 1e-3).all())
    kind = draw.one("one", "several", *(["predicted", "predicted", "predicted", "top2", "input"] if clear else []))
    if kind == "predicted":
        case.classes = [order[:, 0]]
    elif kind == "one":
        case.options["target"] = draw.number(0, number - 1)
        case.classes = [np.full(count, case.options["target"])]
    elif kind == "several" and number > 1:
        case.options["target"] = draw.shuffled(range(number))[:2]
        case.classes = [np.full(count, k) for k in case.options["target"]]
    elif kind == "top2" and number > 1:
        case.options["target"] = "top2"
        case.classes = [order[:, 0], order[:, 1]]
    else:
        case.options["target"] = "input"
        case.class_index = draw.rng.integers(-1, number, count).astype("int32")
        case.classes = [np.where(case.class_index < 0, order[:, 0], case.class_index)]


# Size and refusals --------------------------------------------------------------------------------------------------


def _draw_size(draw: Draw, case: Case) -> None:
    calls = [case.result.calls[number] for number in case.chosen or case.among]
    ranks = {len(call.flow.space) for call in calls}
    kind = draw.one("input", "input", "input", "none", "numbers")
    if kind == "none" or any(call.flow.reference is None for call in calls):
        case.options["size"] = None
    elif kind == "numbers" and len(ranks) == 1:
        case.options["size"] = tuple(draw.number(9, 40) for _ in range(ranks.pop()))
    if case.chosen and any(call.flow.reference is None for call in calls) and draw.chance(0.6):
        case.options["size"] = "input" if draw.chance(0.5) or ranks != {2} else (20, 30)


def _draw_call(draw: Draw, case: Case) -> None:
    """Choose how inputs are passed. Those of a subclassed model have no names before it knows their shapes."""
    form = draw.one("as_is", "dict")
    if case.design.style == "subclassed":
        shapes = {name: case.design.branch(name).shape for name in case.design.inputs}
        if draw.chance(0.5):
            case.options["input_shape"] = case.design.packed(shapes)
        else:
            form = "as_is"
    case.called = draw.one("predict", "call"), form


def refusal(case: Case) -> type[Exception] | None:
    """The error that must come, or None."""
    calls = [case.result.calls[number] for number in case.chosen]
    each = case.design.branches[0].each
    inside = [call for call in calls if call.flow.elements is not None] or (each is not None and case.among)
    if inside and each is not None and (each.how in ("map", "vectorized_map") or case.design.branches[0].open_steps):
        return errors.NoFeatureMapError
    if inside and case.method in REPLAYS:
        return errors.NoFeatureMapError
    if case.options.get("size", "input") == "input" and any(call.flow.reference is None for call in calls):
        return errors.InputShapeError
    return _refused_score(case)


def _refused_score(case: Case) -> type[Exception] | None:
    if case.explained is None:
        return None
    if case.class_index is not None and case.design.style == "subclassed" and "input_shape" not in case.options:
        return errors.NotBuiltError
    if any(case.question(number, 0).gradients()[1] is None for number in case.chosen):
        return errors.NoGradientError
    references = {case.result.calls[number].flow.reference for number in case.chosen or case.among}
    if case.method == "scorecam":
        if None in references:
            return errors.InputShapeError
        if any(case.design.branch(str(name)).dtype == "int32" for name in references):
            return errors.InvalidArgumentError
    return None
