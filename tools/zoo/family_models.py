"""Transformers, segmentation and detection models, built small with random weights."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers as L  # noqa: N812

import visualcnn_tf as vc
from benchmarks import families
from tools.zoo import handmade, hub_models
from tools.zoo.family_ways import Member
from tools.zoo.hub_configs import CLASSES
from tools.zoo.subject import EXPLAINED, Subject, soft
from tools.zoo.tiny_models import detectors, transformers

_BOX = 3


def _inputs(model: keras.Model) -> Any:
    """Return soft images of the size of the model's input, in the structure that it takes."""
    return keras.tree.map_structure(lambda tensor: soft(*tensor.shape[1:])[:EXPLAINED], model.input)


# Transformers ------------------------------------------------------------------------------------------------------


def _transformer(build: Callable[[], keras.Model], method: str = "gradientrollout") -> Callable[[], Member]:
    def member() -> Member:
        model = build()
        return Member(model, _inputs(model), method)

    return member


def _pooled(name: str) -> Callable[[], keras.Model]:
    """Return the builder of an encoder of keras_hub with a head on the mean over its tokens or maps."""

    def build() -> keras.Model:
        body = hub_models.BACKBONES[name]()
        output = body.output["sequence_output"] if isinstance(body.output, dict) else body.output
        features = keras.ops.mean(output, list(range(1, len(output.shape) - 1)))
        return keras.Model(body.input, L.Dense(CLASSES, activation="softmax", name="label")(features))

    return build


_HUB = hub_models.CLASSIFIERS
TRANSFORMERS: dict[str, Callable[[], Member]] = {
    "ViT, class token": _transformer(transformers.vit),
    "ViT, global pooling, 16×32": _transformer(partial(transformers.vit, "global", (16, 32))),
    "ViT with registers": _transformer(partial(transformers.vit, registers=2)),
    "ViT, hybrid": _transformer(partial(transformers.vit, hybrid=True)),
    "DeiT": _transformer(transformers.deit),
    "BEiT-like, relative positions": _transformer(transformers.beit),
    "ViT of keras.io": _transformer(transformers.keras_io_vit),
    "Swin": _transformer(transformers.swin, "reciprocam"),
    "MiT": _transformer(transformers.mit, "reciprocam"),
    "MobileViT-like": _transformer(transformers.mobilevit, "reciprocam"),
    "MLP-Mixer": _transformer(transformers.mixer, "reciprocam"),
    "signals (1-D)": _transformer(transformers.signal_vit),
    "videos": _transformer(transformers.video_vit),
    "keras_hub ViT": _transformer(_HUB["ViTImageClassifier"]),
    "keras_hub ViT, pooled": _transformer(_HUB["ViTImageClassifier, pooled"]),
    "keras_hub DeiT": _transformer(_HUB["DeiTImageClassifier"]),
    "keras_hub Swin": _transformer(_HUB["SwinTransformerImageClassifier"], "reciprocam"),
    "keras_hub MiT": _transformer(_HUB["MiTImageClassifier"], "reciprocam"),
    "keras_hub DINOv2": _transformer(_pooled("DINOV2Backbone")),
    "keras_hub DINOv3": _transformer(_pooled("DINOV3Backbone")),
    "keras_hub SigLIP": _transformer(_pooled("SigLIPVisionEncoder")),
    "keras_hub ViTDet": _transformer(_pooled("ViTDetBackbone"), "reciprocam"),
}

# Segmentation ------------------------------------------------------------------------------------------------------


def _segmentation(build: Callable[[], Any], heads: tuple[str, ...] | None = None) -> Callable[[], Member]:
    """Explain the most frequent class of pixels."""

    def member() -> Member:
        made = build()
        model = made.model if isinstance(made, Subject) else made
        inputs = _inputs(model)
        output = np.asarray(model.predict(inputs, verbose=0))
        index = int(np.bincount(output.argmax(axis=-1).ravel()).argmax())
        return Member(model, inputs, "hirescam", partial(_on_mask, index=index), heads, {"target": index})

    return member


def _on_mask(logits: Any, index: int) -> Any:
    """Return the logits of a class summed over the pixels where it is the largest."""
    mask = tf.cast(tf.equal(tf.argmax(logits, axis=-1), index), logits.dtype)
    return tf.reduce_sum(logits[..., index] * mask, axis=(1, 2))


def _fcn() -> keras.Model:
    """Build an FCN: scores of two resolutions, enlarged and added."""
    image = keras.Input((48, 64, 3), name="image")
    x = L.Conv2D(8, 3, strides=2, padding="same", activation="relu", name="fine")(image)
    fine = L.Conv2D(CLASSES, 1, name="fine_scores")(x)
    x = L.Conv2D(16, 3, strides=2, padding="same", activation="relu", name="coarse")(x)
    coarse = L.UpSampling2D(name="enlarged")(L.Conv2D(CLASSES, 1, name="coarse_scores")(x))
    scores = L.UpSampling2D(interpolation="bilinear", name="scores")(L.Add(name="sum")([fine, coarse]))
    return keras.Model(image, L.Activation("softmax", name="classes")(scores), name="fcn")


SEGMENTATION: dict[str, Callable[[], Member]] = {
    "U-Net": _segmentation(handmade.u_net),
    "FCN": _segmentation(_fcn),
    "keras_hub DeepLabV3": _segmentation(hub_models.OTHER_TASKS["DeepLabV3ImageSegmenter"]),
    "keras_hub SegFormer": _segmentation(hub_models.OTHER_TASKS["SegFormerImageSegmenter"]),
}

# Detection ---------------------------------------------------------------------------------------------------------


def _detection(
    build: Callable[[], Any], scores: str | None, heads: tuple[str, ...] = (), **options: Any
) -> Callable[[], Member]:
    """Explain one box; ``scores`` is the output of class scores."""

    def member() -> Member:
        made = build()
        model = made.model if isinstance(made, Subject) else made
        found = {"target": vc.targets.Box(_BOX), **options}
        return Member(model, _inputs(model), "hirescam", partial(_of_box, scores=scores), heads, found)

    return member


def _of_box(outputs: Any, scores: str | None) -> Any:
    """Return the largest logit of one box."""
    logits = outputs if scores is None else outputs[scores]
    return tf.reduce_max(logits[:, _BOX], axis=-1)


def _rows() -> keras.Model:
    """Build a YOLO-like head: a row for each position, four numbers of a box and the scores of classes."""
    x = image = keras.Input((48, 48, 3), name="image")
    for filters in (8, 16, 16):
        x = L.Conv2D(filters, 3, strides=2, padding="same", activation="relu", name=f"conv{x.shape[1]}")(x)
    boxes = L.Reshape((-1, 4), name="boxes")(L.Conv2D(4, 1, name="box_map")(x))
    scores = L.Reshape((-1, CLASSES), name="score_rows")(L.Conv2D(CLASSES, 1, name="score_map")(x))
    return keras.Model(image, {"boxes": boxes, "scores": scores}, name="rows")


def _queries() -> Member:
    """Explain a query that attends to tokens; its last class is no object."""
    model = detectors.queries().model
    options = {"target": vc.targets.Box(_BOX, background=-1), "output": "pred_logits"}
    return Member(model, _inputs(model), "hirescam", _of_query, (), options)


def _of_query(outputs: Any) -> Any:
    return tf.reduce_max(outputs["pred_logits"][:, _BOX, :-1], axis=-1)


DETECTION: dict[str, Callable[[], Member]] = {
    "dense head": _detection(families.detector, "scores", ("scores",)),
    "dense head, logits": _detection(_rows, "scores"),
    "feature pyramid": _detection(handmade.detector, "labels"),
    "keras_hub RetinaNet": _detection(hub_models.OTHER_TASKS["RetinaNetObjectDetector"], "cls_logits"),
    "keras_hub D-FINE": _detection(hub_models.OTHER_TASKS["DFineObjectDetector"], "logits", output="logits"),
    "queries, as of DETR": _queries,
}
