"""HeatmapCallback: what it writes, and that the training does not notice."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import visualcnn_tf as vc
from visualcnn_tf.errors import InvalidArgumentError, MissingExtraError, NoFeatureMapError, PathNotWritableError
from visualcnn_tf.training import callback as callback_module

layers = keras.layers
Callback = partial(vc.HeatmapCallback, pixels="0..1")
RNG = np.random.default_rng(0)
X = RNG.random((16, 12, 10, 3)).astype(np.float32)
Y = RNG.integers(0, 3, 16)
HEAD = "heatmap_conv2"


def parts() -> list[keras.Layer]:
    """Everything that has a state or draws random numbers."""
    return [
        layers.RandomFlip(name="flip"),
        layers.Conv2D(4, 3, padding="same", activation="relu", name="conv1"),
        layers.BatchNormalization(name="norm"),
        layers.Dropout(0.3, name="drop"),
        layers.Conv2D(5, 3, activation="relu", name="conv2"),
        layers.GlobalAveragePooling2D(name="average"),
        layers.Dense(3, activation="softmax", name="head"),
    ]


def functional() -> keras.Model:
    inputs = x = keras.Input(X.shape[1:])
    for layer in parts():
        x = layer(x)
    return keras.Model(inputs, x)


class Subclassed(keras.Model):
    """Not built before it is called."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = parts()

    def call(self, x: Any, training: bool = False) -> Any:
        for layer in self.parts:
            x = layer(x, training=training) if layer.name in ("flip", "norm", "drop") else layer(x)
        return x


def plain() -> keras.Model:
    """What sees the picture and nothing else, for what has nothing to do with the training."""
    kept = [layer for layer in parts() if layer.name in ("conv1", "conv2", "average", "head")]
    return keras.Sequential([keras.Input(X.shape[1:]), *kept])


RANDOM = {"functional": functional, "sequential": lambda: keras.Sequential(parts()), "subclassed": Subclassed}


def fitted(build: Any = plain, callbacks: Any = (), epochs: int = 2, **options: Any) -> tuple[Any, Any]:
    """A model trained on seeds, and what ``fit`` returned."""
    keras.utils.set_random_seed(7)
    model = build()
    # Eagerly where it is for the pictures alone: to trace a step would take longer than to run it.
    model.compile("adam", "sparse_categorical_crossentropy", jit_compile=False, run_eagerly=build is plain)
    return model, model.fit(
        X, Y, epochs=epochs, callbacks=list(callbacks), **{"verbose": 0, "batch_size": 8, **options}
    )


def events(folder: Path) -> dict[tuple[str, int], list[np.ndarray]]:
    """Tag and step of each summary -> its pictures."""
    [file] = folder.glob("events.out.tfevents.*")
    found = {}
    for record in tf.data.TFRecordDataset(str(file)):
        event = tf.compat.v1.Event.FromString(record.numpy())
        for value in event.summary.value:
            assert value.metadata.plugin_data.plugin_name == "images"
            width, height, *encoded = value.tensor.string_val
            pictures = [tf.io.decode_png(content).numpy() for content in encoded]
            assert all(picture.shape == (int(height), int(width), 3) for picture in pictures)
            found[value.tag, event.step] = pictures
    return found


def read(path: Path) -> np.ndarray:
    return tf.io.decode_png(path.read_bytes(), channels=3).numpy()


def position_of(picture: np.ndarray, strip: np.ndarray) -> tuple[int, int]:
    """Where a picture is in another, pixel by pixel."""
    height, width, _ = picture.shape
    blocks = np.lib.stride_tricks.sliding_window_view(strip, (4, 4), axis=(0, 1))
    corner = np.moveaxis(picture[:4, :4], -1, 0)
    for top, left in np.argwhere((blocks == corner).all(axis=(2, 3, 4))):
        if np.array_equal(strip[top : top + height, left : left + width], picture):
            return int(top), int(left)
    raise AssertionError("the picture is not there")


@pytest.fixture
def texts(monkeypatch: Any) -> list[tuple[str, list[str]]]:
    """Heading and captions of each PNG file that is drawn."""
    drawn: list[tuple[str, list[str]]] = []
    original = callback_module.draw_strip

    def record(tiles: Any, heading: str) -> bytes:
        drawn.append((heading, [tile.title for tile in tiles]))
        return original(tiles, heading)

    monkeypatch.setattr(callback_module, "draw_strip", record)
    return drawn


# the training --------------------------------------------------------------------------------------------


@pytest.mark.sweep(cases=1)
@pytest.mark.parametrize("kind", RANDOM)
def test_the_training_is_the_same(kind: str, tmp_path: Path) -> None:
    alone, history = fitted(RANDOM[kind], validation_split=0.25)
    callback = Callback(X, ["conv1", "conv2"], log_dir=tmp_path / "logs", png_dir=tmp_path / "png")
    watched, watched_history = fitted(RANDOM[kind], [callback], validation_split=0.25)
    assert watched_history.history == history.history
    states = [model.weights + model.optimizer.variables for model in (alone, watched)]
    for one, other in zip(*states, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy(), err_msg=one.path)
    assert len(list((tmp_path / "png").iterdir())) == 2 * 2
    assert len(events(tmp_path / "logs")) == 2 * 2
    # The comparison would see one call more that has a state.
    watched(X[:1], training=True)
    assert any(not np.array_equal(one.numpy(), other.numpy()) for one, other in zip(*states, strict=True))


def test_the_model_is_saved_as_before(tmp_path: Path) -> None:
    checkpoint = keras.callbacks.ModelCheckpoint(tmp_path / "model.keras")
    model, _ = fitted(callbacks=[Callback(X, png_dir=tmp_path / "png"), checkpoint], epochs=1)
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), model.predict(X, verbose=0))


# what is written -----------------------------------------------------------------------------------------


def test_pictures_are_the_overlays_of_the_weights_of_that_epoch(tmp_path: Path) -> None:
    look = {"alpha": 0.7, "colormap": "viridis", "weighted": True}
    callback = Callback(X, max_images=2, log_dir=tmp_path, png_dir=tmp_path / "png", **look)
    model, _ = fitted(callbacks=[callback])
    factor = 10  # 12×10 pixels, enlarged to at least 112
    explained = vc.attach(model, "last", method="gradcam", size=(12 * factor, 10 * factor))
    images = X[:2].repeat(factor, axis=1).repeat(factor, axis=2)
    expected = vc.overlay(images, explained(X[:2], training=False)[HEAD], **look).numpy()
    written = events(tmp_path)
    assert list(written) == [(HEAD, 1), (HEAD, 2)]
    np.testing.assert_array_equal(written[HEAD, 2], expected)
    assert not np.array_equal(written[HEAD, 1], expected)
    for epoch in (1, 2):  # counted alike in both
        strip = read(tmp_path / "png" / f"{HEAD}_epoch_{epoch:04d}.png")
        lefts = [position_of(picture, strip)[1] for picture in written[HEAD, epoch]]
        assert lefts[1] - lefts[0] >= 10 * factor + 8  # there is a gap


def test_every_and_max_images(tmp_path: Path) -> None:
    fitted(callbacks=[Callback(X, "last", "gradcam", tmp_path, every=2)], epochs=5)
    written = events(tmp_path)
    assert list(written) == [(HEAD, 2), (HEAD, 4)]
    assert [len(pictures) for pictures in written.values()] == [8, 8]


def test_several_layers_methods_and_classes(tmp_path: Path) -> None:
    fitted(callbacks=[Callback(X[:1], "conv", "layercam", target=[0, 2], png_dir=tmp_path)], epochs=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"heatmap_conv{layer}_class{target}_epoch_0001.png" for layer in (1, 2) for target in (0, 2)
    ]


def test_images_of_bytes(tmp_path: Path) -> None:
    images = np.uint8(255 * X[:3])
    fitted(callbacks=[vc.HeatmapCallback(images, "conv1", "mean", alpha=0, png_dir=tmp_path)], epochs=1)
    strip = read(next(tmp_path.iterdir()))
    for image in images:
        position_of(image.repeat(10, 0).repeat(10, 1), strip)


def test_pictures_tell_the_epoch_and_the_classes(tmp_path: Path, texts: Any) -> None:
    names = ["cat", "dog", "newt"]
    options = {"method": ["deviation", "gradcam"], "target": "newt", "class_names": names, "png_dir": tmp_path}
    model, _ = fitted(callbacks=[Callback(X[:3], "last", **options)])
    assert [heading for heading, _ in texts] == [
        f"conv2, {method}, epoch {epoch}" for epoch in (1, 2) for method in ("deviation", "gradcam")
    ]
    scores = model.predict(X[:3], verbose=0)
    predicted = [f"{names[row.argmax()]} {row.max():.1%}" for row in scores]
    assert texts[-2][1] == predicted
    assert 2 not in scores.argmax(axis=1)
    assert texts[-1][1] == [f"{text}\nfor newt {row[2]:.1%}" for text, row in zip(predicted, scores, strict=True)]


def test_pictures_of_the_predicted_class_and_of_no_classes(tmp_path: Path, texts: Any) -> None:
    fitted(callbacks=[Callback(X[:2], png_dir=tmp_path)], epochs=1)
    for text in texts[0][1]:
        predicted, explained = text.split("\n")
        assert explained == f"for {predicted.rsplit(maxsplit=1)[0]}"


def test_several_classes_by_name_and_index(tmp_path: Path) -> None:
    options = {"target": ["newt", 0], "class_names": ["cat", "dog", "newt"], "png_dir": tmp_path}
    fitted(callbacks=[Callback(X[:1], **options)], epochs=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"heatmap_conv2_class{index}_epoch_0001.png" for index in (0, 2)
    ]


def test_it_attaches_once_and_goes_on_in_a_second_fit(tmp_path: Path, monkeypatch: Any) -> None:
    attached = []
    original = callback_module.attach
    monkeypatch.setattr(callback_module, "attach", lambda *a, **k: attached.append(1) or original(*a, **k))
    callback = Callback(X[:1], png_dir=tmp_path)
    model, _ = fitted(callbacks=[callback], epochs=2)
    model.fit(X, Y, verbose=0, initial_epoch=2, epochs=3, callbacks=[callback])
    assert [path.name[-8:] for path in sorted(tmp_path.iterdir())] == ["0001.png", "0002.png", "0003.png"]
    fitted(callbacks=[callback], epochs=1)
    assert len(attached) == 2  # one for each model


# the cost ------------------------------------------------------------------------------------------------


def test_the_cost_is_told(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    clock = iter(range(100))
    monkeypatch.setattr("visualcnn_tf.training.callback.time.perf_counter", lambda: float(next(clock)))
    callback = Callback(X[:1], png_dir=tmp_path, every=2)
    _, history = fitted(callbacks=[callback], epochs=4, verbose=2, validation_split=0.25)
    assert callback.seconds == 3  # one to attach, one for each of two epochs
    assert "Heatmaps of 2 epochs took 3.0 s, 50% of the training.\n" in capsys.readouterr().out
    assert set(history.history) == {"loss", "val_loss"}
    fitted(callbacks=[callback], epochs=1)
    assert callback.seconds == 1  # another model
    assert capsys.readouterr().out == ""


# what goes wrong -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"png_dir": None}, "`log_dir` must be given, or png_dir"),
        ({"every": 0}, "`every` must be a whole number"),
        ({"max_images": 1.5}, "`max_images` must be a whole number"),
        ({"target": "input"}, "`target` must be what all images share"),
        ({"alpha": 2}, "`alpha` must be a number from 0"),
        ({"colormap": "tubro"}, "Did you mean 'turbo'"),
        ({"pixels": "0..2"}, "`pixels` must be one of"),
        ({"pixels": tf.sqrt}, "`pixels` must be given by name: the images are drawn"),
        ({"images": X[..., :1], "pixels": "caffe"}, "for gray images"),
        ({"images": 255 * X}, "`images` must be of values from 0 to 1. Received: .* to 2.*attach with `pixels="),
        ({"target": "cta", "class_names": ["cat", "dog", "newt"]}, "`target` must be the name of a class.*mean .cat."),
        ({"target": "cat"}, "`target` must be .predicted."),
        ({"images": X[0]}, r"`images` must be \(N, H, W, 1\)"),
        ({"images": X[:0]}, r"`images` must be \(N, H, W, 1\)"),
        ({"images": X[..., :2]}, r"`images` must be \(N, H, W, 1\)"),
    ],
)
def test_bad_options_are_refused_before_the_training(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        Callback(**{"images": X, "png_dir": "pictures", **options})


@pytest.mark.parametrize("build", [plain, Subclassed])
def test_images_that_nobody_knows_the_values_of_are_refused(build: Any, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="`pixels` must be given for images of floats and a model that"):
        fitted(build, [vc.HeatmapCallback(X[:1], png_dir=tmp_path)], epochs=1)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("build", [plain, Subclassed])
def test_too_few_class_names_are_refused(build: Any, tmp_path: Path) -> None:
    callback = Callback(X[:1], class_names=["cat", "dog"], png_dir=tmp_path)
    with pytest.raises(InvalidArgumentError, match=r"`class_names` must be one for each class \(3\)"):
        fitted(build, [callback], epochs=1)
    assert not list(tmp_path.iterdir())


def test_png_files_need_matplotlib_and_tensorboard_does_not(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"visualcnn-tf\[plot\]"):
        Callback(X[:1], png_dir=tmp_path)
    fitted(callbacks=[Callback(X[:1], log_dir=tmp_path)], epochs=1)
    assert list(events(tmp_path)) == [(HEAD, 1)]


def test_a_model_without_maps_is_refused_at_the_beginning(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    model.compile("sgd", "mse")
    with pytest.raises(NoFeatureMapError):
        model.fit(X[:, 0, 0, :1].repeat(4, 1), X[:, 0, 0, :2], verbose=0, callbacks=[Callback(X, png_dir=tmp_path)])


@pytest.mark.parametrize("kind", ["png_dir", "log_dir"])
def test_a_folder_that_cannot_be_written_is_named(kind: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(PathNotWritableError, match=r"file.*inside"):
        fitted(callbacks=[Callback(X, **{kind: tmp_path / "file" / "inside"})], epochs=1)
