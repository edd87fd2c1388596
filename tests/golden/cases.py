"""The cases as plain data: a model, what is asked of it, and nothing of how any version is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from golden import models

#: Every method that version 1.0.0 has by name.
ACTIVATION_METHODS = ("deviation", "mean", "mean_abs", "max", "l2", "std", "eigen")
GRADIENT_METHODS = ("gradcam", "gradcam++", "hirescam", "layercam", "xgradcam", "eigengradcam")
PERTURBATION_METHODS = ("reciprocam", "scorecam", "ablationcam")
CLASS_METHODS = GRADIENT_METHODS + PERTURBATION_METHODS
METHODS = ACTIVATION_METHODS + CLASS_METHODS


@dataclass(frozen=True)
class Case:
    """One explained model and what it is given.

    Attributes:
        model: name of the model in ``models.MODELS``.
        layers: what is tapped: a name or path, a preset, a pattern, an index, None, or a list of these.
        method: a name, a list of names, or a dict from patterns to these.
        method_options: options of the method itself, ``relu`` and ``max_channels``.
        size: ``"input"``, numbers, or None.
        interpolation: its name.
        normalize: ``"minmax"``, ``"max"``, ``("range", low, high)`` or None.
        heatmap_dtype: type of the heatmaps.
        combine: ``"mean"``, ``"max"``, ``"product"`` or None.
        combine_weights: a dict from patterns to numbers, or numbers.
        target: ``"predicted"``, a class, a list of them, ``"top<n>"`` or ``"input"``.
        class_index: what the input of that name is given with the target ``"input"``.
        output: which of several outputs is explained.
        after_activation: whether the activations that follow the layers are tapped in their place.
        render: None, ``"overlay"``, or the options of an overlay as a dict.
        jit: what XLA compiles, ``"fusion"`` or ``"activation"``, or None.
    """

    model: str
    layers: Any = None
    method: str | Sequence[str] | Mapping[str, Any] = "deviation"
    method_options: Mapping[str, Any] = field(default_factory=dict)
    size: str | tuple[int, ...] | None = "input"
    interpolation: str = "bilinear"
    normalize: str | tuple[str, float, float] | None = "minmax"
    heatmap_dtype: str = "float32"
    combine: str | None = None
    combine_weights: Mapping[str, float] | Sequence[float] | None = None
    target: str | int | Sequence[int] = "predicted"
    class_index: Sequence[int] | None = None
    output: str | None = None
    after_activation: bool = False
    render: str | Mapping[str, Any] | None = None
    jit: str | None = None


def feed(case: Case) -> models.Input:
    """Make what the explained model of a case predicts from."""
    x = models.inputs(case.model)
    if case.class_index is None:
        return x
    named = x if isinstance(x, dict) else {"image": x}
    return {**named, "class_index": np.array(case.class_index, np.int32)}


_SIGNED: dict[str, Any] = {"method_options": {"relu": False}, "normalize": "max"}

CASES: dict[str, Case] = {
    # Every method: raw maps of one layer, which show a factor that a scale would hide, and what users get by default.
    **{f"raw-{method}": Case("plain", ["conv_b"], method, size=None, normalize=None) for method in METHODS},
    **{f"default-{method}": Case("residual", "stages", method) for method in ACTIVATION_METHODS + GRADIENT_METHODS},
    **{f"default-{method}": Case("residual", "last", method) for method in PERTURBATION_METHODS},
    # Methods on other kinds of models.
    "nested-conv": Case("nested"),
    "nested-eigen": Case("nested", "backbone/inner_conv", "eigen"),
    "nested-gradcam": Case("nested", "stages", "gradcam"),
    "nested-layercam": Case("nested", ["backbone/deep/deep_separable"], "layercam", normalize=None),
    "nested-reciprocam": Case("nested", "backbone/deep/deep_separable", "reciprocam", normalize=None),
    "nested-ablationcam": Case("nested", "backbone/inner_leaky", "ablationcam"),
    "signal-conv": Case("signal"),
    "signal-std-of-given-size": Case("signal", "conv_b", "std", size=(50,), interpolation="bicubic"),
    "signal-gradcam++": Case("signal", "conv", "gradcam++"),
    "signal-scorecam": Case("signal", "last", "scorecam", normalize=None),
    "volume-conv": Case("volume", combine="mean"),
    "volume-l2-of-given-size": Case("volume", "conv_b", "l2", size=(5, 12, 7), interpolation="area"),
    "volume-hirescam": Case("volume", "last", "hirescam"),
    "volume-ablationcam": Case("volume", "last", "ablationcam", normalize=None),
    "binary-gradcam": Case("binary", "last", "gradcam", normalize=None),
    "binary-signed": Case("binary", "conv", "hirescam", **_SIGNED),
    "binary-of-class-0": Case("binary", "conv_b", "xgradcam", target=0),
    "binary-of-both": Case("binary", "conv_b", "layercam", target=[0, 1], normalize=None),
    "binary-ablationcam": Case("binary", "last", "ablationcam", target=1, **_SIGNED),
    "pair-conv": Case("pair"),
    "pair-label": Case("pair", "last", "gradcam", output="label"),
    "pair-tags": Case("pair", "conv", "layercam", output="tags", target=[3, 1]),
    "pair-reciprocam": Case("pair", "conv_b", "reciprocam", output="label", normalize=None),
    "pair-scorecam-of-input": Case(
        "pair", "conv_b", "scorecam", output="label", target="input", class_index=(1, 0), normalize=None
    ),
    "clip-conv": Case("clip"),
    "clip-raw": Case("clip", "conv", "mean_abs", size=None, normalize=None),
    "clip-gradcam": Case("clip", "last", "gradcam"),
    "clip-xgradcam": Case("clip", "frames_a/conv_a", "xgradcam", size=(9, 11), target=1),
    # Layers.
    "layers-list": Case("residual", ["top_conv", "stem_relu", "block_add"]),
    "layers-pattern": Case("residual", "block_*", "mean", normalize="max"),
    "layers-indices": Case("plain", [0, -3], "l2"),
    "layers-preset-and-name": Case("residual", ["last", "stem_bn"], "max"),
    "after-activation": Case("residual", after_activation=True),
    "after-activation-gradcam": Case("residual", ["stem_conv", "block_depthwise"], "gradcam", after_activation=True),
    # Several methods.
    "methods-list": Case("plain", ["conv_a", "conv_c"], ["deviation", "eigen", "gradcam++", "scorecam"]),
    "methods-dict": Case("plain", "conv", {"conv_a": "std", "conv_*": ["gradcam", "mean_abs"]}),
    # Options of methods.
    **{f"signed-{method}": Case("plain", ["conv_c"], method, **_SIGNED) for method in CLASS_METHODS},
    "signed-raw": Case("residual", "last", "gradcam", method_options={"relu": False}, normalize=None),
    "signed-list": Case("plain", ["conv_a"], ["hirescam", "layercam"], **_SIGNED),
    "channels-scorecam": Case("plain", ["conv_b"], "scorecam", method_options={"max_channels": 4}, normalize=None),
    "channels-ablationcam": Case(
        "residual", "last", "ablationcam", method_options={"max_channels": 5, "relu": False}, normalize=None
    ),
    # Size and interpolation.
    "size-none": Case("plain", size=None),
    "size-larger": Case("plain", ["conv_b", "conv_c"], size=(40, 33)),
    "size-smaller": Case("plain", ["conv_a"], size=(7, 9)),
    "size-mixed": Case("plain", ["conv_a", "conv_c"], "gradcam", size=(10, 10), normalize=None),
    "nearest": Case("plain", "conv", interpolation="nearest"),
    "nearest-smaller": Case("plain", ["conv_a"], interpolation="nearest", size=(11, 7), normalize=None),
    "bicubic": Case("plain", "conv", interpolation="bicubic"),
    "bicubic-raw": Case("residual", "stages", "layercam", interpolation="bicubic", normalize=None),
    "area": Case("plain", "conv", interpolation="area"),
    "area-smaller": Case("plain", ["conv_a"], interpolation="area", size=(9, 7), normalize=None),
    # Normalization.
    "normalize-max": Case("plain", "conv", normalize="max"),
    "normalize-range": Case("plain", "conv", "mean", normalize=("range", 0.45, 0.6)),
    "normalize-range-gradcam": Case("residual", "stages", "gradcam", normalize=("range", 0.003, 0.03)),
    "normalize-none": Case("plain", "conv", normalize=None),
    # The heatmaps' type.
    "float16": Case("plain", "conv", heatmap_dtype="float16"),
    "float16-raw": Case("residual", "stages", "l2", heatmap_dtype="float16", normalize=None),
    "uint8": Case("plain", "conv", heatmap_dtype="uint8"),
    "uint8-max": Case("residual", "stages", "gradcam", heatmap_dtype="uint8", normalize="max"),
    "uint8-range": Case("plain", "conv", "mean", heatmap_dtype="uint8", normalize=("range", 0.45, 0.6)),
    "uint8-bicubic": Case("plain", ["conv_c"], heatmap_dtype="uint8", interpolation="bicubic"),
    # Combinations.
    "combine-mean": Case("plain", combine="mean"),
    "combine-max": Case("residual", "stages", "layercam", combine="max"),
    "combine-product": Case("residual", ["stem_relu", "block_add", "top_relu"], combine="product"),
    "combine-weights-dict": Case("plain", combine="mean", combine_weights={"conv_*": 2.0, "pool_a": 0.5}),
    "combine-weights-list": Case(
        "residual", ["stem_relu", "top_relu"], "gradcam", combine="product", combine_weights=[0.5, 2.0]
    ),
    "combine-max-weights": Case("plain", ["conv_a", "conv_b"], "mean", combine="max", combine_weights=[1.0, 0.3]),
    "combine-uint8": Case("plain", combine="mean", heatmap_dtype="uint8"),
    "combine-range": Case("plain", ["conv_a", "conv_b"], "mean", combine="mean", normalize=("range", 0.45, 0.6)),
    "combine-raw": Case("plain", ["conv_a", "conv_b"], "l2", combine="product", normalize=None),
    # Targets.
    "target-int": Case("plain", ["conv_c"], "gradcam", target=3, normalize=None),
    "target-list": Case("plain", ["conv_b"], "layercam", target=[4, 0, 2], normalize=None),
    "target-list-reciprocam": Case("plain", ["conv_c"], "reciprocam", target=[1, 2], normalize=None),
    "target-top2": Case("residual", "stages", "gradcam", target="top2"),
    "target-top3-ablationcam": Case(
        "nested", "outer_conv", "ablationcam", method_options={"relu": False}, target="top3", normalize=None
    ),
    "target-input": Case("plain", ["conv_c"], "gradcam", target="input", class_index=(2, -1)),
    "target-input-unknown": Case("residual", "last", "hirescam", target="input", class_index=(7, 2), normalize=None),
    "target-input-uint8": Case(
        "residual", "last", "gradcam++", target="input", class_index=(0, 3), heatmap_dtype="uint8"
    ),
    # Pictures.
    "overlay": Case("plain", ["conv_b"], render="overlay"),
    "overlay-grey": Case("binary", "last", "gradcam", render="overlay"),
    "overlay-options": Case(
        "residual", "last", "eigen", render={"alpha": 0.7, "colormap": "viridis", "weighted": True}
    ),
    "overlay-combined": Case("plain", ["conv_a", "conv_c"], combine="mean", render="overlay", heatmap_dtype="uint8"),
    "overlay-value-range": Case("nested", "stages", "layercam", render={"value_range": (-1.0, 1.0), "alpha": 0.4}),
    # Compiled by XLA.
    "jit-fusion": Case("residual", "stages", jit="fusion"),
    "jit-fusion-raw": Case("plain", ["conv_b"], "eigen", jit="fusion", normalize=None),
    "jit-fusion-gradcam": Case("plain", ["conv_b", "conv_c"], "gradcam", jit="fusion", heatmap_dtype="uint8"),
    "jit-activation": Case("residual", "conv", after_activation=True, jit="activation"),
}
