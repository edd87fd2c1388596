"""Attach to a generated model, call it, and compare all that comes out with what is right."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

import visualcnn_tf as vc
from support.generated.case import Case, draw_case


def problems_of(seed: int) -> list[str]:
    """What is wrong with the heatmaps of a model, each with the model in a line; nothing if all is well."""
    case = draw_case(seed)
    before = [variable.numpy() for variable in case.design.model.variables]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = list(_problems(case))
    found += [f"warns: {one.message}" for one in caught if _is_unwanted(one, case)]
    after = [variable.numpy() for variable in case.design.model.variables]
    if any(not np.array_equal(a, b) for a, b in zip(before, after, strict=True)):
        found.append("the model has changed")
    return [f"{case}", *(f"    {problem}" for problem in found)] if found else []


def _is_unwanted(caught: warnings.WarningMessage, case: Case) -> bool:
    """Whether a warning is one of this package that does not fit the case."""
    lost = any(call.flow.reference is None for call in case.result.calls)
    is_fitting = lost and issubclass(caught.category, vc.errors.SpatialAxesLostWarning)
    return caught.category.__module__ == vc.errors.__name__ and not is_fitting


def _problems(case: Case) -> Iterator[str]:
    try:
        explained = vc.attach(case.design.model, case.layers, method=case.method, **case.options)
        outputs = _called(explained, case)
    except vc.errors.VisualCNNError as error:
        if case.refused is None or not isinstance(error, case.refused):
            yield f"unexpected {type(error).__name__}: {error}"
        return
    if case.refused is not None:
        yield f"no {case.refused.__name__}, but { ({key: value.shape for key, value in outputs.items()}) }"
        return
    yield from _predictions(case, outputs)
    numbers = _numbers(explained, case)
    chosen = frozenset(numbers)
    is_right = chosen == case.chosen if case.chosen else bool(chosen & case.among)
    if not is_right:
        paths = sorted(case.result.calls[number].path for number in case.chosen or case.among)
        yield f"taps {[tap.path for tap in explained.taps]} instead of {'' if case.chosen else 'one of '}{paths}"
    for tap, number in zip(explained.taps, numbers, strict=True):
        yield from _heatmap(case, number, tap, outputs[tap.key])


def _called(explained: Any, case: Case) -> dict[str, np.ndarray]:
    how, form = case.called
    inputs = case.design.packed(case.arrays) if form == "as_is" else case.design.named(case.arrays)
    if case.class_index is not None:
        inputs = {"class_index": case.class_index, **case.design.named(case.arrays)}
    outputs = explained.predict(inputs, verbose=0) if how == "predict" else explained(inputs)
    return {key: np.asarray(value) for key, value in outputs.items()}


def _predictions(case: Case, outputs: dict[str, np.ndarray]) -> Iterator[str]:
    """Compare predictions with those by hand, and the explained classes with those that were asked for."""
    for output in case.design.outputs:
        got, want = outputs[case.design.output_key(output)], case.result.outputs[output.name].numpy()
        # In graphs, TensorFlow's fused kernels with oneDNN are off by some 1e-4 from the same layers in eager mode.
        if got.shape != want.shape or abs(got - want).max() > 1e-3 * max(1.0, abs(want).max()):
            yield f"{output.name} differs from that by hand"
    if case.classes:
        want = case.classes[0] if len(case.classes) == 1 else np.stack(case.classes, 1)
        if not np.array_equal(outputs["explained_class"], want):
            yield f"explains the classes {outputs['explained_class'].tolist()} instead of {want.tolist()}"


def _numbers(explained: Any, case: Case) -> list[int]:
    """Return for each tap which call it reads, among all by hand."""
    calls = case.result.calls
    order: dict[str, list[int]] = {}
    for path in {tap.path for tap in explained.taps}:
        of_path = [number for number, call in enumerate(calls) if call.path == path]
        # Inside of a TimeDistributed layer, no branches can be run in another order.
        is_clear = len(of_path) == 1 or calls[of_path[0]].flow.elements is not None
        order[path] = of_path if is_clear else _in_order_of_the_model(case, path, of_path)
    return [order[tap.path][tap.call_index] for tap in explained.taps]


def _in_order_of_the_model(case: Case, path: str, numbers: list[int]) -> list[int]:
    """Sort the calls of a shared layer as the bare model makes them."""
    layer: Any = case.design.model
    for name in path.split("/"):
        layer = next(one for one in layer._flatten_layers(include_self=False, recursive=False) if one.name == name)
    seen: list[np.ndarray] = []
    original = layer.call

    def call(*args: Any, **kwargs: Any) -> Any:
        seen.append(original(*args, **kwargs))
        return seen[-1]

    vars(layer)["call"] = call
    try:
        case.design.model(case.design.packed(case.arrays), training=False)
    finally:
        del vars(layer)["call"]
    left, order = list(numbers), []
    for value in seen:
        nearest = min(left, key=lambda n: _distance(case.result.calls[n].flow.value, value))
        left.remove(nearest)  # maps of two calls may be the same: nothing but zeros
        order.append(nearest)
    return order


def _distance(one: Any, other: Any) -> float:
    return float(abs(np.asarray(one) - np.asarray(other)).max()) if one.shape == other.shape else np.inf


def _heatmap(case: Case, number: int, tap: Any, got: np.ndarray) -> Iterator[str]:
    truth = case.question(number, tap.target_index).answer()
    if got.shape != truth.heatmap.shape:
        yield f"{tap.key}: shape {got.shape} instead of {truth.heatmap.shape}"
        return
    allowed = truth.allowed.reshape(truth.allowed.shape + (1,) * (got.ndim - truth.allowed.ndim))
    error = abs(got.astype(np.float64) - truth.heatmap)
    if not (error <= allowed).all():
        where = np.unravel_index(int(np.argmax(error - allowed)), error.shape)
        box = case.result.calls[number].flow.box
        place = f"at {[int(i) for i in where]}, box {box}"
        yield f"{tap.key}: off by {error.max():.2g} {place}, allowed {allowed.max():.2g}"


def free_memory() -> None:
    """Forget all models made so far."""
    keras.backend.clear_session()
