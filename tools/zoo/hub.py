"""Small backbones of ``keras_hub``, built from configs, with a head of our own.

``pip install --no-deps keras-hub kagglehub kagglesdk regex pyyaml tokenizers`` leaves TensorFlow as it is.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers as L  # noqa: N812

from tools.zoo.subject import Build, Subject, soft

_SIZE = 64
_MIT = {
    "layerwise_depths": [1, 1, 1, 1],
    "num_layers": 4,
    "layerwise_num_heads": [1, 2, 4, 8],
    "layerwise_sr_ratios": [8, 4, 2, 1],
    "max_drop_path_rate": 0.1,
    "layerwise_patch_sizes": [7, 3, 3, 3],
    "layerwise_strides": [4, 2, 2, 2],
    "hidden_dims": [16, 32, 64, 64],
}
_RESNET = {
    "input_conv_filters": [64],
    "input_conv_kernel_sizes": [7],
    "stackwise_num_filters": [64, 64, 64, 64],
    "stackwise_num_blocks": [1, 1, 1, 1],
    "stackwise_num_strides": [1, 2, 2, 2],
    "block_type": "basic_block",
}
_TRANSFORMER = {"patch_size": 16, "num_layers": 2, "num_heads": 2, "hidden_dim": 32}
CONFIGS: dict[str, dict[str, Any]] = {
    "ResNetBackbone": _RESNET,
    "VGGBackbone": {"stackwise_num_repeats": [1, 1, 2], "stackwise_num_filters": [8, 16, 32]},
    "DenseNetBackbone": {"stackwise_num_repeats": [2, 2, 2, 2], "growth_rate": 8},
    "XceptionBackbone": {
        "stackwise_conv_filters": [[16, 32], [64, 64], [64, 64]],
        "stackwise_pooling": [False, True, False],
    },
    "CSPNetBackbone": {
        "stem_filters": 16,
        "stem_kernel_size": 3,
        "stem_strides": 1,
        "stackwise_depth": [1, 1, 1],
        "stackwise_strides": [2, 2, 2],
        "stackwise_num_filters": [16, 32, 64],
        "block_ratio": [0.5],  # half of the channels skip the blocks
        "stage_type": "csp",
        "block_type": "dark_block",
    },
    "MiTBackbone": _MIT,
    "SwinTransformerBackbone": {"embed_dim": 16, "depths": [1, 1], "num_heads": [2, 4], "window_size": 4},
    "ViTBackbone": {**_TRANSFORMER, "mlp_dim": 64},
    "DeiTBackbone": {**_TRANSFORMER, "intermediate_dim": 64},
    "DINOV2Backbone": {
        **_TRANSFORMER,
        "intermediate_dim": 64,
        "use_swiglu_ffn": False,
        "position_embedding_shape": (_SIZE, _SIZE, 3),
    },
}


def backbones() -> dict[str, Build]:
    """Return the backbones by name."""
    return {name: lambda name=name: backbone(name) for name in CONFIGS}


def backbone(name: str) -> Subject:
    """Return a backbone with random weights, followed by pooling and a dense layer."""
    import keras_hub

    body = getattr(keras_hub.models, name)(image_shape=(_SIZE, _SIZE, 3), **CONFIGS[name])
    image = keras.Input((_SIZE, _SIZE, 3), name="image")
    x = body(image)
    axes = list(range(1, len(x.shape) - 1))
    label = L.Dense(5, activation="softmax", name="label")(keras.ops.mean(x, axes))
    return Subject(keras.Model(image, label, name=name.lower()), soft(_SIZE, _SIZE, 3))
