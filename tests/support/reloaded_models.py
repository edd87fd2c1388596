"""Models of every kind whose layers Keras may name anew when it loads them, built with their weights at random.

Run as a script on a folder that `save_all` wrote, it loads each model in a fresh process and checks its locations.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers as L  # noqa: N812

from visualcnn_tf.introspect.location import Location, layer_at, locate
from visualcnn_tf.introspect.named_layers import named_layers

register = keras.saving.register_keras_serializable("reloaded_models")
MODELS: dict[str, Callable[[], keras.Model]] = {}


def model_kind(function: Callable[[], keras.Model]) -> Callable[[], keras.Model]:
    MODELS[function.__name__] = function
    return function


def conv() -> keras.Layer:
    return L.Conv2D(4, 3, padding="same", activation="relu")


def head(x: keras.KerasTensor) -> keras.KerasTensor:
    return L.Dense(3)(L.GlobalAveragePooling2D()(x))


@register
class Block(L.Layer):
    """Two layers without names; its own name is in its config."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.first, self.second = conv(), conv()

    def build(self, shape: tuple[int | None, ...]) -> None:
        self.first.build(shape)
        self.second.build((*shape[:-1], 4))

    def call(self, x: Any) -> Any:
        return self.second(self.first(x))

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (*shape[:-1], 4)


@register
class NamelessBlock(Block):
    """A block whose own name is lost, too: its constructor takes none."""

    def __init__(self) -> None:
        super().__init__()

    def get_config(self) -> dict[str, Any]:
        return {}


@register
class LazyBlock(Block):
    """A block that makes its layers when it is built."""

    def __init__(self, **kwargs: Any) -> None:
        L.Layer.__init__(self, **kwargs)

    def build(self, shape: tuple[int | None, ...]) -> None:
        self.first, self.second = conv(), conv()
        super().build(shape)


@register
class Stage(L.Layer):
    """Blocks inside a layer: two deep."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.first, self.second = Block(), Block()

    def build(self, shape: tuple[int | None, ...]) -> None:
        self.first.build(shape)
        self.second.build((*shape[:-1], 4))

    def call(self, x: Any) -> Any:
        return self.second(self.first(x))


@register
class Collections(L.Layer):
    """Layers in a list and in a dict, and one under two names."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.stack = [conv(), conv()]
        self.branches = {"wide": conv(), "narrow": conv()}
        self.alias = self.stack[1]

    def build(self, shape: tuple[int | None, ...]) -> None:
        for layer in [*self.stack, *self.branches.values()]:
            layer.build((*shape[:-1], 4))

    def call(self, x: Any) -> Any:
        for layer in self.stack:
            x = layer(x)
        return self.alias(self.branches["narrow"](x) + self.branches["wide"](x))


@register
class Subclassed(keras.Model):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.first, self.second, self.block = conv(), conv(), Block()
        self.pool, self.classify = L.GlobalAveragePooling2D(), L.Dense(3)

    def call(self, x: Any) -> Any:
        return self.classify(self.pool(self.block(self.second(self.first(x)))))


def small_functional() -> keras.Model:
    image = keras.Input((8, 8, 4))
    return keras.Model(image, NamelessBlock()(conv()(Block()(conv()(image)))))


@register
class AroundFunctional(keras.Model):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.first, self.backbone, self.block = conv(), small_functional(), Block()
        self.pool = L.GlobalAveragePooling2D()

    def call(self, x: Any) -> Any:
        return self.pool(self.block(self.backbone(self.first(x))))


@register
class Backbone(keras.Model):
    """A functional model made by its own class, as in keras_hub: its config has no layers."""

    def __init__(self, depth: int, **kwargs: Any) -> None:
        image = keras.Input((8, 8, 4))
        x = image
        for _ in range(depth):
            x = L.ReLU()(L.BatchNormalization()(conv()(Block()(x))))
        super().__init__(inputs=image, outputs=x, **kwargs)
        self.depth = depth

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "trainable": self.trainable, "depth": self.depth}


@model_kind
def custom_layers_in_a_sequential() -> keras.Model:
    return keras.Sequential([keras.Input((8, 8, 4)), Block(name="one"), NamelessBlock(), Block(), L.Flatten()])


@model_kind
def nested_custom_layers() -> keras.Model:
    image = keras.Input((8, 8, 4))
    return keras.Model(image, head(Stage(name="two")(Stage(name="one")(image))))


@model_kind
def layers_without_names_in_their_configs() -> keras.Model:
    image = keras.Input((8, 8, 4))
    x = NamelessBlock()(NamelessBlock()(image))
    return keras.Model(image, [head(x), head(NamelessBlock()(x))])


@model_kind
def made_when_built() -> keras.Model:
    return keras.Sequential([keras.Input((8, 8, 4)), LazyBlock(), LazyBlock(name="one"), L.GlobalMaxPooling2D()])


@model_kind
def lists_and_dicts() -> keras.Model:
    image = keras.Input((8, 8, 4))
    return keras.Model(image, head(Collections()(Collections(name="one")(image))))


@model_kind
def subclassed() -> keras.Model:
    model = Subclassed()
    model(np.zeros((1, 8, 8, 4), "float32"))
    return model


@model_kind
def subclassed_in_functional() -> keras.Model:
    image = keras.Input((8, 8, 4))
    return keras.Model(image, [Subclassed()(conv()(image)), Subclassed(name="second")(image)])


@model_kind
def functional_in_subclassed() -> keras.Model:
    model = AroundFunctional()
    model(np.zeros((1, 8, 8, 4), "float32"))
    return model


@model_kind
def functional_subclasses() -> keras.Model:
    image = keras.Input((8, 8, 4))
    return keras.Model(image, head(Backbone(2, name="second")(Backbone(1)(image))))


@model_kind
def shared_layers() -> keras.Model:
    image, other = keras.Input((8, 8, 4)), keras.Input((8, 8, 4))
    block, layer, model = Block(), conv(), small_functional()
    return keras.Model([other, image], head(L.Add()([layer(block(layer(image))), model(block(other)), model(image)])))


@model_kind
def wrappers() -> keras.Model:
    film = keras.Input((3, 8, 8, 4))
    x = L.TimeDistributed(Block())(L.TimeDistributed(conv())(film))
    x = L.TimeDistributed(L.GlobalAveragePooling2D())(x)
    return keras.Model(film, L.Bidirectional(L.GRU(3))(L.Bidirectional(L.LSTM(3, return_sequences=True))(x)))


@model_kind
def operations() -> keras.Model:
    image = keras.Input((8, 8, 4))
    x = keras.ops.leaky_relu(conv()(image), 0.1) * 2.0
    x = keras.ops.leaky_relu(Block()(x) + keras.ops.tanh(x), 0.3)
    return keras.Model(image, head(x / 2.0))


def with_random_weights(model: keras.Model, seed: int = 0) -> keras.Model:
    rng = np.random.default_rng(seed)
    model.set_weights([rng.random(weight.shape, "float32") for weight in model.get_weights()])
    return model


def state(layer: keras.Operation) -> list[np.ndarray]:
    """What tells a layer from others: its weights, and the slope of a leaky ReLU."""
    weights = layer.get_weights() if isinstance(layer, keras.Layer) else []
    return [*weights, np.asarray(getattr(layer, "negative_slope", 0.0))]


def save(model: keras.Model, folder: Path, name: str) -> None:
    """Write the bare model, the location of each of its layers, and what tells each from the others."""
    model.save(folder / f"{name}.keras")
    layers = list(named_layers(model).values())
    configs = [locate(model, layer).get_config() for layer in layers]
    (folder / f"{name}.json").write_text(json.dumps(configs))
    arrays = {f"{i}_{j}": array for i, layer in enumerate(layers) for j, array in enumerate(state(layer))}
    np.savez(folder / f"{name}.npz", **arrays)


def load_and_check(folder: Path, name: str) -> list[str]:
    """Load a model, compare each layer that is found with the one that was saved, and return the paths of now."""
    loaded = keras.models.load_model(folder / f"{name}.keras")
    paths = {id(layer): path for path, layer in named_layers(loaded).items()}
    saved = np.load(folder / f"{name}.npz")
    found = []
    for i, config in enumerate(json.loads((folder / f"{name}.json").read_text())):
        location = Location.from_config(config)
        layer = layer_at(loaded, location)
        for j, array in enumerate(state(layer)):
            np.testing.assert_array_equal(array, saved[f"{i}_{j}"], err_msg=f"{name}: {location.path}")
        assert len(state(layer)) == sum(key.startswith(f"{i}_") for key in saved), location.path
        found.append(paths[id(layer)])
    assert found == list(paths.values())
    return found


def make_others() -> None:
    """Use up some of Keras's automatic names."""
    for other in [conv(), Block(), NamelessBlock(), LazyBlock(), Stage(), Subclassed(), Backbone(1), L.Dense(2)]:
        assert other.name


if __name__ == "__main__":
    make_others()
    for file in sorted(Path(sys.argv[1]).glob("*.keras")):
        load_and_check(file.parent, file.stem)
        print(file.stem)
