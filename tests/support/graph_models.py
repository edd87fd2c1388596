"""One small network as a Keras model and, with the same weights, as every kind of TensorFlow graph."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

layers = keras.layers
v1 = tf.compat.v1

SIZE, CLASSES, EPSILON = 16, 5, 1e-3
SHAPE = (SIZE, SIZE, 3)
#: The layers of a graph of :func:`forward`, by those of the Keras model that return the same.
SAME = {
    "stem_relu": "stem/Relu6",
    "depthwise_relu": "depthwise/Relu",
    "project": "project/Conv2D",
    "sum": "sum/add",
    "pool": "pool/MaxPool",
    "last": "last/Relu",
}


@cache
def original() -> keras.Model:
    """The network in Keras, with fixed random weights."""
    keras.utils.set_random_seed(3)
    image = keras.Input(SHAPE, name="image")
    x = layers.Conv2D(8, 3, padding="same", name="stem")(image)
    x = layers.BatchNormalization(epsilon=EPSILON, name="stem_norm")(x)
    x = layers.ReLU(6.0, name="stem_relu")(x)
    x = layers.ZeroPadding2D(((0, 1), (0, 1)), name="pad")(x)
    x = layers.DepthwiseConv2D(3, strides=2, use_bias=False, name="depthwise")(x)
    x = layers.ReLU(name="depthwise_relu")(x)
    x = layers.Add(name="sum")([x, layers.Conv2D(8, 1, name="project")(x)])
    x = layers.MaxPooling2D(name="pool")(x)
    x = layers.Conv2D(12, 3, padding="same", activation="relu", name="last")(x)
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    model = keras.Model(image, layers.Dense(CLASSES, activation="softmax", name="head")(x), name="original")
    rng = np.random.default_rng(4)
    for weight in model.weights:  # biases and moving averages, too
        low, high = (0.5, 1.5) if "variance" in weight.path or "gamma" in weight.path else (-0.4, 0.4)
        weight.assign(rng.uniform(low, high, weight.shape))
    return model


@cache
def weights() -> dict[str, np.ndarray]:
    """The weights of the network by name, ``"stem/kernel"``."""
    found = {}
    for layer in original().layers:
        for weight in layer.weights:
            found[f"{layer.name}/{weight.name}"] = weight.numpy()
    return found


def images(count: int = 2) -> np.ndarray:
    """Noise."""
    return np.random.default_rng(5).uniform(-1, 1, (count, *SHAPE)).astype("float32")


def features(image: tf.Tensor, w: Mapping[str, Any]) -> tf.Tensor:
    """The network's last feature maps, by TensorFlow operations."""
    with tf.name_scope("stem"):
        x = tf.nn.bias_add(tf.nn.conv2d(image, w["stem/kernel"], 1, "SAME", name="Conv2D"), w["stem/bias"])
        names = ("gamma", "beta", "moving_mean", "moving_variance")
        norm = [tf.convert_to_tensor(w[f"stem_norm/{name}"]) for name in names]
        x = v1.nn.fused_batch_norm(x, *norm, epsilon=EPSILON, is_training=False)[0]
        x = tf.nn.relu6(x, name="Relu6")
    x = tf.pad(x, [[0, 0], [0, 1], [0, 1], [0, 0]], name="pad/Pad")
    with tf.name_scope("depthwise"):
        x = tf.nn.depthwise_conv2d(x, w["depthwise/kernel"], [1, 2, 2, 1], "VALID", name="depthwise")
        x = tf.nn.relu(x, name="Relu")
    with tf.name_scope("project"):
        y = tf.nn.bias_add(tf.nn.conv2d(x, w["project/kernel"], 1, "SAME", name="Conv2D"), w["project/bias"])
    x = tf.add(x, y, name="sum/add")
    x = tf.nn.max_pool2d(x, 2, 2, "VALID", name="pool/MaxPool")
    with tf.name_scope("last"):
        x = tf.nn.bias_add(tf.nn.conv2d(x, w["last/kernel"], 1, "SAME", name="Conv2D"), w["last/bias"])
        return tf.nn.relu(x, name="Relu")


def forward(image: tf.Tensor, w: Mapping[str, Any]) -> tf.Tensor:
    """The network by TensorFlow operations."""
    x = tf.reduce_mean(features(image, w), [1, 2], name="mean/Mean")
    with tf.name_scope("head"):
        logits = tf.nn.bias_add(tf.matmul(x, w["head/kernel"], name="MatMul"), w["head/bias"])
        return tf.nn.softmax(logits, name="Softmax")


# Files ------------------------------------------------------------------------------------------------------------


def write_keras_export(folder: Path) -> Path:
    """What Keras 3 exports."""
    original().export(folder, verbose=False)
    return folder


class Network(tf.Module):
    """The network as a ``tf.Module``."""

    def __init__(self, size: int | None = SIZE) -> None:
        self.w = {name: tf.Variable(value, name=name.replace("/", "_")) for name, value in weights().items()}
        spec = tf.TensorSpec((None, size, size, 3), tf.float32, "image")
        self.run = tf.function(lambda image: forward(image, self.w), input_signature=[spec], autograph=False)


def write_module(folder: Path) -> Path:
    """A ``tf.Module``, whose signature calls a function that calls another one."""
    module = Network()
    outer = tf.function(lambda image: {"scores": module.run(image)}, input_signature=module.run.input_signature)
    tf.saved_model.save(module, str(folder), signatures=outer)
    return folder


def write_hub(folder: Path) -> Path:
    """As modules of TensorFlow Hub: a signature of another name, images of any size, several outputs."""
    module = Network(None)
    spec = tf.TensorSpec((None, None, None, 3), tf.float32, "images")

    @tf.function(input_signature=[spec], autograph=False)
    def image_feature_vector(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"probabilities": forward(images, module.w), "feature_vector": features(images, module.w)}

    tf.saved_model.save(module, str(folder), signatures={"image_feature_vector": image_feature_vector})
    return folder


def write_estimator(folder: Path, use_resource: bool = True) -> Path:
    """As estimators of TensorFlow 1: variables, examples as texts, and a signature that starts at an inner tensor."""
    values = weights()
    with tf.Graph().as_default() as graph, v1.Session(graph=graph) as session:
        examples = v1.placeholder(tf.string, (None,), "examples")
        feature = {"image": tf.io.FixedLenFeature([SIZE * SIZE * 3], tf.float32)}
        image = tf.reshape(tf.io.parse_example(examples, feature)["image"], (-1, *SHAPE), name="image")
        training = v1.placeholder_with_default(False, (), "training")
        noise = tf.where(training, 1.0, 0.0, name="noise")
        w = {name: v1.Variable(value, name=name, use_resource=use_resource) for name, value in values.items()}
        scores = tf.identity(forward(image + noise, w), name="scores")
        classes = tf.as_string(tf.argmax(scores, 1))
        session.run(v1.global_variables_initializer())
        describe = v1.saved_model.build_tensor_info
        texts = v1.saved_model.build_signature_def(
            {"inputs": describe(examples)}, {"scores": describe(scores), "classes": describe(classes)}, "classify"
        )
        predict = v1.saved_model.build_signature_def(
            {"image": describe(image)}, {"scores": describe(scores)}, "predict"
        )
        builder = v1.saved_model.Builder(str(folder))
        signatures = {"serving_default": texts, "predict": predict}
        builder.add_meta_graph_and_variables(session, ["serve"], signature_def_map=signatures)
        builder.save()
    return folder


def frozen(batch: int | None = None) -> Any:
    """The network with constants for weights, as a GraphDef."""
    values = weights()
    with tf.Graph().as_default() as graph:
        image = v1.placeholder(tf.float32, (batch, *SHAPE), "image")
        forward(image, {name: tf.constant(value, name=f"weights/{name}") for name, value in values.items()})
    return graph.as_graph_def()


def frozen_keras(model: keras.Model) -> Any:
    """A Keras model with constants for weights, as a GraphDef."""
    spec = tf.TensorSpec(model.inputs[0].shape, tf.float32, "image")
    run = tf.function(lambda image: model(image, training=False), autograph=False).get_concrete_function(spec)
    return convert_variables_to_constants_v2(run).graph.as_graph_def()


def write_graph(path: Path, graph_def: Any) -> Path:
    """A graph as a file."""
    path.write_bytes(graph_def.SerializeToString())
    return path


def write_frozen(path: Path) -> Path:
    """A frozen graph."""
    return write_graph(path, frozen())


class Detector(tf.Module):
    """As the TensorFlow Object Detection API: one image of any size, resized in a loop, and boxes without overlap."""

    def __init__(self) -> None:
        self.w = {name: tf.Variable(value, name=name.replace("/", "_")) for name, value in weights().items()}
        rng = np.random.default_rng(6)
        self.boxes = tf.Variable(rng.uniform(-0.3, 0.3, (1, 1, 12, 4)).astype("float32"), name="boxes")
        self.scores = tf.Variable(rng.uniform(-0.5, 0.5, (1, 1, 12, 3)).astype("float32"), name="scores")

    @tf.function(input_signature=[tf.TensorSpec((1, None, None, 3), tf.uint8, "input_tensor")], autograph=False)
    def __call__(self, input_tensor: tf.Tensor) -> dict[str, tf.Tensor]:
        def resized(image: tf.Tensor) -> tf.Tensor:
            return tf.image.resize(tf.cast(image, tf.float32), (SIZE, SIZE)) / 127.5 - 1.0

        with tf.name_scope("preprocess"):
            image = tf.map_fn(resized, input_tensor, fn_output_signature=tf.TensorSpec(SHAPE, tf.float32))
        maps = features(image, self.w)
        boxes = tf.reshape(tf.nn.conv2d(maps, self.boxes, 1, "SAME", name="boxes/Conv2D"), (1, -1, 4))
        scores = tf.nn.sigmoid(tf.nn.conv2d(maps, self.scores, 1, "SAME", name="scores/Conv2D"))
        scores = tf.reshape(scores, (1, -1, 3), name="class_scores")

        def best(pair: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
            return tf.image.non_max_suppression(pair[0], tf.reduce_max(pair[1], -1), 4)

        with tf.name_scope("nms"):
            chosen = tf.map_fn(best, (boxes, scores), fn_output_signature=tf.TensorSpec((None,), tf.int32))
        return {
            "detection_boxes": tf.gather(boxes, chosen, batch_dims=1),
            "detection_scores": tf.gather(tf.reduce_max(scores, -1), chosen, batch_dims=1),
            "num_detections": tf.cast(tf.shape(chosen)[1:], tf.float32),
            "raw_detection_scores": scores,
        }


def write_detector(folder: Path) -> Path:
    """A detector."""
    module = Detector()
    tf.saved_model.save(module, str(folder), signatures=module.__call__)
    return folder


# Graphs that are refused, or have to be told more -----------------------------------------------------------------


def _several_ends(image: Any) -> None:
    tf.nn.relu(image, name="one")
    tf.nn.relu6(image, name="other")


def _scalar(image: Any) -> None:
    tf.nn.relu(image * v1.placeholder(tf.float32, (), "scale"), name="out")


def _loop(image: Any) -> None:
    kept, _ = tf.raw_ops.Switch(data=image, pred=v1.placeholder_with_default(False, (), "training"))
    tf.nn.relu(kept, name="out")


def _files(image: Any) -> None:
    length = tf.strings.length(tf.io.read_file("/etc/hostname"))
    tf.nn.relu(image * tf.cast(length, tf.float32), name="out")


def _integers(image: Any) -> None:
    tf.argmax(image, 1, name="out")


def _vectors(image: Any) -> None:
    tf.reduce_mean(image, [1, 2], name="out")


def _mapped(image: Any) -> None:
    kernel = tf.constant(np.ones((3, 3, 1, 2), "float32"))

    def convolved(one: tf.Tensor) -> tf.Tensor:
        return tf.nn.conv2d(one[tf.newaxis], kernel, 1, "SAME", name="convolution")[0]

    maps = tf.map_fn(convolved, image, fn_output_signature=tf.TensorSpec((4, 4, 2), tf.float32))
    tf.nn.relu(maps, name="out")


#: Frozen graphs of an image ``(4, 4, 1)``, by their names without ``.pb``.
ODD = {
    "several_ends": _several_ends,
    "scalar": _scalar,
    "loop": _loop,
    "files": _files,
    "integers": _integers,
    "vectors": _vectors,
    "mapped": _mapped,
}


def odd_graph(make: Any) -> Any:
    """The GraphDef of a function of an image ``(4, 4, 1)``."""
    with tf.Graph().as_default() as graph:
        make(v1.placeholder(tf.float32, (None, 4, 4, 1), "image"))
    return graph.as_graph_def()


def write_odd(folder: Path) -> None:
    """What the table of bad inputs tries to load."""
    write_frozen(folder / "frozen.pb")
    write_estimator(folder / "estimator")
    (folder / "broken.pb").write_bytes(b"no graph at all")
    for name, make in ODD.items():
        write_graph(folder / f"{name}.pb", odd_graph(make))
