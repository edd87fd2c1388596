"""Small models of other families for the two-digit canvases: vision transformers, a U-Net and a detector."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers as L  # noqa: N812

from benchmarks.composites import CLASSES, SIZE, Grid

#: The last class of the U-Net: no ink.
BACKGROUND = CLASSES
#: Pixels between two positions of the detector's dense head.
STRIDE = 4
#: Pixels of the patches of a pure transformer. A digit on ``PATCH_GRID`` covers most of 2×2 patches.
PATCH = 14
PATCH_GRID = Grid(4, PATCH)


@keras.saving.register_keras_serializable(package="benchmarks")
class ClassToken(L.Layer):
    """Put a learned class token in front of the tokens, if asked for, and add learned position embeddings.

    Args:
        token: Whether there is a class token.
    """

    def __init__(self, token: bool = True, **options: Any) -> None:
        super().__init__(**options)
        self.token = token

    def build(self, shape: Any) -> None:
        """Make the weights."""
        width = shape[-1]
        if self.token:
            self.first = self.add_weight(shape=(1, 1, width), initializer="random_normal", name="token")
        self.position = self.add_weight(
            shape=(1, shape[1] + self.token, width), initializer="random_normal", name="position"
        )

    def call(self, tokens: Any) -> Any:
        """Return ``(B, N + 1, C)`` tokens, or ``(B, N, C)`` without a class token."""
        if self.token:
            first = keras.ops.broadcast_to(self.first, (keras.ops.shape(tokens)[0], 1, tokens.shape[-1]))
            tokens = keras.ops.concatenate([first, tokens], axis=1)
        return tokens + self.position

    def get_config(self) -> dict[str, Any]:
        """Return the configuration for serialization."""
        return super().get_config() | {"token": self.token}


def encoder(tokens: Any, depth: int, heads: int, ratio: int = 2) -> Any:
    """Return the tokens after some pre-norm blocks of a transformer, and the normalization after the last.

    Args:
        tokens: ``(B, N, C)``.
        depth: The number of blocks.
        heads: The number of heads.
        ratio: How many times as wide as the tokens the hidden layers are.
    """
    width = tokens.shape[-1]
    for block in range(depth):
        inner = L.LayerNormalization(epsilon=1e-6, name=f"block{block}_norm1")(tokens)
        attention = L.MultiHeadAttention(heads, width // heads, name=f"block{block}_attention")
        tokens = L.Add(name=f"block{block}_middle")([tokens, attention(inner, inner)])
        inner = L.LayerNormalization(epsilon=1e-6, name=f"block{block}_norm2")(tokens)
        inner = L.Dense(ratio * width, activation="gelu", name=f"block{block}_mlp1")(inner)
        inner = L.Dense(width, name=f"block{block}_mlp2")(inner)
        tokens = L.Add(name=f"block{block}_out")([tokens, inner])
    return L.LayerNormalization(epsilon=1e-6, name="norm")(tokens)


def hybrid_transformer(cnn: keras.Model, pooling: str) -> keras.Model:
    """Build a vision transformer on 7×7 tokens that a convolution makes of the last feature maps of a trained CNN.

    Args:
        cnn: A network of ``benchmarks.composites`` with global pooling, whose weights are kept as they are.
        pooling: ``"token"``: the head reads the class token; ``"global"``: the mean of all tokens, without a class
            token.
    """
    x = image = keras.Input((SIZE, SIZE, 1), name="image")
    for layer in cnn.layers[:-2]:
        layer.trainable = False
        x = layer(x)
    return _transformer(image, L.Conv2D(48, 2, strides=2, name="patches")(x), pooling, f"hybrid_{pooling}")


def pure_transformer(pooling: str) -> keras.Model:
    """Build a vision transformer on 4×4 tokens, patches of 14×14 pixels; the pooling is as above."""
    image = keras.Input((SIZE, SIZE, 1), name="image")
    patches = L.Conv2D(48, PATCH, strides=PATCH, name="patches")(image)
    return _transformer(image, patches, pooling, f"pure_{pooling}")


def _transformer(image: Any, patches: Any, pooling: str, name: str) -> keras.Model:
    """Return a model of the patches' maps with two blocks and ten sigmoid units."""
    tokens = L.Reshape((-1, patches.shape[-1]), name="rows")(patches)
    x = encoder(ClassToken(pooling == "token", name="tokens")(tokens), depth=2, heads=4)
    x = x[:, 0] if pooling == "token" else L.GlobalAveragePooling1D(name="pool")(x)
    return keras.Model(image, L.Dense(CLASSES, "sigmoid", name="digits")(x), name=name)


def u_net() -> keras.Model:
    """Build a U-Net that finds the class of each pixel, ``(B, 56, 56, 11)``: ten digits and the background."""
    x = image = keras.Input((SIZE, SIZE, 1), name="image")
    skips = []
    for level, filters in enumerate((8, 16, 32)):
        x = _block(x, filters, f"down{level}")
        skips.append(x)
        x = L.MaxPooling2D(name=f"pool{level}")(x)
    x = _block(_block(x, 48, "bottom"), 48, "bottleneck")
    for level, filters in ((2, 32), (1, 16), (0, 8)):
        x = L.Concatenate(name=f"join{level}")([L.UpSampling2D(name=f"enlarge{level}")(x), skips[level]])
        x = _block(x, filters, f"up{level}")
    classes = L.Conv2D(CLASSES + 1, 1, activation="softmax", name="classes")(x)
    return keras.Model(image, classes, name="u_net")


def detector() -> keras.Model:
    """Build a detector with a dense head: for each of N = 14×14 positions ten sigmoid scores, and a box.

    Its outputs are ``"scores"`` ``(B, N, 10)`` and ``"boxes"`` ``(B, N, 4)``: left, top, right and bottom in pixels.
    """
    image = keras.Input((SIZE, SIZE, 1), name="image")
    x = _block(_block(_stem(image), 32, "neck"), 32, "features")
    scores = L.Conv2D(CLASSES, 3, padding="same", name="score_map", bias_initializer=keras.initializers.Constant(-4.0))
    sides = L.Conv2D(4, 3, padding="same", name="side_map")
    outputs = {
        "scores": L.Activation("sigmoid", name="scores")(L.Reshape((-1, CLASSES))(scores(x))),
        "boxes": Corners(name="boxes")(sides(x)),
    }
    return keras.Model(image, outputs, name="detector")


@keras.saving.register_keras_serializable(package="benchmarks")
class Corners(L.Layer):
    """Turn the distances of each position to the sides of its box into corners: ``(B, h, w, 4)`` to ``(B, hw, 4)``."""

    def call(self, sides: Any) -> Any:
        """Return left, top, right and bottom in pixels."""
        height, width = sides.shape[1:3]
        x = (keras.ops.arange(width, dtype=sides.dtype) + 0.5) * STRIDE
        y = (keras.ops.arange(height, dtype=sides.dtype) + 0.5) * STRIDE
        columns, rows = keras.ops.meshgrid(x, y)
        centers = keras.ops.stack([columns, rows, columns, rows], axis=-1)
        return keras.ops.reshape(centers + sides * STRIDE, (-1, height * width, 4))


def _stem(image: Any) -> Any:
    """Return feature maps of a quarter of the image's height and width."""
    return _block(_block(image, 12, "stem0", size=5, strides=2), 24, "stem1", strides=2)


def _block(x: Any, filters: int, name: str, size: int = 3, strides: int = 1) -> Any:
    x = L.Conv2D(filters, size, strides, padding="same", use_bias=False, name=f"{name}_conv")(x)
    return L.ReLU(name=name)(L.BatchNormalization(name=f"{name}_norm")(x))
