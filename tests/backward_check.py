"""How a rule of the backward walk is checked: against TensorFlow's own gradient, finite differences, and in LiteRT.

A case is a small forward function; its file declares which types of operations it covers, and ``test_backward.py``
fails for a rule without a case.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from visualcnn_tf.backward.vjp import vjp
from visualcnn_tf.export.report import count_ops, foreign_ops, interpreter

TOLERANCE = 2e-6


@dataclass(frozen=True)
class Case:
    """A forward function of float tensors, the batch first, to one float tensor.

    Attributes:
        function: of one tensor for each shape.
        shapes: of the inputs, with the batch.
        ops: types of the operations whose rules it covers.
        smooth: whether finite differences in float64 are to be compared, too.
        tflite: whether forward and backward convert to builtin operations of TensorFlow Lite.
        draw: makes the values of an input from a generator and a shape; standard normal by default.
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


def traced(case: Case, unknown_batch: bool, dtype: str = "float32", own: bool = True) -> tuple[Any, list[Any]]:
    """Inputs and a seed to the gradients, by the walk or by TensorFlow; and the fallbacks that the walk took."""
    fallbacks: list[Any] = []
    result = tf.function(case.function, autograph=False).get_concrete_function(
        *(tf.TensorSpec(shape, dtype) for shape in case.shapes)
    )
    batch = [None] if unknown_batch else []

    def gradients(seed: Any, *inputs: Any) -> list[Any]:
        # Sources that are no placeholders: a tap never is one.
        inputs = [tf.identity(x) for x in inputs]
        output = case.function(*inputs)
        types = {op.type for op in output.graph.get_operations()}
        assert set(case.ops) <= types, f"the case does not use {set(case.ops) - types}: {sorted(types)}"
        if not own:
            return tf.gradients(output, inputs, grad_ys=seed)
        found = vjp([output], [seed], inputs)
        fallbacks.extend(found.fallbacks)
        return found.of

    shapes = [result.structured_outputs.shape.as_list(), *map(list, case.shapes)]
    specs = [tf.TensorSpec(batch + shape[len(batch) :], dtype) for shape in shapes]
    return tf.function(gradients, autograph=False, input_signature=specs), fallbacks


def seed_of(case: Case, dtype: str = "float32") -> np.ndarray:
    output = case.function(*map(tf.constant, arrays(case, dtype)))
    return np.random.default_rng(11).normal(size=output.shape).astype(dtype)


def relative(got: Any, want: Any) -> float:
    """The largest difference, relative to the largest value."""
    got, want = np.asarray(got, np.float64), np.asarray(want, np.float64)
    assert got.shape == want.shape, (got.shape, want.shape)
    return float(np.abs(got - want).max(initial=0.0) / max(np.abs(want).max(initial=0.0), 1e-30))


def check_against_tensorflow(case: Case, unknown_batch: bool) -> None:
    inputs, seed = arrays(case), seed_of(case)
    walk, fallbacks = traced(case, unknown_batch)
    truth, _ = traced(case, unknown_batch, own=False)
    found, wanted = walk(seed, *inputs), truth(seed, *inputs)
    assert fallbacks == []
    for got, want in zip(found, wanted, strict=True):
        assert np.abs(want).max() > 0
        assert relative(got, want) <= TOLERANCE


def check_finite_differences(case: Case) -> None:
    inputs, seed = arrays(case, "float64"), seed_of(case, "float64")
    walk, _ = traced(case, False, "float64")
    step, rng = 1e-6, np.random.default_rng(3)
    for place, gradient in enumerate(walk(seed, *inputs)):
        direction = rng.normal(size=inputs[place].shape)
        ends = []
        for sign in (1, -1):
            moved = [x + sign * step * direction if i == place else x for i, x in enumerate(inputs)]
            ends.append(np.sum(case.function(*map(tf.constant, moved)).numpy() * seed))
        slope = np.sum(gradient.numpy() * direction)
        assert abs((ends[0] - ends[1]) / (2 * step) - slope) <= 1e-6 * max(1.0, abs(slope))


def check_in_tflite(case: Case) -> None:
    """Batch of a fixed size, builtin operations only, equal to TensorFlow in the interpreter."""
    inputs, seed = arrays(case), seed_of(case)
    walk, _ = traced(case, False)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([walk.get_concrete_function()])
    content = converter.convert()
    assert not foreign_ops(count_ops(content))
    runner = interpreter(content)
    runner.allocate_tensors()
    details = sorted(runner.get_input_details(), key=lambda detail: detail["name"])
    # Placeholders are named after the arguments: seed, then inputs, inputs_1, …
    values = {"seed": seed, **{f"inputs_{i}" if i else "inputs": x for i, x in enumerate(inputs)}}
    for detail in details:
        name = detail["name"].split(":")[0].removeprefix("serving_default_")
        runner.set_tensor(detail["index"], values[name])
    runner.invoke()
    outputs = sorted(runner.get_output_details(), key=lambda detail: detail["name"])
    got = [runner.get_tensor(detail["index"]) for detail in outputs]
    for one, want in zip(got, walk(seed, *inputs), strict=True):
        assert relative(one, want) <= 1e-5
