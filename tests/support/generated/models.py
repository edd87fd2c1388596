"""A generated model: branches of inputs, a head, outputs; built into a Keras model, and run by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from support.generated.elements import Each
from support.generated.hand import Call, Flow, Hand
from support.generated.steps import Step, chained, chained_by_hand, composite

L = keras.layers


@dataclass
class Branch:
    """From an input to a vector.

    Attributes:
        name: of the input.
        shape: of one example.
        steps: what is done to a map, until it has become a vector by ``vector``; none for a table.
        vector: global pooling, a Flatten, or the first Dense of a table.
        dtype: of the input.
        reshaped: the layer that gives the input its spatial axes and channels, or None. Where it changes how many
            spatial axes there are, maps are no picture of the input.
        keeps_axes: whether a position after ``reshaped`` is a position in the input.
        each: for several images an example, what takes the place of ``steps`` and ``vector``.
        open_steps: whether the model does not know how many these are.
        partner: the name of a second input of the same shape, which becomes the second image of each example.
    """

    name: str
    shape: tuple[int, ...]
    steps: Sequence[Step]
    vector: Any = None
    dtype: str = "float32"
    reshaped: Any = None
    keeps_axes: bool = True
    each: Each | None = None
    open_steps: bool = False
    partner: str = ""

    @property
    def space(self) -> tuple[int, ...]:
        """The size of the input, or of one of its images."""
        shape = self.shape[1:] if self.each and not self.partner else self.shape
        return shape if self.reshaped is not None else shape[:-1]

    @property
    def names(self) -> list[str]:
        """The names of its inputs."""
        return [self.name, self.partner] if self.partner else [self.name]

    def inputs(self) -> dict[str, Any]:
        """Its Keras inputs by name."""
        shape = (None, *self.shape[1:]) if self.open_steps else self.shape
        return {name: keras.Input(shape, dtype=self.dtype, name=name) for name in self.names}

    @property
    def layers(self) -> list[Any]:
        """All layers, in order."""
        if self.each is not None:
            return self.each.layers
        inner = [layer for step in self.steps for layer in step.layers]
        return [layer for layer in (self.reshaped, *inner, self.vector) if layer is not None]

    def symbolic(self, x: Any, *partner: Any) -> tuple[Any, Any]:
        """The vector, and the last map."""
        if self.each is not None:
            return self.each.symbolic([x, *partner] if partner else x), None
        x = chained(self.steps, x if self.reshaped is None else self.reshaped(x))
        return self.vector(x), x

    def by_hand(self, hand: Hand, x: tf.Tensor, *partner: tf.Tensor) -> tuple[tf.Tensor, Flow]:
        """The same by hand."""
        x = tf.stack([x, *partner], 1) if partner else x
        # Of two inputs, neither is the one that a map of both is a picture of.
        reference = self.name if self.keeps_axes and self.space and not self.partner else None
        flow = Flow(x, reference, tuple((0.0, float(n)) for n in x.shape[1:-1]))
        if self.each is not None:
            return self.each.by_hand(flow, hand).value, flow
        if self.reshaped is not None:
            value = self.reshaped(x)
            flow = Flow(value, reference, tuple((0.0, float(n)) for n in value.shape[1:-1]))
            flow = hand.note(self.reshaped.name, "other", flow)
        flow = chained_by_hand(self.steps, flow, hand)
        return self.vector(flow.value), flow


@dataclass
class Output:
    """An output of the model.

    Attributes:
        name: its key, where outputs have keys.
        layer: a Dense layer on all vectors together, or a convolution on the first branch's last map.
        ending: the activation after it, where it is a layer of its own.
        of_map: whether it is computed from the map.
    """

    name: str
    layer: Any
    ending: Any = None
    of_map: bool = False

    @property
    def layers(self) -> list[Any]:
        """Its layers."""
        return [self.layer] if self.ending is None else [self.layer, self.ending]

    @property
    def units(self) -> int:
        """How many numbers there are for each example, or each position."""
        return self.layer.filters if self.of_map else self.layer.units

    @property
    def activation(self) -> str:
        """Softmax, sigmoid or linear."""
        return (self.layer if self.ending is None else self.ending).activation.__name__

    def symbolic(self, vector: Any, last_map: Any) -> Any:
        """Apply to Keras tensors."""
        x = self.layer(last_map if self.of_map else vector)
        return x if self.ending is None else self.ending(x)

    def by_hand(self, vector: tf.Tensor, flow: Flow, hand: Hand) -> tuple[tf.Tensor, tf.Tensor]:
        """The logits and the output."""
        if self.of_map:
            logits = tf.einsum("bhwc,cd->bhwd", flow.value, self.layer.kernel.value[0, 0]) + self.layer.bias.value
        else:
            logits = vector @ self.layer.kernel.value + self.layer.bias.value
        output = {"softmax": tf.nn.softmax, "sigmoid": tf.sigmoid, "linear": tf.identity}[self.activation](logits)
        if self.of_map:
            output = hand.note(self.layer.name, "output", flow.to(output)).value
        return logits, output


@dataclass
class Result:
    """What a model gives by hand: the logits and the values of its outputs by name, and the calls of its layers."""

    logits: dict[str, tf.Tensor]
    outputs: dict[str, tf.Tensor]
    calls: list[Call]


@dataclass
class Design:
    """A model as the generator has drawn it.

    Attributes:
        kind: what the generator was asked for.
        branches: in the order in which their vectors are joined.
        inputs: the names of the inputs, in the model's order.
        as_dict: whether the model takes a dict.
        outputs: in the model's order.
        outputs_as_dict: whether it returns a dict.
        style: ``"functional"``, ``"sequential"`` or ``"subclassed"``.
        hidden: a layer between the joined vectors and the outputs, or None.
        model: the Keras model.
    """

    kind: str
    branches: Sequence[Branch]
    inputs: Sequence[str]
    as_dict: bool
    outputs: Sequence[Output]
    outputs_as_dict: bool
    style: str
    hidden: Any = None
    model: Any = field(default=None, init=False)

    def branch(self, name: str) -> Branch:
        """The branch of an input."""
        return next(branch for branch in self.branches if name in branch.names)

    def build(self) -> None:
        """Make the Keras model."""
        if self.style == "sequential":
            branch, output = self.branches[0], self.outputs[0]
            hidden = [] if self.hidden is None else [self.hidden]
            self.model = keras.Sequential([*branch.inputs().values(), *branch.layers, *hidden, *output.layers])
            return
        if self.style == "subclassed":
            parts = [layer for part in (*self.branches, *self.outputs) for layer in part.layers]
            parts += [] if self.hidden is None else [self.hidden]
            self.model = composite(keras.Model, list(dict.fromkeys(parts)), self._run, "generated")
            return
        inputs = self.packed({name: x for branch in self.branches for name, x in branch.inputs().items()})
        self.model = keras.Model(inputs, self._run(inputs), name="generated")

    def packed(self, by_name: Mapping[str, Any]) -> Any:
        """Inputs by name in the structure that the model takes."""
        if self.as_dict:
            return {name: by_name[name] for name in self.inputs}
        return by_name[self.inputs[0]] if len(self.inputs) == 1 else [by_name[name] for name in self.inputs]

    def named(self, by_name: Mapping[str, Any]) -> dict[str, Any]:
        """Inputs by the names under which the model takes them in a dict, in another order than the model's."""
        names = list(self.inputs)
        if self.style == "subclassed" and not self.as_dict:
            names = ["inputs"] if len(names) == 1 else [f"input_{i}" for i in range(len(names))]
        return {name: by_name[original] for name, original in reversed(list(zip(names, self.inputs, strict=True)))}

    def output_key(self, output: Output) -> str:
        """The name of an output."""
        return "predictions" if len(self.outputs) == 1 and not self.outputs_as_dict else output.name

    def _run(self, inputs: Any) -> Any:
        if not self.as_dict:
            inputs = dict(zip(self.inputs, [inputs] if len(self.inputs) == 1 else inputs, strict=True))
        found = [branch.symbolic(*(inputs[name] for name in branch.names)) for branch in self.branches]
        vectors = [vector for vector, _ in found]
        vector = vectors[0] if len(vectors) == 1 else keras.ops.concatenate(vectors, axis=-1)
        vector = vector if self.hidden is None else self.hidden(vector)
        outputs = {output.name: output.symbolic(vector, found[0][1]) for output in self.outputs}
        if self.outputs_as_dict:
            return outputs
        return next(iter(outputs.values())) if len(outputs) == 1 else list(outputs.values())

    def by_hand(self, arrays: Mapping[str, Any], change: Callable[[int, Any], Any] | None = None) -> Result:
        """Run on a batch, changing the outputs of layers as is asked for."""
        hand = Hand(change)
        tensors = {name: tf.convert_to_tensor(array) for name, array in arrays.items()}
        found = [branch.by_hand(hand, *(tensors[name] for name in branch.names)) for branch in self.branches]
        vector = tf.concat([vector for vector, _ in found], -1)
        vector = vector if self.hidden is None else self.hidden(vector)
        both = {output.name: output.by_hand(vector, found[0][1], hand) for output in self.outputs}
        logits, values = ({name: pair[i] for name, pair in both.items()} for i in (0, 1))
        return Result(logits, values, hand.calls)

    def arrays(self, count: int, seed: int) -> dict[str, np.ndarray]:
        """A batch of inputs by name."""
        rng = np.random.default_rng(seed)
        branches = {name: self.branch(name) for branch in self.branches for name in branch.names}
        return {name: _array(rng, (count, *branch.shape), branch.dtype) for name, branch in branches.items()}


def _array(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    if np.dtype(dtype).kind in "iu":
        return rng.integers(0, 256, shape).astype(dtype)
    return rng.random(shape).astype(dtype)
