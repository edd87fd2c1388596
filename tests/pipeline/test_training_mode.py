"""Looking at a model never trains it: `training` is False unless the caller says otherwise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L  # noqa: N812

import visualcnn_tf as vc
from visualcnn_tf.compat.visualizer import Visualizer
from visualcnn_tf.training.callback import HeatmapCallback
from visualcnn_tf.video.frames import open_frames
from visualcnn_tf.video.heatmap_video import heatmap_video

LOOKS = 100


class Noisy(keras.layers.Layer):
    """Trains unless it is told otherwise, as Keras's random layers do."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.count = self.add_weight(shape=(), initializer="zeros", trainable=False)

    def call(self, inputs: Any, training: bool = True) -> Any:
        if training:
            self.count.assign_add(1.0)
            return inputs + tf.random.normal(tf.shape(inputs))
        return inputs


def augmented(*first: Any) -> keras.Model:
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((16, 16, 3), name="image"),
            *first,
            L.RandomFlip(),
            L.RandomRotation(0.2),
            L.RandomContrast(0.3),
            L.GaussianNoise(0.5),
            L.Conv2D(4, 3, padding="same", name="conv"),
            L.BatchNormalization(),
            L.ReLU(),
            L.Dropout(0.5),
            L.GlobalAveragePooling2D(),
            L.Dense(3, activation="softmax"),
        ]
    )


X = np.random.default_rng(0).random((2, 16, 16, 3)).astype("float32")


def state(model: keras.Model) -> list[np.ndarray]:
    """All variables, those of the seed generators included."""
    return [np.array(variable) for variable in model.variables]


def assert_same_state(model: keras.Model, before: list[np.ndarray]) -> None:
    for now, then in zip(state(model), before, strict=True):
        np.testing.assert_array_equal(now, then)


def nested(model: keras.Model) -> Callable[[], Any]:
    image = keras.Input((16, 16, 3))
    outer = keras.Model(image, vc.attach(model, "conv", method="gradcam")(image))
    return lambda: outer(X)["heatmap_conv"].numpy()


def inside_a_subclassed_model(model: keras.Model) -> Callable[[], Any]:
    explained = vc.attach(model, "conv", method="gradcam")

    class Outer(keras.Model):
        def call(self, inputs: Any) -> Any:
            return explained(inputs)["heatmap_conv"]

    outer = Outer()
    return lambda: outer(X).numpy()


def by_calls(look: Callable[[Any], Any], **options: Any) -> Callable[[keras.Model], Callable[[], Any]]:
    """A way of looking that calls the explained model, or a function around it."""

    def start(model: keras.Model) -> Callable[[], Any]:
        explained = vc.attach(model, "conv", **options)
        return lambda: np.asarray(look(explained)["heatmap_conv"])

    return start


def in_a_function(model: keras.Model) -> Callable[[], Any]:
    function = tf.function(vc.attach(model, "conv", method="gradcam"))
    return lambda: function(X)["heatmap_conv"].numpy()


def in_a_visualizer(model: keras.Model) -> Callable[[], Any]:
    visualizer = Visualizer(model)
    return lambda: visualizer.heatmap(X)[0]


LOOKING = {
    "predict": by_calls(lambda explained: explained.predict(X, verbose=0)),
    "call": by_calls(lambda explained: explained(X)),
    "call of a class method": by_calls(lambda explained: explained(X), method="gradcam"),
    "training=None": by_calls(lambda explained: explained(X, training=None)),
    "Layer.call": by_calls(lambda explained: explained.call(tf.constant(X))),
    "replay": by_calls(lambda explained: explained(X), method="scorecam"),
    "tf.function": in_a_function,
    "nested": nested,
    "inside a subclassed model": inside_a_subclassed_model,
    "Visualizer": in_a_visualizer,
}


@pytest.mark.sweep(cases=1)
@pytest.mark.parametrize("way", LOOKING)
def test_a_hundred_looks_change_nothing(way: str) -> None:
    model = augmented(Noisy())
    before, predictions = state(model), model.predict(X, verbose=0)
    look = LOOKING[way](model)
    first = look()
    for _ in range(LOOKS - 1):
        np.testing.assert_array_equal(look(), first)
    assert_same_state(model, before)
    np.testing.assert_array_equal(model.predict(X, verbose=0), predictions)


def test_attaching_changes_nothing() -> None:
    model = augmented(Noisy())
    before = state(model)
    for layers in ("conv", "last", "stages"):
        for method in ("deviation", "gradcam", "reciprocam"):
            vc.attach(model, layers, method=method)
    assert_same_state(model, before)


def test_maps_of_a_call_are_those_of_predict() -> None:
    explained = vc.attach(augmented(Noisy()), "conv", method="gradcam")
    want = explained.predict(X, verbose=0)
    for name, value in explained(X).items():
        np.testing.assert_allclose(value, want[name], atol=1e-5, err_msg=name)


def test_exports_change_nothing_and_are_not_random(tmp_path: Path) -> None:
    model = augmented(Noisy())
    before, explained = state(model), vc.attach(model, "conv", method="gradcam")
    want = explained.predict(X, verbose=0)
    explained.export(tmp_path / "keras", verbose=False)
    vc.export_saved_model(explained, tmp_path / "saved", warmup=False)
    vc.export_tflite(explained, tmp_path / "m.tflite")
    loaded = tf.saved_model.load(str(tmp_path / "keras"))
    for served in (loaded.serve(X), loaded.serve(X)):
        for name, value in served.items():
            np.testing.assert_allclose(value, want[name], atol=1e-5, err_msg=name)
    assert_same_state(model, before)


def test_a_video_changes_nothing(tmp_path: Path) -> None:
    model = augmented(Noisy())
    before = state(model)
    folder = tmp_path / "frames"
    folder.mkdir()
    for index in range(3):
        picture = tf.io.encode_png(np.full((16, 16, 3), 40 * index, np.uint8)).numpy()
        (folder / f"{index}.png").write_bytes(picture)
    for name in ("a", "b"):
        heatmap_video(model, open_frames(folder), tmp_path / name, layer="conv", pixels="0..1")
    assert_same_state(model, before)
    pictures = [[file.read_bytes() for file in sorted((tmp_path / name).iterdir())] for name in ("a", "b")]
    assert pictures[0] == pictures[1]


def test_the_callback_changes_nothing(tmp_path: Path) -> None:
    model = augmented(Noisy())
    before = state(model)
    callback = HeatmapCallback(X, "conv", png_dir=tmp_path, pixels="0..1")
    callback.set_model(model)
    callback.set_params({})
    callback.on_train_begin()
    pictures = []
    for _ in range(3):
        callback.on_epoch_end(0)  # the same epoch, because its number stands in the picture
        pictures += [file.read_bytes() for file in tmp_path.iterdir()]
    assert_same_state(model, before)
    assert len(pictures) == 3
    assert len(set(pictures)) == 1


# The caller's word ------------------------------------------------------------------------------------------------


def test_training_true_is_the_callers_word() -> None:
    model = augmented(Noisy())
    explained, before = vc.attach(model, "conv", method="gradcam"), state(model)
    maps = [explained(X, training=True)["heatmap_conv"].numpy() for _ in range(2)]
    assert np.abs(maps[0] - maps[1]).max() > 0
    assert any((now != then).any() for now, then in zip(state(model), before, strict=True))


@pytest.mark.sweep(cases=1)
@pytest.mark.parametrize("is_functional", [True, False])
def test_a_model_around_it_that_trains_trains_it(is_functional: bool) -> None:
    model = augmented(Noisy())
    explained = vc.attach(model, "conv")
    if is_functional:
        image = keras.Input((16, 16, 3))
        outer = keras.Model(image, explained(image)["predictions"])
    else:

        class Outer(keras.Model):
            def __init__(self) -> None:
                super().__init__()
                self.inner = explained

            def call(self, inputs: Any, training: bool | None = None) -> Any:
                return self.inner(inputs)["predictions"]  # Keras passes on what it knows

        outer = Outer()
    outer.compile("sgd", "sparse_categorical_crossentropy")
    moving_mean = model.layers[-5].moving_mean
    before = np.array(moving_mean)
    outer.predict(X, verbose=0)
    outer.evaluate(X, np.array([0, 1]), verbose=0)
    np.testing.assert_array_equal(moving_mean, before)
    outer.fit(X, np.array([0, 1]), epochs=1, verbose=0)
    assert np.abs(np.array(moving_mean) - before).max() > 0
    assert float(model.layers[0].count) == 1


def test_training_the_explained_model_itself_trains_the_model() -> None:
    model = augmented(Noisy())
    explained = vc.attach(model, "conv")
    explained.compile("sgd", {"predictions": "sparse_categorical_crossentropy"})
    explained.fit(X, {"predictions": np.array([0, 1])}, epochs=2, verbose=0)
    assert float(model.layers[0].count) == 2
    explained.evaluate(X, {"predictions": np.array([0, 1])}, verbose=0)
    assert float(model.layers[0].count) == 2


# Neighbors --------------------------------------------------------------------------------------------------------


class AlwaysTraining(keras.Model):
    """A model whose call defaults to training, as some users write it."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.conv = L.BatchNormalization(), L.Conv2D(3, 3, name="conv")
        self.head = L.Dense(2)

    def call(self, inputs: Any, training: bool = True) -> Any:
        return self.head(tf.reduce_mean(self.conv(self.norm(inputs, training=training)), [1, 2]))


def test_a_model_whose_call_defaults_to_training() -> None:
    model = AlwaysTraining()
    model(X, training=False)
    before = state(model)
    explained = vc.attach(model, "conv", method="gradcam")
    explained(X)
    tf.function(lambda x: explained(x))(X)
    assert_same_state(model, before)


def test_a_model_that_is_built_by_its_first_look() -> None:
    model = keras.Sequential([L.RandomFlip(), L.Conv2D(3, 3, name="conv"), L.BatchNormalization(), L.Flatten()])
    explained = vc.attach(model, "conv")
    explained(X)
    before = state(model)
    first = explained(X)["heatmap_conv"].numpy()
    np.testing.assert_array_equal(explained(X)["heatmap_conv"], first)
    assert_same_state(model, before)


def test_augmentation_inside_a_nested_model() -> None:
    base = augmented(Noisy())
    image = keras.Input((16, 16, 3))
    model = keras.Model(image, L.Dense(2)(base(image)))
    before = state(model)
    explained = vc.attach(model, f"{base.name}/conv", method="layercam")
    first = explained(X)
    for name, value in explained(X).items():
        np.testing.assert_array_equal(value, first[name])
    assert_same_state(model, before)
