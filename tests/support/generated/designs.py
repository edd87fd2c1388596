"""Draw a whole model: what it takes, what it does with each input, and what it returns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from support.generated import drawing
from support.generated import steps as S  # noqa: N812
from support.generated.choices import Draw, Map
from support.generated.elements import Each
from support.generated.models import Branch, Design, Output
from support.generated.moves import move_of_all

L = keras.layers

#: What seeds stand for, in turn.
KINDS = (
    *("moved", "several_inputs", "example_major", "plain", "moved_inside", "siamese", "time_steps", "signal"),
    *("outputs", "element_major", "sequential", "several_inputs", "open_steps", "volume", "subclassed", "loop", "pair"),
)


def draw_design(seed: int) -> tuple[Design, Draw]:
    """Return a built model with random weights, and what goes on drawing for its case."""
    draw = Draw(seed)
    kind = KINDS[seed % len(KINDS)]
    keras.utils.set_random_seed(seed)
    names = draw.shuffled(["zebra", "photo", "alpha", "meta", "kilo", "beta"])
    branches, style = _BRANCHES[kind](draw, names)
    inputs = draw.shuffled([name for branch in branches for name in branch.names])
    outputs, as_dict = _outputs(draw, kind, style)
    hidden = L.Dense(6, activation="tanh", name="hidden") if draw.chance(0.4) else None
    takes_dict = style != "sequential" and draw.chance(0.5 if len(inputs) > 1 else 0.1)
    design = Design(kind, branches, inputs, takes_dict, outputs, as_dict, style, hidden)
    design.build()
    design.model(design.packed(design.arrays(2, seed)), training=False)
    _set_weights(design.model, draw.rng)
    return design, draw


def _set_weights(model: Any, rng: np.random.Generator) -> None:
    """Give biases and normalizations values of their own, and the last layers large ones, so that classes differ."""
    for layer in model._flatten_layers(include_self=False):
        if isinstance(layer, L.BatchNormalization):
            shape = layer.gamma.shape
            layer.set_weights(
                [0.5 + rng.random(shape), rng.normal(size=shape), rng.normal(size=shape), 0.5 + rng.random(shape)]
            )
        elif getattr(layer, "bias", None) is not None:
            layer.bias.assign(rng.normal(size=layer.bias.shape) * 0.3)
        if isinstance(layer, L.Dense):
            layer.kernel.assign(layer.kernel * 2.0)


# Branches -----------------------------------------------------------------------------------------------------------

Branches = tuple[Sequence[Branch], str]


def _moved(draw: Draw, names: Sequence[str]) -> Branches:
    return [_photo(draw, names[0], moves=True)], draw.one("functional", "functional", "subclassed")


def _plain(draw: Draw, names: Sequence[str]) -> Branches:
    return [_nested(draw, _photo(draw, names[0], moves=False))], "functional"


def _moved_inside(draw: Draw, names: Sequence[str]) -> Branches:
    return [_nested(draw, _photo(draw, names[0], moves=True))], "functional"


def _sequential(draw: Draw, names: Sequence[str]) -> Branches:
    """Layers alone, none of them twice."""
    while True:
        branch = _photo(draw, names[0], moves=True, plain=False)
        if _is_row(branch.steps):
            return [branch], "sequential"


def _subclassed(draw: Draw, names: Sequence[str]) -> Branches:
    branches = [_photo(draw, names[0], moves=draw.chance(0.5))]
    if draw.chance(0.5):
        branches.append(_table(draw, names[1]))
    return branches, "subclassed"


def _several_inputs(draw: Draw, names: Sequence[str]) -> Branches:
    """A photo beside one or two inputs of other ranks."""
    others = draw.shuffled([_table, _wave, _flat_wave, _tokens, _spectrogram, _volume_branch])[: draw.number(1, 2)]
    photo = _nested(draw, _photo(draw, names[0], moves=draw.chance(0.4)))
    return [photo, *(make(draw, name) for make, name in zip(others, names[1:], strict=False))], "functional"


def _siamese(draw: Draw, names: Sequence[str]) -> Branches:
    """Two photos, not always of one size, through the same layers."""
    first = _nested(draw, _photo(draw, names[0], moves=False, flatten=False))
    shape = first.shape
    if draw.chance(0.5) and not any(isinstance(step, S.Nested) for step in first.steps):
        shape = (shape[0] + 8, shape[1] - 4, *shape[2:])
    return [first, replace(first, name=names[1], shape=shape)], "functional"


def _signal(draw: Draw, names: Sequence[str]) -> Branches:
    return [draw.one(_wave, _flat_wave, _tokens)(draw, names[0])], "functional"


def _volume(draw: Draw, names: Sequence[str]) -> Branches:
    return [_volume_branch(draw, names[0])], "functional"


def _with_outputs(draw: Draw, names: Sequence[str]) -> Branches:
    branches = [_photo(draw, names[0], moves=draw.chance(0.5))]
    if draw.chance(0.3):
        branches.append(_table(draw, names[1]))
    return branches, draw.one("functional", "functional", "subclassed")


def _elements(
    how: Sequence[str], open_steps: bool = False, together: bool = True
) -> Callable[[Draw, Sequence[str]], Branches]:
    def branches(draw: Draw, names: Sequence[str]) -> Branches:
        shape, count = _photo_shape(draw), draw.number(2, 4)
        at = Map(shape[:2], shape[2])
        before = move_of_all(draw, at) if together and draw.chance(0.3) else []
        inner_shape = (*at.space, shape[2])
        steps = drawing.chain(draw, at, moves=draw.chance(0.5), plain=True)
        vector = drawing.pooled(draw, at, flatten=_keeps_size(steps))
        each = Each(steps, vector, count, draw.one(*how), before)
        each.prepare(inner_shape)
        found = [Branch(names[0], (count, *shape), (), each=each, open_steps=open_steps)]
        if draw.chance(0.3):
            found.append(_table(draw, names[1]))
        return found, "functional"

    return branches


def _pair(draw: Draw, names: Sequence[str]) -> Branches:
    """Two inputs, concatenated on the batch axis."""
    [branch, *others], style = _elements(["element"], together=False)(draw, names)
    each = replace(branch.each, count=2)
    return [replace(branch, shape=branch.shape[1:], each=each, partner=names[2]), *others], style


_BRANCHES: dict[str, Callable[[Draw, Sequence[str]], Branches]] = {
    "moved": _moved,
    "plain": _plain,
    "moved_inside": _moved_inside,
    "sequential": _sequential,
    "subclassed": _subclassed,
    "several_inputs": _several_inputs,
    "siamese": _siamese,
    "signal": _signal,
    "volume": _volume,
    "outputs": _with_outputs,
    "example_major": _elements(["example"]),
    "element_major": _elements(["element"]),
    "pair": _pair,
    "time_steps": _elements(["steps"]),
    "open_steps": _elements(["steps"], open_steps=True),
    "loop": _elements(["map", "vectorized_map"]),
}


# One input ----------------------------------------------------------------------------------------------------------


def _photo_shape(draw: Draw) -> tuple[int, int, int]:
    return draw.one(16, 20, 24, 32), draw.one(16, 24, 30, 40), draw.one(1, 3)


def _photo(draw: Draw, name: str, moves: bool, plain: bool = True, flatten: bool = True) -> Branch:
    shape = _photo_shape(draw)
    dtype = "uint8" if draw.chance(0.2) else "float32"
    at = Map(shape[:2], shape[2])
    steps = [drawing.pixels_scaled(draw)] if dtype == "uint8" else []
    steps += drawing.chain(draw, at, moves, plain)
    vector = drawing.pooled(draw, at, flatten and _keeps_size(steps))
    if shape[2] == 1 and draw.chance(0.4):
        reshaped = L.Reshape((*shape[:2], 1), name=draw.name("shaped"))
        return Branch(name, shape[:2], steps, vector, dtype, reshaped)
    return Branch(name, shape, steps, vector, dtype)


def _table(draw: Draw, name: str) -> Branch:
    return Branch(name, (5,), (), L.Dense(4, activation="tanh", name=draw.name("table")))


def _wave(draw: Draw, name: str) -> Branch:
    length, channels = draw.one(48, 64, 80), draw.one(1, 2)
    at = Map((length,), channels)
    steps = drawing.chain(draw, at, moves=draw.chance(0.4), plain=True)
    return Branch(name, (length, channels), steps, drawing.pooled(draw, at))


def _flat_wave(draw: Draw, name: str) -> Branch:
    """A signal without a channel axis."""
    branch = _wave(draw, name)
    while branch.shape[1] != 1:
        branch = _wave(draw, name)
    reshaped = L.Reshape(branch.shape, name=draw.name("shaped"))
    return replace(branch, shape=branch.shape[:1], reshaped=reshaped)


def _tokens(draw: Draw, name: str) -> Branch:
    """A text as numbers of words, each of which becomes a vector."""
    length = draw.one(24, 40)
    at = Map((length,), 4)
    steps = drawing.chain(draw, at, moves=draw.chance(0.4), plain=True)
    embedding = L.Embedding(256, 4, name=draw.name("embedding"))
    return Branch(name, (length,), steps, drawing.pooled(draw, at), "int32", embedding)


def _spectrogram(draw: Draw, name: str) -> Branch:
    """A signal that becomes a picture of something else: no position in it is one in the signal."""
    at = Map((16, 12), 1)
    steps = drawing.chain(draw, at, moves=False, plain=True)
    reshaped = L.Reshape((16, 12, 1), name=draw.name("shaped"))
    return Branch(name, (192,), steps, drawing.pooled(draw, at), reshaped=reshaped, keeps_axes=False)


def _volume_branch(draw: Draw, name: str) -> Branch:
    shape = (draw.one(8, 10), draw.one(8, 12), draw.one(9, 12), draw.one(1, 2))
    at = Map(shape[:3], shape[3])
    steps = drawing.chain(draw, at, moves=draw.chance(0.4), plain=True)
    return Branch(name, shape, steps, drawing.pooled(draw, at, flatten=False))


def _keeps_size(steps: Sequence[S.Step]) -> bool:
    return not any(isinstance(step, S.RandomlyCropped) for step in steps)


def _nested(draw: Draw, branch: Branch) -> Branch:
    """The same with its last steps, if there are some, in a model of their own, sometimes."""
    if draw.chance(0.4):
        return branch
    # What RandomCrop returns in inference is larger than Keras says, so no model may begin after it.
    start = draw.number(0, len(branch.steps) // 2) if _keeps_size(branch.steps) else 0
    inner = branch.steps[start:]
    styles = ["functional", "subclassed", "layer", *(["sequential"] if _is_row(inner) else [])]
    return replace(branch, steps=[*branch.steps[:start], S.Nested(draw.name("inner"), inner, draw.one(*styles))])


def _is_row(steps: Sequence[S.Step]) -> bool:
    """Whether a Sequential can hold the steps."""
    layers = [layer for step in steps for layer in step.layers]
    is_flat = all(step.layers and not isinstance(step, S.Joined) for step in steps)
    return is_flat and len({id(layer) for layer in layers}) == len(layers)


# Outputs ------------------------------------------------------------------------------------------------------------


def _outputs(draw: Draw, kind: str, style: str) -> tuple[Sequence[Output], bool]:
    """The outputs, in the model's order, and whether they come as a dict."""
    outputs = [_classes(draw, "label")]
    if kind == "outputs":
        outputs.append(_classes(draw, "other"))
        if draw.chance(0.7):
            conv = L.Conv2D(2, 1, activation=draw.one("sigmoid", None), name="mask")
            outputs.append(Output("mask", conv, of_map=True))
    # A subclassed model's list of outputs has no names.
    return draw.shuffled(outputs), kind == "outputs" and (style == "subclassed" or draw.chance(0.5))


def _classes(draw: Draw, name: str) -> Output:
    ending = draw.one("softmax", "softmax", "linear", "sigmoid")
    units = 1 if ending == "sigmoid" and draw.chance(0.5) else draw.number(3, 5)
    if draw.chance(0.3):
        return Output(name, L.Dense(units, name=f"{name}_logits"), L.Activation(ending, name=name))
    return Output(name, L.Dense(units, activation=ending, name=name))
