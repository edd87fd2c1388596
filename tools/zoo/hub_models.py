"""Small models of ``keras_hub`` with random weights: its image backbones as they are, classifiers and other tasks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from tools.zoo.hub_configs import (
    CLASSES,
    CONFIGS,
    D_FINE,
    EFFICIENTNET,
    ENCODER,
    HGNET,
    MOBILENET,
    MOBILENET_V5,
    RESNET_BOTTLENECK,
    SIZE,
    TEXT,
)

_LENGTH = 8


def _models() -> Any:
    import keras_hub

    return keras_hub.models


def _shape(size: int = SIZE) -> tuple[int, int, int]:
    return (size, size, 3)


def _of_config(name: str, **config: Any) -> Callable[[], Any]:
    return lambda: getattr(_models(), name)(**{"image_shape": _shape(), **config})


def _resnet(size: int = SIZE, **config: Any) -> Any:
    return _models().ResNetBackbone(image_shape=_shape(size), **{**CONFIGS["ResNetBackbone"], **config})


def _basnet() -> Any:
    encoder = _models().ResNetBackbone(**CONFIGS["ResNetBackbone"])
    return _models().BASNetBackbone(encoder, num_classes=1, image_shape=_shape(), projection_filters=64)


def _deeplab() -> Any:
    return _models().DeepLabV3Backbone(
        image_encoder=_resnet(),
        projection_filters=16,
        low_level_feature_key="P2",
        spatial_pyramid_pooling_key="P5",
        upsampling_size=8,
        dilation_rates=[2, 3, 4],
        image_shape=_shape(),
    )


def _depth_anything() -> Any:
    encoder = _models().DINOV2Backbone(
        **{**CONFIGS["DINOV2Backbone"], "num_layers": 4, "patch_size": 8}, image_shape=_shape(), apply_layernorm=True
    )
    return _models().DepthAnythingBackbone(
        image_encoder=encoder,
        reassemble_factors=[4, 2, 1, 0.5],
        neck_hidden_dims=[8, 16, 16, 32],
        fusion_hidden_dim=32,
        head_hidden_dim=16,
        head_in_index=-1,
        feature_keys=["stage1", "stage2", "stage3", "stage4"],
    )


def _d_fine() -> Any:
    body = _models().HGNetV2Backbone(**HGNET, image_shape=_shape(128), out_features=["stage3", "stage4"])
    return _models().DFineBackbone(backbone=body, **D_FINE, image_shape=_shape(128))


def _retinanet() -> Any:
    return _models().RetinaNetBackbone(
        image_encoder=_resnet(128), min_level=3, max_level=7, use_p5=False, image_shape=_shape(128)
    )


def _sam() -> Any:
    import keras_hub

    encoder = _vit_det(128)
    prompts = keras_hub.layers.SAMPromptEncoder(
        hidden_size=16, image_embedding_size=(8, 8), input_image_size=(128, 128), mask_in_channels=16
    )
    masks = keras_hub.layers.SAMMaskDecoder(
        num_layers=2,
        hidden_size=16,
        intermediate_dim=32,
        num_heads=4,
        embedding_dim=16,
        num_multimask_outputs=3,
        iou_head_depth=3,
        iou_head_hidden_dim=8,
    )
    return _models().SAMBackbone(image_encoder=encoder, prompt_encoder=prompts, mask_decoder=masks)


def _vit_det(size: int = 128) -> Any:
    return _models().ViTDetBackbone(
        image_shape=_shape(size),
        patch_size=16,
        hidden_size=16,
        num_layers=3,
        global_attention_layer_indices=[2],
        intermediate_dim=64,
        num_heads=4,
        num_output_channels=16,
        window_size=2,
    )


def _mit() -> Any:
    config = {**CONFIGS["MiTBackbone"], "hidden_dims": [16, 32, 48, 64]}  # SegFormer names its layers by these
    return _models().MiTBackbone(image_shape=_shape(), **config)


def _clip() -> Any:
    vision = _models().CLIPVisionEncoder(**ENCODER, image_shape=_shape())
    text = _models().CLIPTextEncoder(**TEXT, max_sequence_length=_LENGTH)
    return _models().CLIPBackbone(vision_encoder=vision, text_encoder=text, projection_dim=16)


def _siglip() -> Any:
    vision = _models().SigLIPVisionEncoder(**ENCODER, image_shape=_shape())
    text = _models().SigLIPTextEncoder(**TEXT, max_sequence_length=_LENGTH)
    return _models().SigLIPBackbone(vision_encoder=vision, text_encoder=text)


def _metaclip() -> Any:
    vision = _models().MetaCLIP2VisionEncoder(**ENCODER, image_shape=_shape())
    text = _models().MetaCLIP2TextEncoder(**TEXT, max_sequence_length=_LENGTH)
    return _models().MetaCLIP2Backbone(vision_encoder=vision, text_encoder=text, projection_dim=16)


def _vae() -> Any:
    from keras_hub.src.models.vae.vae_backbone import VAEBackbone

    few = {"num_filters": [32, 32], "num_blocks": [1, 1]}
    config = {f"{side}_{name}": value for side in ("encoder", "decoder") for name, value in few.items()}
    return VAEBackbone(**config, sampler_method="mode", sample_channels=4)


#: The image backbones by name, as keras_hub makes them: without a head, some with dicts of maps as outputs.
BACKBONES: dict[str, Callable[[], Any]] = {
    **{name: _of_config(name, **config) for name, config in CONFIGS.items()},
    "ResNetBackbone, bottlenecks": _of_config("ResNetBackbone", **RESNET_BOTTLENECK),
    "EfficientNetBackbone": lambda: _models().EfficientNetBackbone(input_shape=_shape(), **EFFICIENTNET),
    "HGNetV2Backbone": _of_config("HGNetV2Backbone", **HGNET),
    "MobileNetBackbone": _of_config("MobileNetBackbone", **MOBILENET),
    "MobileNetV5Backbone": _of_config("MobileNetV5Backbone", **MOBILENET_V5),
    "DINOV3Backbone": _of_config("DINOV3Backbone", **ENCODER),
    "CLIPVisionEncoder": _of_config("CLIPVisionEncoder", **ENCODER),
    "SigLIPVisionEncoder": _of_config("SigLIPVisionEncoder", **ENCODER),
    "MetaCLIP2VisionEncoder": _of_config("MetaCLIP2VisionEncoder", **ENCODER),
    "CLIPBackbone": _clip,
    "SigLIPBackbone": _siglip,
    "MetaCLIP2Backbone": _metaclip,
    "BASNetBackbone": _basnet,
    "DeepLabV3Backbone": _deeplab,
    "DepthAnythingBackbone": _depth_anything,
    "DFineBackbone": _d_fine,
    "RetinaNetBackbone": _retinanet,
    "SAMBackbone": _sam,
    "SegFormerBackbone": lambda: _models().SegFormerBackbone(image_encoder=_mit(), projection_filters=16),
    "VAEBackbone": _vae,
    "ViTDetBackbone": _vit_det,
    "VideoPrismBackbone": lambda: _models().VideoPrismBackbone(
        num_frames=2,
        patch_size=16,
        hidden_dim=32,
        intermediate_dim=64,
        num_heads=2,
        num_spatial_layers=1,
        num_temporal_layers=1,
        num_auxiliary_layers=0,
        image_shape=_shape(),
    ),
}

# The classifiers of backbones, and the options that are theirs.
_CLASSIFIERS: dict[str, tuple[str, dict[str, Any]]] = {
    "CSPNetImageClassifier": ("CSPNetBackbone", {}),
    "DeiTImageClassifier": ("DeiTBackbone", {}),
    "DenseNetImageClassifier": ("DenseNetBackbone", {}),
    "EfficientNetImageClassifier": ("EfficientNetBackbone", {}),
    "HGNetV2ImageClassifier": ("HGNetV2Backbone", {"preprocessor": None}),
    "MiTImageClassifier": ("MiTBackbone", {}),
    "MobileNetImageClassifier": ("MobileNetBackbone", {"num_features": 64}),
    "MobileNetV5ImageClassifier": ("MobileNetV5Backbone", {"head_hidden_size": 64}),
    "ResNetImageClassifier": ("ResNetBackbone", {}),
    "ResNetImageClassifier, bottlenecks": ("ResNetBackbone, bottlenecks", {}),
    "SwinTransformerImageClassifier": ("SwinTransformerBackbone", {}),
    "VGGImageClassifier": ("VGGBackbone", {}),
    "VGGImageClassifier, flattened": ("VGGBackbone", {"pooling": "flatten", "pooling_hidden_dim": 32}),
    "ViTImageClassifier": ("ViTBackbone", {}),
    "ViTImageClassifier, pooled": ("ViTBackbone", {"pooling": "gap"}),
    "XceptionImageClassifier": ("XceptionBackbone", {}),
}


def _classifier(name: str) -> Callable[[], Any]:
    body, options = _CLASSIFIERS[name]
    return lambda: getattr(_models(), name.split(",")[0])(
        backbone=BACKBONES[body](), num_classes=CLASSES, **{"activation": "softmax", **options}
    )


#: The image classifiers by name.
CLASSIFIERS: dict[str, Callable[[], Any]] = {name: _classifier(name) for name in _CLASSIFIERS}
#: Detectors, segmenters and depth estimators by name.
OTHER_TASKS: dict[str, Callable[[], Any]] = {
    "BASNetImageSegmenter": lambda: _models().BASNetImageSegmenter(_basnet()),
    "DeepLabV3ImageSegmenter": lambda: _models().DeepLabV3ImageSegmenter(_deeplab(), num_classes=CLASSES),
    "DepthAnythingDepthEstimator": lambda: _models().DepthAnythingDepthEstimator(_depth_anything(), "relative"),
    "DFineObjectDetector": lambda: _models().DFineObjectDetector(_d_fine(), CLASSES, "yxyx"),
    "RetinaNetObjectDetector": lambda: _models().RetinaNetObjectDetector(_retinanet(), CLASSES, "yxyx"),
    "SegFormerImageSegmenter": lambda: _models().SegFormerImageSegmenter(
        backbone=_models().SegFormerBackbone(image_encoder=_mit(), projection_filters=16), num_classes=CLASSES
    ),
}
#: The groups of the table.
HUB_GROUPS: dict[str, dict[str, Callable[[], Any]]] = {
    "image backbones": BACKBONES,
    "image classifiers": CLASSIFIERS,
    "other tasks": OTHER_TASKS,
}


def example(model: keras.Model, count: int = 2) -> Any:
    """Return some inputs for a model, in the structure that it takes."""
    import numpy as np

    rng = np.random.default_rng(0)

    def one(tensor: Any) -> np.ndarray:
        # Images of this many pixels; texts and prompts of this many words and points.
        length = SIZE if len(tensor.shape) == 4 and tensor.shape[-1] == 3 else _LENGTH
        shape = [count, *(length if n is None else n for n in tensor.shape[1:])]
        is_whole = "int" in str(tensor.dtype)
        values = rng.integers(1, 8, shape) if is_whole else rng.uniform(0, 1, shape)
        return values.astype(tensor.dtype)

    return keras.tree.map_structure(one, model.input)
