"""From taps and options to the outputs of an explained model: one pure function for each kind."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import keras

from visualcnn_tf._utils.checks import bad_value
from visualcnn_tf._utils.types import Shape
from visualcnn_tf.errors import InputShapeError, InvalidArgumentError, NoFeatureMapError
from visualcnn_tf.introspect.inputs import ModelInputs
from visualcnn_tf.introspect.outputs import flat_outputs, prediction_names
from visualcnn_tf.introspect.trace import Trace
from visualcnn_tf.pipeline.explained_output import ExplainedOutput
from visualcnn_tf.pipeline.options import Options
from visualcnn_tf.pipeline.outputs import COMBINED, OutputSpec, unique
from visualcnn_tf.pipeline.tap import Tap
from visualcnn_tf.targets.base import Target


def model_outputs(model: keras.Model, trace: Trace) -> list[OutputSpec]:
    """Return the model's own outputs."""
    names, tensors = prediction_names(model, trace.outputs), flat_outputs(trace.outputs)
    return [
        OutputSpec(name, tuple(tensor.shape), keras.backend.standardize_dtype(tensor.dtype), "model")
        for name, tensor in zip(names, tensors, strict=True)
    ]


def classes_output(name: str, target: Target) -> OutputSpec:
    """Return the output of the explained classes: ``(B,)``, or ``(B, n)`` for several classes."""
    shape: Shape = (None,) if target.suffixes == ("",) else (None, len(target.suffixes))
    return OutputSpec(name, shape, "int32", "classes")


def report_outputs(explained: ExplainedOutput, taken: Collection[str]) -> list[OutputSpec]:
    """Return what the target tells of what it explains: of one score ``(B, ...)``, of n scores ``(B, n, ...)``."""
    scores = () if explained.target.suffixes == ("",) else (len(explained.target.suffixes),)
    found: list[OutputSpec] = []
    for name, shape in explained.target.reports(explained.read).items():
        key = unique(name, [*taken, *(spec.name for spec in found)])
        found.append(OutputSpec(key, (None, *scores, *shape), "float32", "report"))
    return found


def explanation_outputs(
    taps: Sequence[Tap], inputs: ModelInputs, options: Options, before: Sequence[OutputSpec]
) -> list[OutputSpec]:
    """Return the outputs that follow those of the model and the classes: heatmaps, the combined one, overlays."""
    outputs = [heatmap_output(tap, inputs, options) for tap in taps]
    taken = [output.name for output in (*before, *outputs)]
    if options.combine is not None:
        outputs.append(combined_output(outputs, options.resolved_target, taken))
    if options.overlay is not None:
        outputs += overlay_outputs(taps, outputs, inputs, taken)
    return outputs


def heatmap_output(tap: Tap, inputs: ModelInputs, options: Options) -> OutputSpec:
    """Return the output of a tap's heatmap.

    Raises:
        NoFeatureMapError: for a heatmap ``(H, W)`` of tokens whose grid is not known.
        InputShapeError: for ``size="input"`` where no input has the layer's spatial axes.
    """
    _refuse_tokens(tap, inputs, options.size)
    like = None
    if options.size == "input":
        if tap.reference_input is None:
            raise InputShapeError(
                f"`size`='input' needs an input with the spatial axes of {tap.path!r}, {tap.shape}. Received: a model "
                f"with inputs {[spec.shape for spec in inputs.specs]}. Set `size` to (H, W) or None."
            )
        like = keras.KerasTensor(tap.reference_shape(inputs.specs[tap.reference_input].shape))
    fusion = options.fusion(tap.method, tap.data_format, tap.key)
    maps = keras.KerasTensor(tap.step_shape)
    shape = fusion.compute_output_spec([maps, maps] if fusion.method.needs_gradients else maps, like=like).shape
    batch = shape[0] if tap.elements is None else inputs.specs[0].shape[0]
    shape = (batch, tap.steps, *shape[1:]) if tap.has_steps else tuple(shape)
    return OutputSpec(tap.key, shape, options.heatmap_dtype, "heatmap")


def _refuse_tokens(tap: Tap, inputs: ModelInputs, size: str | tuple[int, ...] | None) -> None:
    """Raise for a heatmap ``(H, W)`` of tokens of which nothing tells the positions that they stand for."""
    wants_image = tap.reference_input is None if size == "input" else size is not None and len(size) == 2
    if wants_image and len(tap.step_shape) == 3 and any(len(spec.shape) == 4 for spec in inputs.specs):
        advice = "Say them by `tokens`, such as `tokens=TokenGrid(14, 14, prefix=1)`"
        if any(None in spec.shape[1:] for spec in inputs.specs):
            advice = "Pass `input_shape` to fix the sizes"
        raise NoFeatureMapError(
            f"`layers` must name layers with maps (B, h, w, C) of the image. Received: {tap.path!r} with shape "
            f"{tap.shape}, tokens whose positions in the image can't be found. {advice}, or set "
            "`size=None` for one value for each token."
        )


def combined_output(heatmaps: Sequence[OutputSpec], target: Target, taken: Collection[str]) -> OutputSpec:
    """Return the output that combines all heatmaps.

    Raises:
        InvalidArgumentError: for heatmaps of several classes, ranks or sizes.
    """
    if target.suffixes != ("",):
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
    return replace(heatmaps[0], name=unique(COMBINED, taken), kind="combined")


def overlay_outputs(
    taps: Sequence[Tap], heatmaps: Sequence[OutputSpec], inputs: ModelInputs, taken: Collection[str]
) -> list[OutputSpec]:
    """Return one picture for each heatmap, the combined one included.

    Raises:
        InvalidArgumentError: for a tap whose reference input is no gray or color image.
    """
    for tap in taps:
        _check_sees_images(tap, inputs)
    specs: list[OutputSpec] = []
    for heatmap in heatmaps:
        names = [*taken, *(spec.name for spec in specs)]
        name = unique(heatmap.name.replace("heatmap", "overlay", 1), names)
        specs.append(OutputSpec(name, (*heatmap.shape, 3), "uint8", "overlay"))
    return specs


def _check_sees_images(tap: Tap, inputs: ModelInputs) -> None:
    shape = () if tap.reference_input is None else inputs.specs[tap.reference_input].shape
    channels = shape[1 if tap.data_format == "channels_first" else -1] if len(shape) == 4 else None
    if channels not in (1, 3) or not tap.shows_all_axes(4):
        raise bad_value(
            "render",
            "None unless the layer sees gray or color images (B, H, W, C)",
            "overlay",
            f"{tap.path!r} sees an input of shape {shape}.",
        )
