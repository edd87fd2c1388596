"""Small models that are not plain image classifiers, made of Keras layers only."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers as L  # noqa: N812

from tools.zoo.subject import Subject, mean_of_last_channel, soft

_CLASSES = 5


def u_net() -> Subject:
    """Segmentation: skip connections between levels, transposed convolutions, a mask for each class."""
    x = image = keras.Input((64, 64, 3), name="image")
    skips = []
    for depth, filters in enumerate((8, 16, 32)):
        x = skip = _block(x, filters, f"down{depth}")
        skips.append(skip)
        x = L.MaxPooling2D(name=f"pool{depth}")(x)
    x = _block(x, 64, "bottom")
    for depth, filters in ((2, 32), (1, 16), (0, 8)):
        x = L.Conv2DTranspose(filters, 3, strides=2, padding="same", name=f"up{depth}_transposed")(x)
        x = _block(L.Concatenate()([skips[depth], x]), filters, f"up{depth}")
    mask = L.Conv2D(_CLASSES, 1, activation="softmax", name="mask")(x)
    return Subject(keras.Model(image, mask, name="u_net"), soft(64, 64, 3), {"target": mean_of_last_channel})


def _block(x: Any, filters: int, name: str) -> Any:
    for i in range(2):
        x = L.Conv2D(filters, 3, padding="same", use_bias=False, name=f"{name}_conv{i}")(x)
        x = L.BatchNormalization(name=f"{name}_norm{i}")(x)
        x = L.ReLU(name=f"{name}_relu{i}")(x)
    return x


def detector() -> Subject:
    """Detection: a feature pyramid, heads shared by its levels, boxes and classes of all positions as two outputs."""
    x = image = keras.Input((64, 64, 3), name="image")
    levels = []
    for depth, filters in enumerate((8, 16, 32, 64)):
        x = L.MaxPooling2D()(_block(x, filters, f"body{depth}"))
        levels.append(x)
    pyramid = [L.Conv2D(16, 1, name="side3")(levels[3])]
    for depth in (2, 1):
        above = L.UpSampling2D(name=f"enlarged{depth}")(pyramid[0])
        pyramid.insert(0, L.Add(name=f"pyramid{depth}")([L.Conv2D(16, 1, name=f"side{depth}")(levels[depth]), above]))
    label, box = _head(_CLASSES, "label"), _head(4, "box")
    outputs = {
        "labels": L.Concatenate(axis=1)([L.Reshape((-1, _CLASSES))(label(level)) for level in pyramid]),
        "boxes": L.Concatenate(axis=1)([L.Reshape((-1, 4))(box(level)) for level in pyramid]),
    }
    options = {"output": "labels", "target": mean_of_last_channel}
    return Subject(keras.Model(image, outputs, name="detector"), soft(64, 64, 3), options)


def _head(units: int, name: str) -> Any:
    steps = [L.Conv2D(16, 3, padding="same", activation="relu"), L.Conv2D(units, 1)]
    return keras.Sequential([keras.Input((None, None, 16)), *steps], name=name)


def siamese() -> Subject:
    """Two images through one backbone, and how similar they are."""
    backbone = keras.Sequential([keras.Input((48, 48, 3))], name="backbone")
    for filters in (8, 16, 32):
        backbone.add(L.Conv2D(filters, 3, padding="same", activation="relu"))
        backbone.add(L.MaxPooling2D())
    backbone.add(L.GlobalAveragePooling2D())
    images = [keras.Input((48, 48, 3), name=name) for name in ("left", "right")]
    difference = L.Subtract()([backbone(image) for image in images])
    similar = L.Dense(2, activation="softmax", name="similar")(L.Dense(16, activation="relu")(difference))
    return Subject(keras.Model(images, similar, name="siamese"), [soft(48, 48, 3), soft(48, 48, 3, seed=1)])


def autoencoder() -> Subject:
    """An autoencoder whose output is twice as large as its input."""
    x = image = keras.Input((32, 32, 3), name="image")
    for filters in (16, 32):
        x = L.Conv2D(filters, 3, strides=2, padding="same", activation="relu")(x)
    x = L.Reshape((8, 8, 8), name="code")(L.Dense(512, name="coded")(L.Flatten()(x)))
    for filters in (32, 16, 8):
        x = L.Conv2DTranspose(filters, 3, strides=2, padding="same", activation="relu")(x)
    picture = L.Conv2D(3, 3, padding="same", activation="sigmoid", name="picture")(x)
    options = {"target": mean_of_last_channel}
    return Subject(keras.Model(image, picture, name="autoencoder"), soft(32, 32, 3), options)


def audio_cnn() -> Subject:
    """One-dimensional convolutions on audio."""
    x = sound = keras.Input((1024, 1), name="sound")
    for filters in (8, 16, 32):
        x = L.Conv1D(filters, 9, padding="same", use_bias=False)(x)
        x = L.MaxPooling1D(4)(L.ReLU()(L.BatchNormalization()(x)))
    label = L.Dense(_CLASSES, activation="softmax", name="label")(L.GlobalAveragePooling1D()(x))
    return Subject(keras.Model(sound, label, name="audio_cnn"), soft(1024, 1))


def volume_cnn() -> Subject:
    """Three-dimensional convolutions on a scan."""
    x = scan = keras.Input((16, 24, 24, 1), name="scan")
    for filters in (8, 16):
        x = L.MaxPooling3D()(L.Conv3D(filters, 3, padding="same", activation="relu")(x))
    x = L.Conv3D(16, 3, padding="same", activation="relu")(x)
    label = L.Dense(_CLASSES, activation="softmax", name="label")(L.GlobalAveragePooling3D()(x))
    return Subject(keras.Model(scan, label, name="volume_cnn"), soft(16, 24, 24, 1))


def conv_lstm() -> Subject:
    """A video through convolutional recurrent layers: maps for each frame, then for the whole."""
    x = film = keras.Input((4, 24, 24, 3), name="film")
    x = L.ConvLSTM2D(8, 3, padding="same", return_sequences=True, name="frames")(x)
    x = L.MaxPooling2D(name="pool")(L.ConvLSTM2D(16, 3, padding="same", name="film_map")(x))
    x = L.Conv2D(16, 3, padding="same", activation="relu", name="conv")(x)
    label = L.Dense(_CLASSES, activation="softmax", name="label")(L.GlobalAveragePooling2D()(x))
    return Subject(keras.Model(film, label, name="conv_lstm"), soft(4, 24, 24, 3))


def film_cnn() -> Subject:
    """A CNN in TimeDistributed on each frame of a video, and an LSTM over the frames."""
    frame_cnn = keras.Sequential([keras.Input((24, 24, 3))], name="frame_cnn")
    for filters in (8, 16):
        frame_cnn.add(L.Conv2D(filters, 3, padding="same", activation="relu"))
        frame_cnn.add(L.MaxPooling2D())
    frame_cnn.add(L.Flatten())
    film = keras.Input((4, 24, 24, 3), name="film")
    x = L.LSTM(16, unroll=True)(L.TimeDistributed(frame_cnn, name="each_frame")(film))
    label = L.Dense(_CLASSES, activation="softmax", name="label")(x)
    return Subject(keras.Model(film, label, name="film_cnn"), soft(4, 24, 24, 3))


def vision_transformer(patches: str = "convolution") -> Subject:
    """A vision transformer: the image as a sequence of tokens, with a class token before them."""
    size, patch, width = 32, 8, 24
    image = keras.Input((size, size, 3), name="image")
    if patches == "convolution":
        x = L.Conv2D(width, patch, strides=patch, name="patch_embedding")(image)
        x = L.Reshape((-1, width), name="tokens")(x)
    else:
        x = L.Dense(width, name="tokens")(L.Reshape((-1, patch * patch * 3))(image))
    x = _Position(name="position")(x)
    for block in range(2):
        inner = L.LayerNormalization(name=f"block{block}_norm0")(x)
        x = L.Add(name=f"block{block}_attended")([x, L.MultiHeadAttention(3, 8, name=f"block{block}")(inner, inner)])
        inner = L.Dense(2 * width, activation="gelu")(L.LayerNormalization(name=f"block{block}_norm1")(x))
        x = L.Add(name=f"block{block}_out")([x, L.Dense(width)(inner)])
    x = L.LayerNormalization(name="norm")(x)
    label = L.Dense(_CLASSES, activation="softmax", name="label")(x[:, 0])
    return Subject(keras.Model(image, label, name="vision_transformer"), soft(size, size, 3))


@keras.saving.register_keras_serializable(package="zoo")
class _Position(L.Layer):
    """Prepends the class token and adds position embeddings."""

    def build(self, shape: Any) -> None:
        self.token = self.add_weight(shape=(1, 1, shape[-1]), initializer="random_normal", name="token")
        self.position = self.add_weight(
            shape=(1, shape[1] + 1, shape[-1]), initializer="random_normal", name="position"
        )

    def call(self, tokens: Any) -> Any:
        first = keras.ops.broadcast_to(self.token, (keras.ops.shape(tokens)[0], 1, tokens.shape[-1]))
        return keras.ops.concatenate([first, tokens], 1) + self.position


BUILDS = {
    "U-Net": u_net,
    "detector with a feature pyramid": detector,
    "Siamese": siamese,
    "autoencoder": autoencoder,
    "1-D audio CNN": audio_cnn,
    "3-D CNN": volume_cnn,
    "ConvLSTM": conv_lstm,
    "TimeDistributed CNN": film_cnn,
    "ViT, convolutional patches": vision_transformer,
}
