"""Configs of small models of ``keras_hub``."""

from __future__ import annotations

from typing import Any

SIZE, CLASSES = 64, 5
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
RESNET = {
    "input_conv_filters": [64],
    "input_conv_kernel_sizes": [7],
    "stackwise_num_filters": [64, 64, 64, 64],
    "stackwise_num_blocks": [1, 1, 1, 1],
    "stackwise_num_strides": [1, 2, 2, 2],
    "block_type": "basic_block",
}
_TRANSFORMER = {"patch_size": 16, "num_layers": 2, "num_heads": 2, "hidden_dim": 32}
ENCODER = {**_TRANSFORMER, "intermediate_dim": 64}
CONFIGS: dict[str, dict[str, Any]] = {
    "ResNetBackbone": RESNET,
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
    "DeiTBackbone": ENCODER,
    "DINOV2Backbone": {
        **ENCODER,
        "use_swiglu_ffn": False,
        "position_embedding_shape": (SIZE, SIZE, 3),
    },
}
HGNET = {
    "stem_channels": [3, 16, 16],
    "stackwise_stage_filters": [
        [16, 16, 32, 1, 3, 3],
        [32, 16, 64, 1, 3, 3],
        [64, 32, 64, 1, 3, 5],
        [64, 32, 128, 1, 3, 5],
    ],
    "apply_downsample": [False, True, True, True],
    "use_lightweight_conv_block": [False, False, True, True],
    "depths": [1, 1, 1, 1],
    "hidden_sizes": [32, 64, 64, 128],
    "embedding_size": 16,
    "use_learnable_affine_block": True,
    "hidden_act": "relu",
}
MOBILENET = {
    "stackwise_expansion": [[16, 24], [24, 32]],
    "stackwise_num_blocks": [2, 2],
    "stackwise_num_filters": [[16, 16], [24, 24]],
    "stackwise_kernel_size": [[3, 3], [5, 5]],
    "stackwise_num_strides": [[2, 1], [2, 1]],
    "stackwise_se_ratio": [[None, None], [0.25, 0.25]],
    "stackwise_activation": [["relu", "relu"], ["hard_swish", "hard_swish"]],
    "stackwise_padding": [[1, 1], [2, 2]],
    "output_num_filters": 64,
    "depthwise_filters": 8,
    "depthwise_stride": 1,
    "depthwise_residual": False,
    "squeeze_and_excite": 0.5,
    "last_layer_filter": 32,
}
MOBILENET_V5 = {
    "stackwise_block_types": [["er"], ["uir", "uir"]],
    "stackwise_num_blocks": [1, 2],
    "stackwise_num_filters": [[24], [48, 48]],
    "stackwise_strides": [[2], [2, 1]],
    "stackwise_act_layers": [["relu"], ["relu", "relu"]],
    "stackwise_exp_ratios": [[4.0], [6.0, 6.0]],
    "stackwise_se_ratios": [[0.0], [0.0, 0.0]],
    "stackwise_dw_kernel_sizes": [[0], [5, 5]],
    "stackwise_dw_start_kernel_sizes": [[0], [0, 0]],
    "stackwise_dw_end_kernel_sizes": [[0], [0, 0]],
    "stackwise_exp_kernel_sizes": [[3], [0, 0]],
    "stackwise_pw_kernel_sizes": [[1], [0, 0]],
    "stackwise_num_heads": [[0], [0, 0]],
    "stackwise_key_dims": [[0], [0, 0]],
    "stackwise_value_dims": [[0], [0, 0]],
    "stackwise_kv_strides": [[0], [0, 0]],
    "stackwise_use_cpe": [[False], [False, False]],
    "use_msfa": False,
}
EFFICIENTNET = {
    "stackwise_kernel_sizes": [3, 3, 3, 3],
    "stackwise_num_repeats": [1, 1, 2, 1],
    "stackwise_input_filters": [8, 8, 16, 24],
    "stackwise_output_filters": [8, 16, 24, 32],
    "stackwise_expansion_ratios": [1, 4, 4, 4],
    "stackwise_squeeze_and_excite_ratios": [0.0, 0.0, 0.25, 0.25],
    "stackwise_strides": [1, 2, 2, 2],
    "stackwise_block_types": ["fused", "fused", "unfused", "unfused"],
    "stackwise_width_coefficients": [1.0] * 4,
    "stackwise_depth_coefficients": [1.0] * 4,
    "stackwise_force_input_filters": [0] * 4,
    "stackwise_nores_option": [False] * 4,
}
RESNET_BOTTLENECK = {**RESNET, "block_type": "bottleneck_block", "use_pre_activation": True}
TEXT = {
    "vocabulary_size": 64,
    "embedding_dim": 32,
    "hidden_dim": 32,
    "num_layers": 1,
    "num_heads": 2,
    "intermediate_dim": 64,
}
D_FINE = {
    "decoder_in_channels": [32, 32],
    "encoder_hidden_dim": 32,
    "num_denoising": 0,
    "num_labels": CLASSES,
    "hidden_dim": 32,
    "learn_initial_query": False,
    "num_queries": 12,
    "anchor_image_size": (128, 128),
    "feat_strides": [16, 32],
    "num_feature_levels": 2,
    "encoder_in_channels": [64, 128],
    "encode_proj_layers": [1],
    "num_attention_heads": 4,
    "encoder_ffn_dim": 64,
    "num_encoder_layers": 1,
    "hidden_expansion": 0.5,
    "depth_multiplier": 0.5,
    "eval_idx": -1,
    "num_decoder_layers": 2,
    "decoder_attention_heads": 4,
    "decoder_ffn_dim": 64,
    "decoder_n_points": [3, 3],
    "lqe_hidden_dim": 16,
    "num_lqe_layers": 2,
    "out_features": ["stage3", "stage4"],
    "seed": 0,
}
