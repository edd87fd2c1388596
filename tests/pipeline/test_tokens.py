"""Heatmaps of tokens: every method, against gradients of TensorFlow's own and naive replays; saved and exported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L  # noqa: N812
from support import oracle, oracle_gradient, transformers
from support.other_way import activations_and_gradients, rerun
from support.runtimes import run_litert
from support.transformer_layers import ExtraTokens

import visualcnn_tf as vc
from visualcnn_tf.errors import InvalidArgumentError, InvalidTypeError, LayerNotFoundError, NoGradientError

G = vc.TokenGrid


def batch(model: Any, count: int = 2) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(count, *model.input_shape[1:])).astype(np.float32)


def as_maps(tokens: Any, grid: vc.TokenGrid) -> np.ndarray:
    tokens = np.asarray(tokens)
    return tokens[:, grid.prefix : grid.prefix + grid.count].reshape(len(tokens), *grid.shape, tokens.shape[-1])


# Values --------------------------------------------------------------------------------------------------------------

#: A model, a layer of tokens, and its grid.
TOKENS: dict[str, tuple[Callable[[], Any], str, vc.TokenGrid]] = {
    "class token": (lambda: transformers.vit(size=(8, 20), blocks=1), "block0_norm1", G(2, 5, prefix=1)),
    "registers": (lambda: transformers.vit("mean", size=8, registers=2), "block0_out", G(2, 2)),
    "hybrid": (lambda: transformers.vit(hybrid=True, blocks=1), "block0_norm1", G(4, 4, prefix=1)),
    "DeiT": (lambda: transformers.deit(blocks=1), "block0_norm1", G(4, 4, prefix=2)),
    "Swin": (transformers.swin, "block0", G(8, 8)),
    "MiT": (transformers.mit, "stage0_norm1", G(8, 8)),
    "keras.io": (lambda: transformers.keras_io_vit(blocks=1), "block0_norm1", G(4, 4)),
}


@pytest.mark.sweep(cases=2)
@pytest.mark.parametrize("case", TOKENS)
def test_gradients_of_tokens(case: str) -> None:
    build, path, grid = TOKENS[case]
    model = build()
    x = batch(model)
    methods = ["gradcam", "hirescam", "layercam"]
    explained = vc.attach(model, path, method=methods, size=None, normalize=None)
    assert [tap.tokens for tap in explained.taps] == [grid] * 3
    outputs = explained(x)
    truth = activations_and_gradients(of_logits(model), x, {path: (path, 0, None)})
    activations, gradients = (as_maps(one, grid) for one in truth[path])
    for method in methods:
        want = oracle_gradient.heatmap(activations, gradients, method, normalize=None)
        assert want.max() > 0
        oracle.assert_close(outputs[f"heatmap_{path}_{method}"], want)


def of_logits(model: Any) -> Any:
    """The model without a softmax in a layer of its own."""
    last = model.layers[-1]
    return keras.Model(model.input, last.input) if isinstance(last, L.Activation) else model


@pytest.mark.sweep(cases=1)
@pytest.mark.parametrize("case", ["class token", "registers", "Swin"])
def test_activations_of_tokens(case: str) -> None:
    build, path, grid = TOKENS[case]
    model = build()
    x = batch(model)
    methods = ["deviation", "max", "l2", "eigen"]
    outputs = vc.attach(model, path, method=methods)(x)
    maps = as_maps(keras.Model(model.input, model.get_layer(path).output)(x), grid)
    for method in methods:
        oracle.assert_close(outputs[f"heatmap_{path}_{method}"], oracle.heatmap(maps, method, x.shape[1:3]), 1e-4)


@pytest.mark.sweep(cases=2)
@pytest.mark.parametrize("method", ["reciprocam", "ablationcam", "scorecam"])
@pytest.mark.parametrize("case", ["class token", "registers"])
def test_replays_of_tokens(case: str, method: str) -> None:
    build, path, grid = TOKENS[case]
    model = build()
    x = batch(model)
    explained = vc.attach(model, path, method=method, target=3, size=None, normalize=None)
    tokens = keras.Model(model.input, model.get_layer(path).output)(x).numpy()
    want = []
    for image, row in zip(x, tokens, strict=True):

        def score_of_maps(maps: np.ndarray, image: Any = image, row: Any = row) -> float:
            changed = row.astype(np.float64)  # the class token and registers stay as they are
            changed[grid.prefix : grid.end] = maps.reshape(grid.count, -1)
            return float(rerun(model, image[None], path, 0, changed[None].astype(np.float32))[0, 3])

        def score_of_image(masked: np.ndarray) -> float:
            return float(rerun(model, masked[None].astype(np.float32), "", 0, masked)[0, 3])

        maps = as_maps(row[None], grid)[0].astype(np.float64)
        if method == "scorecam":
            want.append(oracle_gradient.scorecam(maps, score_of_image, image))
        else:
            want.append(getattr(oracle_gradient, method)(maps, score_of_maps))
    got = explained(x)[f"heatmap_{path}"]
    assert np.ptp(want) > 0
    oracle.assert_close(got, np.array(want), 1e-4)


@pytest.mark.slow
def test_a_video_and_a_signal_have_maps_of_their_axes() -> None:
    for build, grid in ((transformers.video_vit, G(2, 2, 2, prefix=1)), (transformers.signal_vit, G(8, prefix=1))):
        model = build(blocks=1)
        x = batch(model)
        (tap,) = (explained := vc.attach(model, "block0_norm1", method="hirescam")).taps
        assert (tap.tokens, tap.reference_input, tap.region) == (grid, 0, None)
        truth = activations_and_gradients(model, x, {"it": ("block0_norm1", 0, None)})
        activations, gradients = (as_maps(one, grid) for one in truth["it"])
        want = oracle_gradient.heatmap(activations, gradients, "hirescam", x.shape[1:-1])
        oracle.assert_close(explained(x)["heatmap_block0_norm1"], want)


def test_an_image_in_a_frame_shows_where_its_tokens_lie() -> None:
    image = keras.Input((20, 24, 3))
    x = L.Reshape((12, 8))(L.Conv2D(8, 4, strides=4)(L.Cropping2D(4)(image)))
    model = keras.Model(image, L.Dense(2)(L.GlobalAveragePooling1D()(L.Dense(8, name="tokens")(x))))
    (tap,) = vc.attach(model, "tokens").taps
    assert tap.tokens == G(3, 4)
    np.testing.assert_allclose(tap.region.box, [(4 / 20, 16 / 20), (4 / 24, 20 / 24)])


def test_each_time_step_has_a_map() -> None:
    inner = transformers.vit(size=8, blocks=1)
    film = keras.Input((2, 8, 8, 3))
    x = L.GlobalAveragePooling1D()(L.TimeDistributed(inner)(film))
    model = keras.Model(film, L.Dense(3, activation="softmax", name="top")(x))
    frames = np.random.default_rng(0).normal(size=(2, 2, 8, 8, 3)).astype(np.float32)
    path = next(tap.path for tap in vc.attach(model, "*block0_norm1").taps)
    explained = vc.attach(model, path, method="deviation", size=None)
    (tap,) = explained.taps
    assert (tap.tokens, tap.time_steps) == (G(2, 2, prefix=1), 2)
    maps = keras.Model(inner.input, inner.get_layer("block0_norm1").output)(frames.reshape(4, 8, 8, 3))
    want = oracle.heatmap(as_maps(maps, tap.tokens), "deviation").reshape(2, 2, 2, 2)
    oracle.assert_close(np.array(explained(frames)[tap.key]).reshape(4, 2, 2), want.reshape(4, 2, 2))


# Saving and exporting ------------------------------------------------------------------------------------------------


def test_a_saved_model_reads_the_same_tokens(tmp_path: Path) -> None:
    model = transformers.vit(size=(8, 12), registers=1, blocks=1)
    x = batch(model)
    explained = vc.attach(model, "block0_norm1", method=["gradcam", "reciprocam"], target="input")
    given = {"image": x, "class_index": np.array([1, 4], np.int32)}
    want = explained(given)
    explained.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.taps == explained.taps
    for key, value in loaded(given).items():
        np.testing.assert_allclose(value, want[key], atol=1e-5)
    vc.export_saved_model(explained, tmp_path / "served", verify=False)
    served = tf.saved_model.load(str(tmp_path / "served")).signatures["serving_default"]
    for key, value in served(**{name: tf.constant(array) for name, array in given.items()}).items():
        np.testing.assert_allclose(value, want[key], atol=1e-4)


def test_a_tflite_file_has_builtin_operations_only(tmp_path: Path) -> None:
    model = transformers.vit(size=(8, 12), blocks=1)
    x = batch(model)
    explained = vc.attach(model, "block0_norm1", method=["gradcam", "hirescam", "deviation"], target=2)
    vc.export_tflite(explained, tmp_path / "model.tflite")
    want = explained(x)
    for key, value in run_litert(tmp_path / "model.tflite", x).items():
        np.testing.assert_allclose(value, want[key], atol=1e-4)


# Grids that are given ------------------------------------------------------------------------------------------------


@keras.saving.register_keras_serializable(package="tests")
class Shuffled(L.Layer):
    """Tokens through a shape that none of their axes fits."""

    def call(self, x: Any) -> Any:
        return tf.reshape(tf.nn.relu(tf.reshape(x, (-1, 8, x.shape[1]))), (-1, *x.shape[1:]))


def unfollowed(prefix: int = 1) -> Any:
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 12, 3), name="image")
    x = L.Reshape((6, 8))(L.Conv2D(8, 4, strides=4, name="patches")(image))
    x = Shuffled(name="opaque")(ExtraTokens(prefix, name="extra")(x))
    x = L.Dense(8, name="tokens")(x)
    x = L.LayerNormalization(name="norm")(L.Add(name="sum")([x, L.MultiHeadAttention(2, 4, name="attention")(x, x)]))
    return keras.Model(image, L.Dense(3, activation="softmax", name="head")(x[:, 0]))


@pytest.mark.sweep(cases=1)
@pytest.mark.parametrize("tokens", [G(2, 3, prefix=1), {"tok*": G(2, 3, prefix=1)}])
def test_a_grid_that_is_given(tokens: Any, tmp_path: Path) -> None:
    model = unfollowed()
    x = batch(model)
    with pytest.raises(vc.NoFeatureMapError, match=r"tokens whose positions in the image can't be found.*TokenGrid"):
        vc.attach(model, "tokens")
    explained = vc.attach(model, "tokens", method="hirescam", tokens=tokens)
    (tap,) = explained.taps
    assert (tap.tokens, tap.reference_input, tap.reference_axes) == (G(2, 3, prefix=1), 0, (1, 2))
    truth = activations_and_gradients(model, x, {"it": ("tokens", 0, None)})
    activations, gradients = (as_maps(one, tap.tokens) for one in truth["it"])
    want = oracle_gradient.heatmap(activations, gradients, "hirescam", (8, 12))
    got = explained(x)
    oracle.assert_close(got["heatmap_tokens"], want)
    explained.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded(x)["heatmap_tokens"], got["heatmap_tokens"], atol=1e-6)


@pytest.mark.parametrize(
    ("tokens", "error", "message"),
    [
        ((2, 3), InvalidTypeError, r"`tokens` must be None, a `TokenGrid`.*Received: \(2, 3\)"),
        ({"tokens": 6}, InvalidTypeError, r"Received: \{'tokens': 6\} of type dict"),
        ({}, InvalidArgumentError, r"`tokens` must give at least one grid"),
        ({"tokns": G(2, 3)}, LayerNotFoundError, r"Received: 'tokns'.*Did you mean 'tokens'"),
        ({"patches": G(2, 3)}, LayerNotFoundError, r"must match layers of tokens \(B, N, C\)"),
        (G(3, 3), InvalidArgumentError, r"TokenGrid\(3, 3\), 9 tokens, for 'tokens' of shape .*which has 7"),
        ({"tokens": G(2, 3, prefix=2)}, InvalidArgumentError, r"8 tokens, for 'tokens'"),
    ],
)
def test_a_grid_that_does_not_fit(tokens: Any, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        vc.attach(unfollowed(), "tokens", tokens=tokens)


def test_a_grid_without_effect_or_against_what_is_found_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match=r"`tokens` must be None unless `layers` select layers of tokens"):
        vc.attach(unfollowed(), "patches", tokens=G(2, 3))
    model = transformers.vit(size=(8, 12))
    assert vc.attach(model, "block0_out", tokens=G(2, 3, prefix=1)).taps[0].tokens == G(2, 3, prefix=1)
    for tokens in (G(3, 2, prefix=1), {"block0_out": G(3, 2, prefix=1)}):
        with pytest.raises(InvalidArgumentError, match=r"3, 2, prefix=1\) for 'block0_out', whose tokens are those of"):
            vc.attach(model, "block0_out", tokens=tokens)


# Presets, and what is refused ----------------------------------------------------------------------------------------

#: A model, and what "last" is without a target and with one.
LAST: dict[str, tuple[Callable[[], Any], str, str]] = {
    "class token": (transformers.vit, "block1_out", "block1_norm1"),
    "mean": (lambda: transformers.vit("mean"), "block1_out", "block1_norm1"),
    "hybrid": (lambda: transformers.vit(hybrid=True), "block1_out", "block1_norm1"),
    "registers": (lambda: transformers.vit(registers=2), "block1_out", "block1_norm1"),
    "DeiT": (transformers.deit, "block1_out", "block1_norm1"),
    "BEiT": (transformers.beit, "block1_out", "block1_norm1"),
    "keras.io": (transformers.keras_io_vit, "block1_out", "block1_norm1"),
    "Swin": (transformers.swin, "block2", "block2/norm1"),
    "MiT": (transformers.mit, "stage1_out", "stage1_norm1"),
    "mixer": (transformers.mixer, "block0_out", "block0_out"),
    "MobileViT": (transformers.mobilevit, "fused", "fused"),
    "signal": (transformers.signal_vit, "block1_out", "block1_norm1"),
    "video": (transformers.video_vit, "block1_out", "block1_norm1"),
}


@pytest.mark.sweep(cases=2)
@pytest.mark.parametrize("case", LAST)
def test_the_last_tokens(case: str) -> None:
    build, plain, of_target = LAST[case]
    model = build()
    assert [tap.path for tap in vc.attach(model, "last").taps] == [plain]
    assert [tap.path for tap in vc.attach(model, "last", method=["deviation", "gradcam"]).taps] == [of_target] * 2


@pytest.mark.slow
def test_the_stages_of_hierarchical_transformers() -> None:
    for build, stages in (
        (transformers.swin, ["block1", "block2/norm1"]),
        (transformers.mit, ["stage0_out", "stage1_norm1"]),
        (lambda: transformers.vit(hybrid=True), ["stem", "block1_norm1"]),
        (transformers.vit, ["block1_norm1"]),
    ):
        assert [tap.path for tap in vc.attach(build(), "stages", method="gradcam").taps] == stages


@pytest.mark.sweep(cases=1)
@pytest.mark.parametrize("path", ["block1_attention", "block1_attended", "block1_mlp1", "block1_out", "norm"])
@pytest.mark.parametrize("method", ["gradcam", "reciprocam", "ablationcam", "scorecam"])
def test_tokens_that_reach_nothing_are_refused(path: str, method: str) -> None:
    model = transformers.vit()
    with pytest.raises(NoGradientError, match=rf"Received: '{path}', whose tokens of the image reach nothing"):
        vc.attach(model, path, method=method)
    assert vc.attach(model, path).taps[0].tokens == G(4, 4, prefix=1)
    assert vc.attach(transformers.vit("mean"), path, method=method)


def test_taps_tell_their_tokens() -> None:
    explained = vc.attach(transformers.vit(size=(8, 20), registers=3), "last", method="gradcam")
    (tap,) = explained.taps
    assert repr(tap).endswith("of 'block1_norm1' 2×5×8 (tokens, 1 before, 3 behind)>")
    lines: list[str] = []
    explained.summary(print_fn=lines.append)
    assert "block1_norm1 (2×5×8 (tokens, 1 before, 3 behind))" in lines[-1]
