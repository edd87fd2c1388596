"""Which of a row of tokens stand for which position: found in the trace, for each family of transformers."""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatch
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L  # noqa: N812
from keras import ops
from support import transformers
from support.transformer_layers import ExtraTokens

import visualcnn_tf as vc
from visualcnn_tf.errors import InvalidArgumentError, NoFeatureMapError
from visualcnn_tf.introspect.find_inputs import model_inputs
from visualcnn_tf.introspect.select import Selector
from visualcnn_tf.introspect.tokens.describe import describe_sizes
from visualcnn_tf.introspect.tokens.reach import PositionReach
from visualcnn_tf.introspect.tokens.read import maps_of_tokens, tokens_of_maps

G = vc.TokenGrid


def grids(model: Any) -> dict[str, vc.TokenGrid]:
    calls = Selector(model, model_inputs(model)).tappable()
    return {call.path: call.tokens for call in calls if call.tokens is not None}


# The class -----------------------------------------------------------------------------------------------------------


def test_a_grid_counts_its_tokens() -> None:
    grid = G(2, 3, prefix=4)
    assert (grid.count, grid.end, grid.suffix_of(12), grid.suffix_of(9)) == (6, 10, 2, -1)
    assert grid == G(2, 3, prefix=4) != G(3, 2, prefix=4)
    assert (repr(G(5)), repr(grid)) == ("TokenGrid(5)", "TokenGrid(2, 3, prefix=4)")
    assert keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(grid)) == grid
    assert describe_sizes((None, 12, 8), grid) == "2×3×8 (tokens, 4 before, 2 behind)"
    assert describe_sizes((None, None, 8), G(2, 3)) == "2×3×8 (tokens)"


@pytest.mark.parametrize("arguments", [(), (0, 3), (2.5, 2), (True, 2), (1, 2, 3, 4), ("2", 3)])
def test_sizes_that_are_no_grid(arguments: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"`shape` must be one to three numbers of positions.*Received: \("):
        G(*arguments)


@pytest.mark.parametrize("prefix", [-1, 1.0, True, False, None])
def test_a_prefix_that_is_no_number_of_tokens(prefix: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"`prefix` must be the number of tokens.*Received: "):
        G(2, 2, prefix=prefix)


@pytest.mark.parametrize("grid", [G(2, 3), G(2, 3, prefix=2), G(6), G(1, 2, 3, prefix=1)])
@pytest.mark.parametrize("suffix", [0, 3])
def test_tokens_become_maps_and_maps_tokens(grid: vc.TokenGrid, suffix: int) -> None:
    tokens = np.random.default_rng(0).normal(size=(2, grid.end + suffix, 4)).astype(np.float32)
    maps = maps_of_tokens(tf.constant(tokens), grid).numpy()
    assert maps.shape == (2, *grid.shape, 4)
    for number, position in enumerate(np.ndindex(*grid.shape)):
        np.testing.assert_array_equal(maps[(slice(None), *position)], tokens[:, grid.prefix + number])
    changed = tokens_of_maps(tf.constant(-maps), tf.constant(tokens), grid).numpy()
    signs = np.ones(tokens.shape[1])
    signs[grid.prefix : grid.end] = -1
    np.testing.assert_array_equal(changed, tokens * signs[None, :, None])


# Grids that are found ------------------------------------------------------------------------------------------------

VIT = ("tokens", "block0_norm1", "block0_attention", "block0_mlp1", "block1_mlp2", "block1_out", "norm")
#: A model, the grid of some of its layers, and paths of layers with a grid of another size.
FOUND: dict[str, tuple[Callable[[], Any], vc.TokenGrid, tuple[str, ...]]] = {
    "class token": (transformers.vit, G(4, 4, prefix=1), VIT),
    "mean": (lambda: transformers.vit("mean"), G(4, 4), VIT),
    "not square": (lambda: transformers.vit(size=(8, 20)), G(2, 5, prefix=1), VIT),
    "registers": (lambda: transformers.vit(size=(20, 8), registers=3), G(5, 2, prefix=1), VIT),
    "hybrid": (lambda: transformers.vit(hybrid=True), G(4, 4, prefix=1), VIT),
    "DeiT": (lambda: transformers.deit((12, 16)), G(3, 4, prefix=2), VIT),
    "BEiT": (transformers.beit, G(4, 4, prefix=1), ("tokens", "block0_norm1", "block0_attention/qkv", "block1_out")),
    "keras.io": (lambda: transformers.keras_io_vit((16, 8)), G(4, 2), ("cut", "patches", *VIT)),
    "mixer": (transformers.mixer, G(4, 4), ("block0_norm1", "block0_attended", "block0_mlp1", "norm")),
    "signal": (transformers.signal_vit, G(8, prefix=1), ("tokens", "positions", "block0_mlp1", "block1_out")),
    "video": (transformers.video_vit, G(2, 2, 2, prefix=1), ("tokens", "positions", "block0_mlp1", "block1_out")),
    "Swin": (lambda: transformers.swin((16, 24)), G(8, 12), ("block0", "block1", "block1/norm1", "block1/mlp1")),
    "Swin, merged": (lambda: transformers.swin((16, 24)), G(4, 6), ("block2", "block2/norm1", "norm")),
    "MiT": (lambda: transformers.mit((16, 24)), G(8, 12), ("stage0_norm1", "stage0_attention", "stage0_mlp2")),
    "MiT, keys": (lambda: transformers.mit((16, 24)), G(4, 6), ("stage0_attention/key", "stage1_out", "stage1_mlp2")),
}


@pytest.mark.sweep(cases=6)
@pytest.mark.parametrize("case", FOUND)
def test_grids_of_transformers(case: str) -> None:
    build, grid, paths = FOUND[case]
    found = grids(build())
    assert {path: found.get(path) for path in paths} == dict.fromkeys(paths, grid)


def test_each_token_stands_for_its_patch() -> None:
    # A bright patch changes the token of its position alone, before any attention.
    model = transformers.vit(size=(8, 20), registers=2)
    tokens = keras.Model(model.input, model.get_layer("tokens").output)
    grid = grids(model)["tokens"]
    dark = np.zeros((1, 8, 20, 3), np.float32)
    for row, column in np.ndindex(2, 5):
        bright = dark.copy()
        bright[:, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4] = 1
        change = abs(maps_of_tokens(tokens(bright) - tokens(dark), grid)).numpy().sum(-1)[0]
        assert np.argwhere(change > 1e-6).tolist() == [[row, column]]


def test_windows_and_patches_in_the_batch_have_no_grid() -> None:
    found = grids(transformers.swin())
    assert not [path for path in found if path.startswith(("block0/attention", "block1/attention"))]
    assert not [path for path in grids(transformers.mobilevit()) if path.startswith("block0")]


def test_a_convolution_behind_padding_has_no_tokens() -> None:
    signal = keras.Input((16, 2))
    x = L.Conv1D(4, 3, name="conv")(L.ZeroPadding1D(2, name="padded")(signal))
    assert grids(keras.Model(signal, L.Dense(2)(L.GlobalAveragePooling1D()(x)))) == {}


def test_tokens_in_another_order_are_warned_of() -> None:
    image = keras.Input((16, 16, 3))
    x = L.Reshape((16, 8))(L.Conv2D(8, 4, strides=4)(image))
    x = L.Dense(8, name="turned")(x[:, ::-1])
    model = keras.Model(image, L.Dense(2)(L.GlobalAveragePooling1D()(x)))
    with pytest.warns(vc.PositionsUnknownWarning, match="'turned'"):
        vc.attach(model, "turned")


def compared(axes: int) -> Any:
    """Each token times each other one, of an image or a signal."""
    given = keras.Input((16, 16, 3)[2 - axes :])
    x = L.Reshape((-1, 8))((L.Conv2D if axes == 2 else L.Conv1D)(8, 4, strides=4)(given))
    weights = L.Softmax(name="compared")(ops.matmul(x, ops.swapaxes(x, 1, 2)))
    return keras.Model(given, L.Dense(2)(L.GlobalAveragePooling1D()(ops.matmul(weights, x))))


@pytest.mark.sweep(cases=3)
@pytest.mark.parametrize(
    ("build", "path"),
    [
        (transformers.beit, "block0_attention/weights"),
        (lambda: transformers.vit("mean"), "block0_attention/query"),
        (lambda: transformers.mit((16, 24)), "stage0_attention/dropout"),
        (lambda: transformers.mit((16, 16)), "stage1_attention/dropout"),
        (transformers.swin, "block1/attention/weights"),
        (lambda: compared(2), "compared"),
        (lambda: compared(1), "compared"),
    ],
)
def test_tensors_by_heads_are_no_maps(build: Callable[[], Any], path: str) -> None:
    model = build()
    for size in ("input", None, (8, 8)):
        with pytest.raises(NoFeatureMapError, match=r"its axes are those of tokens and heads.*name a layer of tokens"):
            vc.attach(model, path, size=size)


def test_positions_added_to_a_grid_of_another_size_keep_it() -> None:
    class Resized(L.Layer):
        """Learned positions of a 2×2 grid, enlarged to that of the tokens."""

        def build(self, shape: Any) -> None:
            self.table = self.add_weight(shape=(1, 2, 2, shape[-1]), name="table")

        def call(self, x: Any) -> Any:
            grid = ops.image.resize(self.table, (4, 4), interpolation="bicubic")
            return x + ops.concatenate([ops.zeros((1, 1, x.shape[-1])), ops.reshape(grid, (1, 16, x.shape[-1]))], 1)

    image = keras.Input((16, 16, 3))
    x = ExtraTokens(1)(L.Reshape((16, 8))(L.Conv2D(8, 4, strides=4)(image)))
    model = keras.Model(image, L.Dense(2)(Resized(name="placed")(x)[:, 0]))
    assert grids(model)["placed"] == G(4, 4, prefix=1)


# Whether positions reach an output -----------------------------------------------------------------------------------


def reaching(model: Any) -> set[str]:
    """The layers of tokens whose positions reach the output, by an image that changes in one token alone."""
    selector = Selector(model, model_inputs(model))
    [output] = selector.trace.output_tensors
    calls = [call for call in selector.tappable() if call.tokens is not None]
    return {call.path for call in calls if PositionReach(call.tensor, call.tokens).depends(output)}


def measured(model: Any) -> set[str]:
    """The same by the gradients of a run on random values."""
    found = set()
    layers = {layer.name for layer in model.layers}
    known = {path: grid for path, grid in grids(model).items() if path in layers}
    both = keras.Model(model.input, [[model.get_layer(path).output for path in known], model.output])

    @tf.function
    def gradients(x: Any) -> Any:
        tokens, output = both(x)
        return tf.gradients(tf.math.log(output[:, 0]), tokens)

    x = np.random.default_rng(0).normal(size=(2, *model.input_shape[1:])).astype(np.float32)
    for (path, grid), gradient in zip(known.items(), gradients(x), strict=True):
        if abs(maps_of_tokens(gradient, grid)).numpy().max() > 0:
            found.add(path)
    return found


@pytest.mark.sweep(cases=1)
@pytest.mark.parametrize(
    "build",
    [transformers.vit, lambda: transformers.vit("mean", registers=1), transformers.deit, transformers.signal_vit],
    ids=["class token", "mean", "DeiT", "signal"],
)
def test_positions_reach_the_output_where_gradients_do(build: Callable[[], Any]) -> None:
    model = build()
    layers = {layer.name for layer in model.layers}
    assert {path for path in reaching(model) if path in layers} == measured(model)


@pytest.mark.sweep(cases=6)
@pytest.mark.parametrize(
    ("read", "reaches"),
    [
        (lambda x: x[:, 0], False),
        (lambda x: x[:, 1], True),
        (lambda x: x[:, -1], False),
        (lambda x: x[:, -2], True),
        (lambda x: tf.gather(x, 0, axis=1), False),
        (lambda x: tf.gather(x, 3, axis=1), True),
        (lambda x: ops.take(x, 0, axis=1), True),  # by an index that is computed: it counts as dependent
        (lambda x: ops.squeeze(x[:, :1], 1), False),
        (lambda x: ops.squeeze(x[:, 4:5], 1), True),
        (lambda x: ops.split(x, [1, 17], axis=1)[0][:, 0], False),
        (lambda x: ops.mean(ops.split(x, [1, 17], axis=1)[1], 1), True),
        (lambda x: ops.mean(x[:, 17:], 1), False),
        (lambda x: ops.max(x, 1), True),
        (lambda x: ops.reshape(x, (-1, 18 * 8)), True),
        (lambda x: ops.matmul(ops.ones((1, 18)), x)[:, 0], True),
        (lambda x: ops.softmax(x, axis=1)[:, 0], True),
        (lambda x: ops.cumsum(x, axis=1)[:, 0], True),  # not followed: it counts as dependent
    ],
)
def test_what_is_read_of_the_tokens(read: Callable[[Any], Any], reaches: bool) -> None:
    image = keras.Input((16, 16, 3))
    x = ExtraTokens(1, 1, name="tokens")(L.Reshape((16, 8))(L.Conv2D(8, 4, strides=4)(image)))

    class Read(L.Layer):
        def call(self, x: Any) -> Any:
            return read(x)

    model = keras.Model(image, L.Dense(2)(Read()(L.Dense(8)(x))))
    assert ("tokens" in reaching(model)) == reaches


# keras_hub -----------------------------------------------------------------------------------------------------------

_SMALL = {"num_layers": 1, "num_heads": 2, "hidden_dim": 8, "patch_size": 4}
_ENCODER = {**_SMALL, "intermediate_dim": 16}
_MIT = {"layerwise_depths": [1, 1], "num_layers": 2, "layerwise_num_heads": [1, 2], "layerwise_sr_ratios": [4, 2]}
_SWIN = {"embed_dim": 8, "depths": [2, 1], "num_heads": [2, 2], "window_size": 4}
#: A backbone, its arguments, the size of its images, all grids in it, and "last" with a target.
HUB: dict[str, tuple[dict[str, Any], tuple[int, int], set[vc.TokenGrid], str]] = {
    "ViTBackbone": ({**_SMALL, "mlp_dim": 16}, (16, 8), {G(4, 2, prefix=1)}, "ln_1"),
    "DeiTBackbone": (_ENCODER, (16, 16), {G(4, 4, prefix=2)}, "ln_1"),
    "DINOV2Backbone": (
        {**_ENCODER, "num_register_tokens": 4, "position_embedding_shape": (16, 16, 3)},
        (16, 16),
        {G(4, 4), G(4, 4, prefix=5)},
        "norm1",
    ),
    "DINOV3Backbone": ({**_ENCODER, "num_register_tokens": 4}, (16, 16), {G(4, 4), G(4, 4, prefix=5)}, "norm1"),
    "SwinTransformerBackbone": (_SWIN, (32, 48), {G(8, 12), G(4, 6)}, "norm1"),
    "MiTBackbone": (
        {
            **_MIT,
            "max_drop_path_rate": 0.1,
            "layerwise_patch_sizes": [7, 3],
            "layerwise_strides": [4, 2],
            "hidden_dims": [8, 16],
        },
        (64, 64),
        {G(16, 16), G(8, 8), G(4, 4)},
        "layer_normalization*",  # named anew in each process
    ),
}


@pytest.mark.filterwarnings("ignore:Layer 'attn'.*mask:UserWarning")
@pytest.mark.sweep(cases=2)
@pytest.mark.parametrize("name", HUB)
def test_backbones_of_keras_hub(name: str) -> None:
    config, size, grids_inside, last = HUB[name]
    hub = pytest.importorskip("keras_hub").models
    body = getattr(hub, name)(image_shape=(*size, 3), **config)
    image = keras.Input((*size, 3))
    x = body(dict.fromkeys(body.input, image) if isinstance(body.input, dict) else image)
    token = x[:, 0] if len(x.shape) == 3 else ops.mean(x, (1, 2))
    model = keras.Model(image, L.Dense(3, activation="softmax")(token))
    assert set(grids(model).values()) == grids_inside
    (tap,) = vc.attach(model, "last", method="gradcam").taps
    assert fnmatch(tap.path.split("/")[-1], last)
    images = np.random.default_rng(0).normal(size=(2, *size, 3)).astype(np.float32)
    assert np.ptp(vc.attach(model, "last", method="gradcam")(images)[tap.key]) == 1
