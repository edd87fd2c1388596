"""A small CNN in the forms in which models without Keras code come: each is written to a folder and loaded."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

import visualcnn_tf as vc
from tools.zoo.family_ways import Member
from tools.zoo.subject import EXPLAINED, soft

_SIZE, _FILTERS, _CLASSES = 32, (8, 16), 5


def _weights() -> dict[str, np.ndarray]:
    """Return the weights of two convolutions and a dense layer."""
    rng, channels = np.random.default_rng(0), 3
    found = {}
    for number, filters in enumerate(_FILTERS):
        found[f"kernel{number}"] = rng.normal(0, 0.3, (3, 3, channels, filters)).astype(np.float32)
        found[f"bias{number}"] = rng.normal(0, 0.1, filters).astype(np.float32)
        channels = filters
    return found | {"dense": rng.normal(0, 0.5, (channels, _CLASSES)).astype(np.float32)}


def _network(image: Any, weights: Any) -> Any:
    """Return the logits by operations alone."""
    x = image
    for number in range(len(_FILTERS)):
        x = tf.nn.conv2d(x, weights[f"kernel{number}"], 2, "SAME", name=f"conv{number}")
        x = tf.nn.relu(tf.nn.bias_add(x, weights[f"bias{number}"]), name=f"relu{number}")
    return tf.matmul(tf.reduce_mean(x, [1, 2]), weights["dense"], name="logits")


class _Module(tf.Module):
    def __init__(self) -> None:
        super().__init__()
        self.all = {name: tf.Variable(value, name=name) for name, value in _weights().items()}

    @tf.function(input_signature=[tf.TensorSpec((None, _SIZE, _SIZE, 3), tf.float32, "image")])
    def __call__(self, image: Any) -> dict[str, Any]:
        return {"logits": _network(image, self.all)}


def keras_export(folder: Path) -> Any:
    """Return what Keras 3 exports: variables, batch normalization, a signature."""
    image = keras.Input((_SIZE, _SIZE, 3), name="image")
    x = image
    for filters in _FILTERS:
        x = keras.layers.Conv2D(filters, 3, strides=2, padding="same", use_bias=False)(x)
        x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    logits = keras.layers.Dense(_CLASSES)(keras.layers.GlobalAveragePooling2D()(x))
    keras.Model(image, logits).export(folder, format="tf_saved_model", verbose=False)
    return vc.load_graph(folder)


def module(folder: Path) -> Any:
    """Return a ``tf.Module`` with variables."""
    made = _Module()
    tf.saved_model.save(made, folder, signatures=made.__call__)
    return vc.load_graph(folder)


def frozen(folder: Path) -> Any:
    """Return a frozen graph."""
    made = _Module()
    graph = convert_variables_to_constants_v2(made.__call__.get_concrete_function()).graph.as_graph_def()
    folder.mkdir()
    (folder / "frozen.pb").write_bytes(graph.SerializeToString())
    outputs = [node.name for node in graph.node if node.name.endswith("logits")]
    return vc.load_graph(folder / "frozen.pb", inputs={"image": "image:0"}, outputs={"logits": f"{outputs[0]}:0"})


def estimator(folder: Path) -> Any:
    """Return what TensorFlow 1 saves: a session's variables, a placeholder with a default beside the image."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        image = v1.placeholder(tf.float32, (None, _SIZE, _SIZE, 3), "image")
        scale = v1.placeholder_with_default(tf.constant(1.0), (), "scale")
        weights = {name: v1.get_variable(name, initializer=value) for name, value in _weights().items()}
        logits = _network(image * scale, weights)
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(folder), {"image": image}, {"logits": logits})
    return vc.load_graph(folder)


def tf_keras_model(folder: Path) -> Any:
    """Return a SavedModel of Keras 2 (``tf_keras``)."""
    import tf_keras

    image = tf_keras.Input((_SIZE, _SIZE, 3), name="image")
    x = image
    for filters in _FILTERS:
        x = tf_keras.layers.Conv2D(filters, 3, strides=2, padding="same", activation="relu")(x)
    logits = tf_keras.layers.Dense(_CLASSES, name="logits")(tf_keras.layers.GlobalAveragePooling2D()(x))
    tf_keras.Model(image, logits).save(folder, save_format="tf")
    return vc.load_graph(folder)


class _Detector(tf.Module):
    """As the Object Detection API exports: one uint8 image of any size, a loop over images, suppressed boxes."""

    def __init__(self) -> None:
        super().__init__()
        self.all = {name: tf.Variable(value, name=name) for name, value in _weights().items()}

    @tf.function(input_signature=[tf.TensorSpec((1, None, None, 3), tf.uint8, "input_tensor")])
    def __call__(self, image: Any) -> dict[str, Any]:
        resize = partial(tf.image.resize, size=(_SIZE, _SIZE))
        x = tf.map_fn(resize, tf.cast(image, tf.float32) / 255.0, fn_output_signature=tf.float32)
        for number in range(len(_FILTERS)):
            x = tf.nn.conv2d(x, self.all[f"kernel{number}"], 2, "SAME", name=f"conv{number}")
            x = tf.nn.relu(tf.nn.bias_add(x, self.all[f"bias{number}"]), name=f"relu{number}")
        logits = tf.reshape(tf.einsum("bhwc,ck->bhwk", x, self.all["dense"]), (1, -1, _CLASSES))
        rows, columns = tf.meshgrid(tf.range(8.0) / 8.0, tf.range(8.0) / 8.0, indexing="ij")
        corners = tf.reshape(tf.stack([rows, columns], -1), (1, -1, 2))
        boxes = tf.concat([corners, corners + 0.25], -1)
        best = tf.reduce_max(tf.sigmoid(logits), -1)
        kept = tf.image.non_max_suppression(boxes[0], best[0], 10, 0.3)
        return {
            "detection_boxes": tf.gather(boxes, kept, axis=1),
            "detection_scores": tf.gather(best, kept, axis=1),
            "raw_detection_scores": logits,
            "raw_detection_boxes": boxes,
        }


def detection_api(folder: Path) -> Any:
    """Return a detector as the Object Detection API of TensorFlow exports it."""
    made = _Detector()
    tf.saved_model.save(made, folder, signatures=made.__call__)
    return vc.load_graph(folder)


def _member(load: Callable[[Path], Any], **options: Any) -> Member:
    parent = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, parent, ignore_errors=True)
    return Member(load(parent / "saved"), soft(_SIZE, _SIZE, 3)[:EXPLAINED], "reciprocam", **options)


def _detection_member() -> Member:
    member = _member(
        detection_api,
        options={"output": "raw_detection_scores", "target": vc.targets.Box(20), "input_shape": (_SIZE, _SIZE, 3)},
        score=lambda outputs: tf.reduce_max(outputs["raw_detection_scores"][:, 20], -1),
    )
    member.inputs = (255 * member.inputs[:1]).astype(np.uint8)
    member.method = "hirescam"
    return member


def _plain(load: Callable[[Path], Any]) -> Callable[[], Member]:
    return lambda: _member(load, score=_largest_of_any)


def _largest_of_any(outputs: Any) -> Any:
    [logits] = keras.tree.flatten(outputs)
    return tf.reduce_max(logits, axis=-1)


#: The forms by name.
GRAPHS: dict[str, Callable[[], Member]] = {
    "SavedModel of Keras 3": _plain(keras_export),
    "SavedModel of Keras 2 (`tf_keras`)": _plain(tf_keras_model),
    "SavedModel of a `tf.Module`, as on TensorFlow Hub": _plain(module),
    "SavedModel of TensorFlow 1": _plain(estimator),
    "frozen graph (`.pb`)": _plain(frozen),
    "TF Object Detection API": _detection_member,
}
