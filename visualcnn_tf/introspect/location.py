"""Where a layer stands in a model, in a form that survives saving and loading.

Layers that a custom layer or a subclassed model makes without names are named anew whenever the model is loaded:
``conv2d_1`` may come back as ``conv2d_7``, while another layer is now called ``conv2d_1``. A path of names would
then lead to the wrong layer, or to none. What stays the same is the position of each layer among the children of
its container: Keras rebuilds functional models and Sequentials in the same order, and custom code runs again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import keras

from visualcnn_tf.errors import LayerNotFoundError
from visualcnn_tf.introspect.named_layers import children


@dataclass(frozen=True)
class Step:
    """From a container to one of its children.

    Attributes:
        name: the child's name when it was located; only shown in messages, because it may change.
        index: position of the child in ``children(container)``, from 0.
        class_name: name of the child's class.
    """

    name: str
    index: int
    class_name: str


@dataclass(frozen=True)
class Location:
    """The steps from a model down to one of its layers.

    Attributes:
        steps: first the child of the model, last the layer.
    """

    steps: tuple[Step, ...]

    @property
    def path(self) -> str:
        """The names on the way when the layer was located, ``"block/conv2d_1"``."""
        return "/".join(step.name for step in self.steps)

    def get_config(self) -> dict[str, Any]:
        """Return the steps as dicts that JSON can hold."""
        return {"steps": [asdict(step) for step in self.steps]}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Location:
        """Return the location that :meth:`get_config` described."""
        return cls(tuple(Step(**step) for step in config["steps"]))


def locate(model: keras.Model, layer: keras.Operation) -> Location:
    """Return where a layer stands in a model, the first place of a layer that is shared.

    Raises:
        LayerNotFoundError: if the layer is not inside the model.
    """
    steps = _steps_to(layer, model, {id(model)})
    if steps is None:
        raise LayerNotFoundError(
            f"`layer` must be inside the model {model.name!r}. Received: the layer {layer.name!r}, which is not."
        )
    return Location(steps)


def layer_at(model: keras.Model, location: Location) -> keras.Operation:
    """Return the layer at a location of a model, built anew from its config or not.

    Raises:
        LayerNotFoundError: if there is no layer at that position, or one of another class.
    """
    layer = model
    for depth, step in enumerate(location.steps):
        inside = children(layer)
        found = inside[step.index] if step.index < len(inside) else None
        if found is None or type(found).__name__ != step.class_name:
            raise _not_found(model, Location(location.steps[: depth + 1]), layer, inside)
        layer = found
    return layer


def _steps_to(layer: keras.Operation, container: keras.Operation, seen: set[int]) -> tuple[Step, ...] | None:
    for index, child in enumerate(children(container)):
        step = Step(child.name, index, type(child).__name__)
        if child is layer:
            return (step,)
        if id(child) not in seen:
            seen.add(id(child))
            below = _steps_to(layer, child, seen)
            if below is not None:
                return (step, *below)
    return None


def _not_found(
    model: keras.Model, location: Location, container: keras.Operation, inside: list[keras.Operation]
) -> LayerNotFoundError:
    step = location.steps[-1]
    what = f"{type(container).__name__} {container.name!r}"
    if step.index < len(inside):
        found = inside[step.index]
        received = f"{type(found).__name__} {found.name!r} at that position"
    else:
        received = f"a {what} with {len(inside)} layers"
    return LayerNotFoundError(
        f"The model {model.name!r} must hold the layer that was saved as {location.path!r}: {step.class_name} at "
        f"position {step.index} of the {what}. Received: {received}. If the code of {type(container).__name__} has "
        "changed since the model was saved, load it with the code of then, or attach to the loaded model again."
    )
