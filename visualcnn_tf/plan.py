"""From options and a model to a plan: the taps, and the outputs that the explained model will have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import keras

from visualcnn_tf._checks import bad_value, check_choice
from visualcnn_tf._serial import callable_from_config, callable_to_config
from visualcnn_tf.combine import Combination, check_combine, resolve_weights
from visualcnn_tf.errors import InputShapeError, InvalidArgumentError
from visualcnn_tf.fusion import Fusion, resolve_fusion
from visualcnn_tf.inputs import ModelInputs
from visualcnn_tf.layer import FeatureMapFusion, check_size
from visualcnn_tf.normalize import Normalization, check_dtype, check_normalize
from visualcnn_tf.outputs import (
    COMBINED,
    OutputSpec,
    flat_outputs,
    heatmap_key,
    prediction_names,
    unique,
)
from visualcnn_tf.resize import INTERPOLATIONS
from visualcnn_tf.taps.probe import Call, Probe, is_upstream
from visualcnn_tf.taps.select import Selector, methods_for
from visualcnn_tf.taps.tap import Tap

DEFAULT_METHOD = "deviation"


@dataclass(frozen=True)
class Options:
    """The options of ``attach``, validated; see there."""

    layers: Any = None
    method: Any = DEFAULT_METHOD
    size: str | tuple[int, ...] | None = "input"
    interpolation: str = "bilinear"
    normalize: Normalization = "minmax"
    dtype: str = "float32"
    combine: str | Combination | None = None
    combine_weights: Any = None
    check_numerics: bool = False

    def __post_init__(self) -> None:
        for method in self.method.values() if isinstance(self.method, Mapping) else [self.method]:
            resolve_fusion(method)
        check_choice("interpolation", self.interpolation, INTERPOLATIONS)
        check_choice("check_numerics", self.check_numerics, (True, False))
        check_combine(self.combine)
        object.__setattr__(self, "size", check_size(self.size))
        object.__setattr__(self, "normalize", check_normalize(self.normalize))
        object.__setattr__(self, "dtype", check_dtype(self.dtype, self.normalize))

    def fusion(self, method: str | Fusion, data_format: str, name: str) -> FeatureMapFusion:
        """The layer that makes float32 heatmaps as these options say."""
        return FeatureMapFusion(
            method,
            size=self.size,
            interpolation=self.interpolation,
            normalize=self.normalize,
            data_format=data_format,
            name=name,
        )

    def get_config(self) -> dict[str, Any]:
        """What the outputs depend on; which taps were asked for is kept in the plan, resolved."""
        config = {**self.__dict__, "combine": callable_to_config(self.combine)}
        return {key: value for key, value in config.items() if key not in ("layers", "method", "combine_weights")}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Options:
        """The inverse of :meth:`get_config`."""
        return cls(**{**config, "combine": callable_from_config(config["combine"])})


@dataclass(frozen=True)
class Plan:
    """What an explained model reads and returns.

    Attributes:
        inputs: what the model takes.
        taps: in the order of their heatmaps.
        outputs: name, shape and type of every output, in order.
        weights: of each tap in the combined heatmap, or None.
    """

    inputs: ModelInputs
    taps: tuple[Tap, ...]
    outputs: tuple[OutputSpec, ...]
    weights: tuple[float, ...] | None = None

    def get_config(self) -> dict[str, Any]:
        """Serialisable."""
        return {
            "inputs": self.inputs.get_config(),
            "taps": [tap.get_config() for tap in self.taps],
            "outputs": [asdict(output) for output in self.outputs],
            "weights": self.weights,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Plan:
        """The inverse of :meth:`get_config`."""
        return cls(
            inputs=ModelInputs.from_config(config["inputs"]),
            taps=tuple(Tap.from_config(tap) for tap in config["taps"]),
            outputs=tuple(OutputSpec(**{**o, "shape": tuple(o["shape"])}) for o in config["outputs"]),
            weights=config["weights"] and tuple(config["weights"]),
        )


def make_plan(model: Any, inputs: ModelInputs, options: Options) -> Plan:
    """Selects the taps by one trial run of the model, and works out the outputs.

    Raises:
        VisualCNNError: for every layer, method or size that the model can't serve.
    """
    selector = Selector(model, inputs)
    calls = selector.select(options.layers)
    trial = selector.probe
    methods = methods_for(options.method, [call.path for call in calls], DEFAULT_METHOD)
    own = [
        OutputSpec(name, tuple(tensor.shape), keras.backend.standardize_dtype(tensor.dtype))
        for name, tensor in zip(prediction_names(model, trial.outputs), flat_outputs(trial.outputs), strict=True)
    ]
    taken = [output.name for output in own]
    taps = []
    for call, method in zip(calls, methods, strict=True):
        key = unique(heatmap_key(call.path), taken)
        taken.append(key)
        taps.append(_tap(call, key, method, trial))
    heatmaps = [_heatmap_spec(tap, inputs, options) for tap in taps]
    weights = resolve_weights(options.combine_weights, options.combine, [tap.path for tap in taps])
    combined = [] if options.combine is None else [_combined_spec(heatmaps, unique(COMBINED, taken))]
    return Plan(inputs, tuple(taps), (*own, *heatmaps, *combined), weights)


def _tap(call: Call, key: str, method: Any, trial: Probe) -> Tap:
    return Tap(
        path=call.path,
        key=key,
        shape=call.shape,
        method=method,
        index=call.index // (call.frames or 1),
        frames=call.frames,
        sequence=call.is_sequence,
        data_format=call.data_format,
        reference=_reference(call, trial.inputs),
    )


def _reference(call: Call, inputs: Sequence[Any]) -> int | None:
    """The input that the feature maps are a picture of: of their spatial rank and, if possible, upstream of them."""
    steps = 1 if call.frames is not None or call.is_sequence else 0
    rank = len(call.space) + steps
    for channels in (2, 1):
        fitting = [i for i, image in enumerate(inputs) if len(image.shape) == rank + channels]
        upstream = [i for i in fitting if is_upstream(inputs[i], call.tensor)]
        if fitting:
            return (upstream or fitting)[0]
    return None


def _heatmap_spec(tap: Tap, inputs: ModelInputs, options: Options) -> OutputSpec:
    like = None
    if options.size == "input":
        if tap.reference is None:
            raise InputShapeError(
                f"`size`='input' needs an input with the spatial axes of {tap.path!r}, {tap.shape}. Received: a model "
                f"with inputs {[spec.shape for spec in inputs.specs]}. Set `size` to (H, W) or None."
            )
        like = keras.KerasTensor(tap.like_shape(inputs.specs[tap.reference].shape))
    fusion = options.fusion(tap.method, tap.data_format, tap.key)
    shape = fusion.compute_output_spec(keras.KerasTensor(tap.frame_shape), like=like).shape
    steps = tap.frames or (tap.shape[1] if tap.sequence else None)
    if tap.has_steps:
        shape = (shape[0], steps, *shape[1:])
    return OutputSpec(tap.key, tuple(shape), options.dtype)


def _combined_spec(heatmaps: Sequence[OutputSpec], name: str) -> OutputSpec:
    if len({len(heatmap.shape) for heatmap in heatmaps}) > 1:
        raise InvalidArgumentError(
            "`combine` needs taps of one rank. Received: heatmaps of shapes "
            f"{[heatmap.shape for heatmap in heatmaps]}. Select layers of one rank."
        )
    if len({heatmap.shape for heatmap in heatmaps}) > 1:
        raise bad_value(
            "size", "'input' or (H, W) when `combine` is given", None, "Maps of many sizes can't be combined."
        )
    return replace(heatmaps[0], name=name)
