"""From options and a model to a plan: the taps, and the outputs that the explained model will have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import keras

from visualcnn_tf._utils.checks import bad_value, check_choice, quoted
from visualcnn_tf.errors import InputShapeError, InvalidArgumentError, NoFeatureMapError
from visualcnn_tf.heatmap.combine import resolve_weights
from visualcnn_tf.introspect.fused_blocks import fused_blocks_to
from visualcnn_tf.introspect.inputs import ModelInputs
from visualcnn_tf.introspect.outputs import (
    CLASS_INDEX,
    COMBINED,
    EXPLAINED_CLASS,
    OutputSpec,
    flat_outputs,
    heatmap_key,
    prediction_names,
    unique,
)
from visualcnn_tf.introspect.select import Selector, methods_for
from visualcnn_tf.introspect.trace import LayerCall, Trace, is_upstream
from visualcnn_tf.methods import is_discriminative, method_name, needs_gradients
from visualcnn_tf.pipeline.checks import check_reachable, check_replays
from visualcnn_tf.pipeline.options import DEFAULT_METHOD, Options
from visualcnn_tf.pipeline.tap import Tap
from visualcnn_tf.targets.score import Target, suffixes


@dataclass(frozen=True)
class Plan:
    """What an explained model reads and returns.

    Attributes:
        inputs: what the model takes.
        taps: in the order of their heatmaps.
        outputs: name, shape and type of every output, in order.
        weights: of each tap in the combined heatmap, or None.
        scored: which of the model's own outputs, flat, is explained; None when no method explains a class.
        classes: name of the output that tells the explained classes, or None.
        class_index: name of the input that asks for a class, or None.
        fallbacks: type and name of each operation whose gradient is TensorFlow's own, not a rule of this package:
            TensorFlow Lite may lack it.
        chains: the paths of layers that lead to a tap and are compiled as one, see ``taps.chains``.
    """

    inputs: ModelInputs
    taps: tuple[Tap, ...]
    outputs: tuple[OutputSpec, ...]
    weights: tuple[float, ...] | None = None
    scored: int | None = None
    classes: str | None = None
    class_index: str | None = None
    fallbacks: tuple[tuple[str, str], ...] = ()
    chains: tuple[tuple[str, ...], ...] = ()

    @property
    def all_inputs(self) -> ModelInputs:
        """What the explained model takes: the model's inputs and, if a class can be asked for, its index."""
        return self.inputs if self.class_index is None else self.inputs.with_class_index(self.class_index)

    def split(self, inputs: Any) -> tuple[Any, Any]:
        """What the model takes, and the class index or None, of what the explained model was given."""
        if self.class_index is None or not isinstance(inputs, Mapping):
            return inputs, None
        own = {name: tensor for name, tensor in inputs.items() if name != self.class_index}
        if set(own) == set(self.inputs.names):
            own = self.inputs.pack(self.inputs.flatten(own))
        return own, inputs.get(self.class_index)

    def get_config(self) -> dict[str, Any]:
        """Serializable."""
        return {
            "inputs": self.inputs.get_config(),
            "taps": [tap.get_config() for tap in self.taps],
            "outputs": [asdict(output) for output in self.outputs],
            "weights": self.weights,
            "scored": self.scored,
            "classes": self.classes,
            "class_index": self.class_index,
            "fallbacks": self.fallbacks,
            "chains": self.chains,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Plan:
        """The inverse of :meth:`get_config`."""
        return cls(
            inputs=ModelInputs.from_config(config["inputs"]),
            taps=tuple(Tap.from_config(tap) for tap in config["taps"]),
            outputs=tuple(OutputSpec(**{**o, "shape": tuple(o["shape"])}) for o in config["outputs"]),
            weights=config["weights"] and tuple(config["weights"]),
            scored=config.get("scored"),
            classes=config.get("classes"),
            class_index=config.get("class_index"),
            fallbacks=tuple((kind, name) for kind, name in config.get("fallbacks", ())),
            chains=tuple(tuple(chain) for chain in config.get("chains", ())),
        )


def make_plan(model: Any, inputs: ModelInputs, options: Options) -> Plan:
    """Selects the taps by one trial run of the model, and works out the outputs.

    Raises:
        VisualCNNError: for every layer, method or size that the model can't serve.
    """
    selector = Selector(model, inputs)
    trial = selector.trace
    own = [
        OutputSpec(name, tuple(tensor.shape), keras.backend.standardize_dtype(tensor.dtype))
        for name, tensor in zip(prediction_names(model, trial.outputs), flat_outputs(trial.outputs), strict=True)
    ]
    names = [output.name for output in own]
    selector.output = names.index(options.output) if options.output in names else None
    calls = selector.select(options.layers, options.after_activation)
    methods = methods_for(options.method, [call.path for call in calls], DEFAULT_METHOD)
    planned = list(_planned(calls, methods, options.target))
    discriminative = any(is_discriminative(method) for _, method, _, _ in planned)
    if not discriminative:
        _check_unused(options)
    scored = _scored(options.output, names) if discriminative else None
    taken = list(names)
    classes = unique(EXPLAINED_CLASS, taken) if discriminative and not callable(options.target) else None
    taken += [classes] if classes else []
    taps = []
    for call, method, suffix, column in planned:
        taps.append(_tap(call, unique(heatmap_key(call.path) + suffix, taken), method, column, trial))
        taken.append(taps[-1].key)
    heatmaps = [_heatmap_spec(tap, inputs, options) for tap in taps]
    weights = resolve_weights(options.combine_weights, options.combine, [tap.path for tap in taps])
    combined = [] if options.combine is None else [_combined_spec(heatmaps, unique(COMBINED, taken), options.target)]
    fallbacks: tuple[tuple[str, str], ...] = ()
    if scored is not None:
        tapped = list(zip([call for call, *_ in planned], taps, strict=True))
        fallbacks = check_reachable(trial, tapped, scored, names[scored], options.target)
        check_replays(trial, tapped, scored, options.max_channels)
    pictures = [] if options.render is None else _pictures_specs(taps, [*heatmaps, *combined], inputs, taken)
    told = [] if classes is None else [OutputSpec(classes, _classes_shape(options.target), "int32")]
    asks = options.target == "input" and scored is not None
    return Plan(
        inputs,
        tuple(taps),
        (*own, *told, *heatmaps, *combined, *pictures),
        weights,
        scored=scored,
        classes=classes,
        class_index=unique(CLASS_INDEX, inputs.names) if asks else None,
        fallbacks=fallbacks,
        # What explains a class walks back through the activations, or runs them again.
        chains=fused_blocks_to(calls, trial) if options.jit_compile == "activation" and scored is None else (),
    )


def _pictures_specs(
    taps: Sequence[Tap], heatmaps: Sequence[OutputSpec], inputs: ModelInputs, taken: Sequence[str]
) -> list[OutputSpec]:
    """One picture for each heatmap, the combined one included."""
    for tap in taps:
        shape = () if tap.reference is None else inputs.specs[tap.reference].shape
        channels = shape[1 if tap.data_format == "channels_first" else -1] if len(shape) == 4 else None
        if channels not in (1, 3) or tap.has_steps:
            raise bad_value(
                "render",
                "None unless the layer sees gray or color images (B, H, W, C)",
                "overlay",
                f"{tap.path!r} sees an input of shape {shape}.",
            )
    specs: list[OutputSpec] = []
    for heatmap in heatmaps:
        name = unique(heatmap.name.replace("heatmap", "overlay", 1), [*taken, *(spec.name for spec in specs)])
        specs.append(OutputSpec(name, (*heatmap.shape, 3), "uint8"))
    return specs


def _check_unused(options: Options) -> None:
    """Raises for options that only class-discriminative methods have."""
    defaults: dict[str, Any] = {"target": "predicted", "output": None, "relu": True, "max_channels": None}
    for name, default in defaults.items():
        value = getattr(options, name)
        if value != default:
            raise bad_value(
                name, f"{default!r} with methods that explain no class", value, "Use a method such as 'gradcam'."
            )


def _planned(
    calls: Sequence[LayerCall], methods: Sequence[Any], target: Target
) -> Iterator[tuple[LayerCall, Any, str, int]]:
    """Each heatmap: the call that is tapped, the method, what its key ends in, and which class it explains."""
    for call, entry in zip(calls, methods, strict=True):
        several = isinstance(entry, (list, tuple))
        for method in entry if several else [entry]:
            name = "_" + method_name(method).replace("+", "p") if several else ""
            for column, suffix in enumerate(suffixes(target) if is_discriminative(method) else [""]):
                yield call, method, name + suffix, column


def _scored(output: str | None, names: Sequence[str]) -> int:
    """The place of the output that is explained.

    Raises:
        InvalidArgumentError: for a name that is not among them, or none where there are several.
    """
    if output is None and len(names) == 1:
        return 0
    if output is None:
        raise bad_value("output", f"one of the model's outputs {quoted(names)}", None, "Name the one to explain.")
    check_choice("output", output, names)
    return list(names).index(output)


def _tap(call: LayerCall, key: str, method: Any, column: int, trial: Trace) -> Tap:
    return Tap(
        path=call.path,
        key=key,
        shape=call.shape,
        method=method,
        index=call.index // (call.frames or 1),
        frames=call.frames,
        sequence=call.returns_sequence,
        data_format=call.data_format,
        reference=_reference(call, trial.inputs),
        column=column,
    )


def _reference(call: LayerCall, inputs: Sequence[Any]) -> int | None:
    """The input that the feature maps are a picture of: of their spatial rank and, if possible, upstream of them."""
    steps = 1 if call.frames is not None or call.returns_sequence else 0
    rank = len(call.space) + steps
    for channels in (2, 1):
        fitting = [i for i, image in enumerate(inputs) if len(image.shape) == rank + channels]
        upstream = [i for i in fitting if is_upstream(inputs[i], call.tensor)]
        if fitting:
            return (upstream or fitting)[0]
    return None


def _heatmap_spec(tap: Tap, inputs: ModelInputs, options: Options) -> OutputSpec:
    like = None
    _refuse_tokens(tap, inputs, options.size)
    if options.size == "input":
        if tap.reference is None:
            raise InputShapeError(
                f"`size`='input' needs an input with the spatial axes of {tap.path!r}, {tap.shape}. Received: a model "
                f"with inputs {[spec.shape for spec in inputs.specs]}. Set `size` to (H, W) or None."
            )
        like = keras.KerasTensor(tap.like_shape(inputs.specs[tap.reference].shape))
    fusion = options.fusion(tap.method, tap.data_format, tap.key)
    maps = keras.KerasTensor(tap.frame_shape)
    shape = fusion.compute_output_spec([maps, maps] if needs_gradients(tap.method) else maps, like=like).shape
    steps = tap.frames or (tap.shape[1] if tap.sequence else None)
    if tap.has_steps:
        shape = (shape[0], steps, *shape[1:])
    return OutputSpec(tap.key, tuple(shape), options.dtype)


def _refuse_tokens(tap: Tap, inputs: ModelInputs, size: Any) -> None:
    """Raises for a heatmap ``(H, W)`` of a row of tokens: nothing tells the places that they stand for."""
    wants_image = tap.reference is None if size == "input" else size is not None and len(size) == 2
    if wants_image and len(tap.frame_shape) == 3 and any(len(spec.shape) == 4 for spec in inputs.specs):
        raise NoFeatureMapError(
            f"`layers` must name layers with maps (B, h, w, C) of the image. Received: {tap.path!r} with shape "
            f"{tap.shape}, a row of tokens as in vision transformers. Tap the convolution that makes the tokens, "
            "reshape them to (B, h, w, C) for a `FeatureMapFusion` (see docs/layers.md), or set `size=None` for one "
            "value for each token."
        )


def _classes_shape(target: Target) -> tuple[int | None, ...]:
    """``(B,)``, or ``(B, n)`` for several classes."""
    count = len(suffixes(target))
    return (None,) if suffixes(target) == [""] else (None, count)


def _combined_spec(heatmaps: Sequence[OutputSpec], name: str, target: Target) -> OutputSpec:
    if suffixes(target) != [""]:
        raise bad_value("combine", "None for several classes", target, "A combined map explains one class.")
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
