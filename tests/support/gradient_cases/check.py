"""Check a gradient rule: against TensorFlow's own gradient, against finite differences, and in LiteRT.

A case is a small forward function and the types of the operations that it covers; ``test_rules.py`` fails for a rule
without a case.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from visualcnn_tf.export.tflite_interpreter import interpreter
from visualcnn_tf.export.tflite_operations import count_ops, foreign_ops
from visualcnn_tf.gradients.backward import backward_pass

TOLERANCE = 2e-6
#: LiteRT computes exponentials and roots in its own way.
TFLITE_TOLERANCE = 1e-5


@dataclass(frozen=True)
class Case:
    """A forward function from float tensors, batch first, to one float tensor.

    Attributes:
        function: of one tensor for each shape.
        shapes: of the inputs, with the batch.
        ops: types of the operations whose rules it covers.
        smooth: whether the gradients are also compared with finite differences in float64.
        tflite: whether the function and its gradients convert to builtin operations of TensorFlow Lite.
        draw: draws the values of an input from a generator, given its shape; standard normal by default.
    """

    function: Callable[..., Any]
    shapes: Sequence[tuple[int, ...]]
    ops: tuple[str, ...]
    smooth: bool = False
    tflite: bool = True
    draw: Callable[[np.random.Generator, tuple[int, ...]], np.ndarray] = lambda rng, shape: rng.normal(size=shape)


def arrays(case: Case, dtype: str = "float32") -> list[np.ndarray]:
    rng = np.random.default_rng(7)
    return [case.draw(rng, shape).astype(dtype) for shape in case.shapes]


def traced(case: Case, unknown_batch: bool, dtype: str = "float32", by_rules: bool = True) -> tuple[Any, list[Any]]:
    """Trace ``(output_gradient, *inputs) -> (output, gradients)``; also return the list that its fallbacks go to."""
    fallbacks: list[Any] = []

    def gradients(output_gradient: Any, *inputs: Any) -> tuple[Any, list[Any]]:
        # No placeholders as sources: a tap never is one.
        inputs = [tf.identity(x) for x in inputs]
        output = case.function(*inputs)
        types = {op.type for op in output.graph.get_operations()}
        assert set(case.ops) <= types, f"the case does not use {set(case.ops) - types}: {sorted(types)}"
        if not by_rules:
            return output, [tf.convert_to_tensor(g) for g in tf.gradients(output, inputs, grad_ys=output_gradient)]
        found = backward_pass([output], [output_gradient], inputs)
        fallbacks.extend(found.fallbacks)
        return output, found.of

    shapes = [output_gradient_of(case).shape, *case.shapes]
    if unknown_batch:
        shapes = [(None, *shape[1:]) if shape else shape for shape in shapes]
    specs = [tf.TensorSpec(shape, dtype) for shape in shapes]
    return tf.function(gradients, autograph=False, input_signature=specs), fallbacks


def output_gradient_of(case: Case, dtype: str = "float32") -> np.ndarray:
    output = case.function(*map(tf.constant, arrays(case, dtype)))
    return np.random.default_rng(11).normal(size=output.shape).astype(dtype)


def relative(got: Any, want: Any) -> float:
    """Return the largest difference, relative to the largest value."""
    got, want = np.asarray(got, np.float64), np.asarray(want, np.float64)
    assert got.shape == want.shape, (got.shape, want.shape)
    return float(np.abs(got - want).max(initial=0.0) / max(np.abs(want).max(initial=0.0), 1e-30))


def check_against_tensorflow(case: Case, unknown_batch: bool) -> None:
    inputs, output_gradient = arrays(case), output_gradient_of(case)
    function, fallbacks = traced(case, unknown_batch)
    truth, _ = traced(case, unknown_batch, by_rules=False)
    (_, found), (_, wanted) = function(output_gradient, *inputs), truth(output_gradient, *inputs)
    assert not fallbacks, fallbacks
    for got, want in zip(found, wanted, strict=True):
        assert np.abs(want).max() > 0, "the gradient is zero"
        assert relative(got, want) <= TOLERANCE, relative(got, want)


def check_finite_differences(case: Case) -> None:
    inputs, output_gradient = arrays(case, "float64"), output_gradient_of(case, "float64")
    function, _ = traced(case, False, "float64")
    _, gradients = function(output_gradient, *inputs)
    step, rng = 1e-6, np.random.default_rng(3)
    for index, gradient in enumerate(gradients):
        direction = rng.normal(size=inputs[index].shape)
        ends = []
        for sign in (1, -1):
            moved = [x + sign * step * direction if i == index else x for i, x in enumerate(inputs)]
            ends.append(np.sum(case.function(*map(tf.constant, moved)).numpy() * output_gradient))
        slope = np.sum(gradient.numpy() * direction)
        assert abs((ends[0] - ends[1]) / (2 * step) - slope) <= 1e-6 * max(1.0, abs(slope))


def check_in_tflite(cases: Mapping[str, Case]) -> None:
    """Convert cases to one file with a fixed batch size; require builtin operations and the results of TensorFlow."""
    functions = {name: traced(case, False)[0] for name, case in cases.items()}
    values = {name: [output_gradient_of(case), *arrays(case)] for name, case in cases.items()}
    flat = {f"{name}_{i}": value for name, group in values.items() for i, value in enumerate(group)}

    def together(*inputs: Any) -> dict[str, Any]:
        rest, outputs = list(inputs), {}
        for name, group in values.items():
            arguments, rest = rest[: len(group)], rest[len(group) :]
            output, gradients = functions[name].python_function(*arguments)
            outputs |= {f"{name}_gradient_{i}": gradient for i, gradient in enumerate(gradients)}
            outputs[f"{name}_output"] = output
        return outputs

    specs = [tf.TensorSpec(value.shape, name=name) for name, value in flat.items()]
    function = tf.function(together, autograph=False, input_signature=specs)
    content = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], tf.Module()).convert()
    assert not foreign_ops(count_ops(content)), foreign_ops(count_ops(content))
    got = interpreter(content).get_signature_runner()(**flat)
    want = function(*flat.values())
    assert got.keys() == want.keys()
    wrong = {name: off for name in want if not (off := relative(got[name], want[name])) <= TFLITE_TOLERANCE}
    assert not wrong, wrong
