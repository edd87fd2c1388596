"""Tiny transformers with random weights: of each family that differs in how its tokens stand for the image.

All layers that tests tap have fixed names: ``patches``, ``tokens``, ``block0_norm1``, ``block0_attention``,
``block0_attended``, ``block0_norm2``, ``block0_out``, …, ``norm``, ``head``.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers as L  # noqa: N812
from keras import ops

from support.transformer_layers import (
    ExtraTokens,
    MixedAttention,
    Patches,
    Positions,
    RelativeAttention,
    SwinBlock,
)

CLASSES = 5


def vit(
    pooling: str = "token",
    size: int | tuple[int, int] = 16,
    patch: int = 4,
    width: int = 8,
    blocks: int = 2,
    heads: int = 2,
    registers: int = 0,
    hybrid: bool = False,
    activation: str = "softmax",
) -> Any:
    """A vision transformer (Dosovitskiy et al. 2020), classified by its class token or by the mean over tokens.

    Registers stand behind the patch tokens. Hybrid: convolutions come before the patches.
    """
    image, x = _image(size)
    if hybrid:
        x = L.Conv2D(width, 3, strides=2, padding="same", activation="relu", name="stem")(x)
        patch //= 2
    prefix = 1 if pooling == "token" else 0
    x = _embedded(x, patch, width, prefix, registers)
    count = x.shape[1] - prefix - registers
    x = L.LayerNormalization(name="norm")(_encoded(x, blocks, width, heads))
    x = x[:, 0] if pooling == "token" else ops.mean(x[:, :count], axis=1)
    return _model(image, _head(x, activation), f"vit_{pooling}")


def deit(size: int | tuple[int, int] = 16, width: int = 8, blocks: int = 2) -> Any:
    """DeiT (Touvron et al. 2021): a class token and a distillation token, whose logits are averaged."""
    image, x = _image(size)
    x = L.LayerNormalization(name="norm")(_encoded(_embedded(x, 4, width, 2), blocks, width, 2))
    logits = [L.Dense(CLASSES, name=name)(x[:, index]) for index, name in enumerate(("head", "distilled_head"))]
    return _model(image, L.Activation("softmax", name="probabilities")(L.Average(name="logits")(logits)), "deit")


def beit(size: int | tuple[int, int] = 16, width: int = 8, blocks: int = 2) -> Any:
    """Relative positions as biases of the attention, and the mean over the patch tokens (as BEiT, Bao et al. 2021)."""
    image, x = _image(size)
    x = ExtraTokens(1, name="tokens")(_tokens(L.Conv2D(width, 4, strides=4, name="patches")(x)))
    for block in range(blocks):
        x = _block(x, f"block{block}", width, RelativeAttention(2, name=f"block{block}_attention"))
    return _model(image, _head(L.LayerNormalization(name="norm")(ops.mean(x[:, 1:], axis=1))), "beit")


def keras_io_vit(size: int | tuple[int, int] = 16, width: int = 8, blocks: int = 2, pooling: str = "flatten") -> Any:
    """The vision transformer of keras.io: ``extract_patches``, a dense layer, and all tokens flattened."""
    image, x = _image(size)
    x = Positions(name="tokens")(L.Dense(width, name="patches")(Patches(4, name="cut")(x)))
    x = L.LayerNormalization(name="norm")(_encoded(x, blocks, width, 2))
    x = L.Flatten(name="flatten")(x) if pooling == "flatten" else L.GlobalAveragePooling1D(name="pool")(x)
    return _model(image, _head(x), "keras_io_vit")


def swin(size: int | tuple[int, int] = 16, width: int = 8, window: int = 4) -> Any:
    """Swin (Liu et al. 2021): windows, shifted windows, merged patches, on tokens ``(B, h·w, C)``."""
    image, x = _image(size)
    maps = L.Conv2D(width, 2, strides=2, name="patches")(x)
    grid, x = maps.shape[1:3], _tokens(maps)
    x = SwinBlock(grid, window, 0, name="block0")(x)
    x = SwinBlock(grid, window, window // 2, name="block1")(x)
    maps = ops.reshape(x, (-1, *grid, width))
    parts = [maps[:, row::2, column::2] for row in (0, 1) for column in (0, 1)]
    x = L.Dense(2 * width, name="merged")(L.LayerNormalization(name="merging_norm")(ops.concatenate(parts, -1)))
    x = ops.reshape(x, (-1, x.shape[1] * x.shape[2], 2 * width))
    x = SwinBlock((grid[0] // 2, grid[1] // 2), min(window, *(n // 2 for n in grid)), 0, name="block2")(x)
    x = L.LayerNormalization(name="norm")(x)
    return _model(image, _head(L.GlobalAveragePooling1D(name="pool")(x)), "swin")


def mit(size: int | tuple[int, int] = 16, width: int = 8) -> Any:
    """The encoder of SegFormer (Xie et al. 2021): overlapping patches, fewer keys, convolutions between layers."""
    image, x = _image(size)
    for stage, reduction in enumerate((2, 1)):
        channels = width * (1 + stage)
        maps = L.Conv2D(channels, 3, strides=2, padding="same", name=f"stage{stage}_patches")(x)
        grid = maps.shape[1:3]
        x = L.LayerNormalization(name=f"stage{stage}_embedded")(_tokens(maps))
        inner = L.LayerNormalization(name=f"stage{stage}_norm1")(x)
        attended = MixedAttention(2, grid, reduction, name=f"stage{stage}_attention")(inner)
        x = L.Add(name=f"stage{stage}_attended")([x, attended])
        inner = L.Dense(2 * channels, name=f"stage{stage}_mlp1")(L.LayerNormalization(name=f"stage{stage}_norm2")(x))
        mixed = L.DepthwiseConv2D(3, padding="same", name=f"stage{stage}_mix")(L.Reshape((*grid, -1))(inner))
        inner = L.Dense(channels, name=f"stage{stage}_mlp2")(ops.gelu(_tokens(mixed)))
        x = L.LayerNormalization(name=f"stage{stage}_norm")(L.Add(name=f"stage{stage}_out")([x, inner]))
        x = L.Reshape((*grid, channels), name=f"stage{stage}_maps")(x)
    return _model(image, _head(L.GlobalAveragePooling2D(name="pool")(x)), "mit")


def mobilevit(size: int | tuple[int, int] = 16, width: int = 8) -> Any:
    """A hybrid (as MobileViT, Mehta and Rastegari 2022): a transformer over patches between convolutions."""
    image, x = _image(size)
    x = L.Conv2D(width, 3, strides=2, padding="same", activation="relu", name="stem")(x)
    rows, columns = x.shape[1] // 2, x.shape[2] // 2
    split = ops.reshape(x, (-1, rows, 2, columns, 2, width))
    inner = ops.reshape(ops.transpose(split, (0, 2, 4, 1, 3, 5)), (-1, rows * columns, width))
    inner = _block(inner, "block0", width, L.MultiHeadAttention(2, width // 2, name="block0_attention"))
    split = ops.transpose(ops.reshape(inner, (-1, 2, 2, rows, columns, width)), (0, 3, 1, 4, 2, 5))
    x = ops.concatenate([x, ops.reshape(split, (-1, 2 * rows, 2 * columns, width))], axis=-1)
    x = L.Conv2D(2 * width, 3, padding="same", activation="relu", name="fused")(x)
    return _model(image, _head(L.GlobalAveragePooling2D(name="pool")(x)), "mobilevit")


def mixer(size: int | tuple[int, int] = 16, width: int = 8) -> Any:
    """MLP-Mixer (Tolstikhin et al. 2021): a dense layer over the tokens in place of attention."""
    image, x = _image(size)
    x = _tokens(L.Conv2D(width, 4, strides=4, name="patches")(x))
    inner = L.Permute((2, 1))(L.LayerNormalization(name="block0_norm1")(x))
    inner = L.Permute((2, 1))(L.Dense(x.shape[1], activation="gelu", name="block0_mixing")(inner))
    x = _with_mlp(L.Add(name="block0_attended")([x, inner]), "block0", width)
    x = L.LayerNormalization(name="norm")(x)
    return _model(image, _head(L.GlobalAveragePooling1D(name="pool")(x)), "mixer")


def signal_vit(length: int = 64, width: int = 8, blocks: int = 2) -> Any:
    """A transformer over patches of a signal, with a class token."""
    signal = keras.Input((length, 2), name="signal")
    x = L.Conv1D(width, 8, strides=8, name="patches")(signal)
    x = ExtraTokens(1, name="tokens")(x)
    x = L.LayerNormalization(name="norm")(_encoded(Positions(name="positions")(x), blocks, width, 2))
    return _model(signal, _head(x[:, 0]), "signal_vit")


def video_vit(frames: int = 4, size: int = 8, width: int = 8, blocks: int = 2) -> Any:
    """A transformer over tubelets of a video (Arnab et al. 2021), with a class token."""
    video = keras.Input((frames, size, size, 3), name="video")
    x = L.Conv3D(width, (2, 4, 4), strides=(2, 4, 4), name="patches")(video)
    x = ExtraTokens(1, name="tokens")(L.Reshape((-1, width))(x))
    x = L.LayerNormalization(name="norm")(_encoded(Positions(name="positions")(x), blocks, width, 2))
    return _model(video, _head(x[:, 0]), "video_vit")


def _image(size: int | tuple[int, int]) -> tuple[Any, Any]:
    """Return an input, twice; random weights start at the same seed for each model."""
    keras.utils.set_random_seed(0)
    height, width = (size, size) if isinstance(size, int) else size
    image = keras.Input((height, width, 3), name="image")
    return image, image


def _tokens(maps: Any) -> Any:
    """Return maps ``(B, h, w, C)`` as tokens ``(B, h·w, C)``."""
    return L.Reshape((-1, maps.shape[-1]))(maps)


def _embedded(x: Any, patch: int, width: int, prefix: int, suffix: int = 0) -> Any:
    """Return the tokens of patches, with learned tokens before and behind them, and learned positions."""
    x = _tokens(L.Conv2D(width, patch, strides=patch, name="patches")(x))
    if prefix or suffix:
        x = ExtraTokens(prefix, suffix, name="extra")(x)
    return Positions(name="tokens")(x)


def _encoded(x: Any, blocks: int, width: int, heads: int) -> Any:
    for block in range(blocks):
        attention = L.MultiHeadAttention(heads, max(width // heads, 1), name=f"block{block}_attention")
        x = _block(x, f"block{block}", width, attention)
    return x


def _block(x: Any, name: str, width: int, attention: Any) -> Any:
    """Return what a block with normalization first makes of tokens."""
    inner = L.LayerNormalization(name=f"{name}_norm1")(x)
    attended = attention(inner, inner) if isinstance(attention, L.MultiHeadAttention) else attention(inner)
    return _with_mlp(L.Add(name=f"{name}_attended")([x, attended]), name, width)


def _with_mlp(x: Any, name: str, width: int) -> Any:
    inner = L.LayerNormalization(name=f"{name}_norm2")(x)
    inner = L.Dense(2 * width, activation="gelu", name=f"{name}_mlp1")(inner)
    return L.Add(name=f"{name}_out")([x, L.Dense(width, name=f"{name}_mlp2")(inner)])


def _head(features: Any, activation: str = "softmax") -> Any:
    return L.Dense(CLASSES, activation=activation, name="head")(features)


def _model(inputs: Any, outputs: Any, name: str) -> Any:
    return keras.Model(inputs, outputs, name=name)
