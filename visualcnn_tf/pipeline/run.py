"""From one run of the model to its predictions and heatmaps: the road of the data, top to bottom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf

from visualcnn_tf.errors import NoGradientError
from visualcnn_tf.gradients.backward import backward_pass
from visualcnn_tf.heatmap.combine import combine_maps
from visualcnn_tf.heatmap.layer import FeatureMapFusion
from visualcnn_tf.introspect.fused_blocks import FusedBlock, FusedBlockRecorder
from visualcnn_tf.introspect.named_layers import named_layers
from visualcnn_tf.introspect.outputs import flat_outputs
from visualcnn_tf.introspect.record import OutputRecorder, is_recording, recording
from visualcnn_tf.introspect.trace import inlined
from visualcnn_tf.methods import FUSIONS, is_discriminative, is_perturbation, needs_gradients, rectified
from visualcnn_tf.ops.exporting import is_exporting
from visualcnn_tf.ops.fast.postprocess import postprocess_all
from visualcnn_tf.ops.layout import to_channels_last
from visualcnn_tf.ops.normalize import cast_maps
from visualcnn_tf.pipeline.options import Options
from visualcnn_tf.pipeline.plan import Plan
from visualcnn_tf.pipeline.replay import CallLog, ModelReplay
from visualcnn_tf.pipeline.tap import Tap
from visualcnn_tf.targets.score import PREDICTED, Scores

#: Stands before the layer's name in the error of a failed numerics check.
NOT_FINITE = "NaN or infinite activations in the layer "


@dataclass
class _Run:
    """One run of the model.

    Attributes:
        inputs: what the model took.
        outputs: what it returned, flat.
        layers: all its layers by path.
        recorder: what the tapped layers returned; what all did where the model runs again.
        scores: what is explained, :class:`Scores`, or None.
        gradients: of the scores by column, with respect to the tensors of each tap by reference.
    """

    inputs: Any
    outputs: list[Any]
    layers: dict[str, Any]
    recorder: Any
    scores: Any = None
    gradients: dict[tuple[int, Any], Any] = field(default_factory=dict)

    def tensors(self, tap: Tap) -> list[Any]:
        """What is tapped."""
        return tap.calls(self.recorder.of(self.layers[tap.path]))


def explain(
    model: Any,
    plan: Plan,
    options: Options,
    fusions: Sequence[FeatureMapFusion],
    chains: Sequence[FusedBlock],
    inputs: Any,
    training: bool | None,
) -> list[Any]:
    """Runs the model, and returns all outputs in the order of the plan."""
    own, class_index = plan.split(inputs)
    run = _run(model, plan, chains, own, training)
    told: list[Any] = []
    if plan.scored is not None:
        run.scores = _scores(run.outputs[plan.scored], plan, options, class_index)
        run.gradients = _gradients(run, plan.taps)
        if run.scores.classes is not None:
            classes = run.scores.classes
            told = [classes if len(plan.outputs[len(run.outputs)].shape) == 2 else classes[:, 0]]
    images = plan.inputs.flatten(own)
    fused, steps = [], []
    for tap, fusion in zip(plan.taps, fusions, strict=True):
        activations, count = _fused_from(model, tap, run, plan, options)
        like = tap.like(images) if options.size == "input" else None
        with tf.name_scope(fusion.name):
            fused.append(fusion.fuse_maps(activations, like))
        steps.append(count)
    # Taps with the same input and the same axis of time steps fold them into batches of one size.
    batches = [(tap.reference, tap.frames, tap.sequence) for tap in plan.taps]
    heatmaps = [
        _of_known_classes(tap.unfold(heatmap, count), tap, run, options)
        for tap, heatmap, count in zip(plan.taps, postprocess_all(fused, batches), steps, strict=True)
    ]
    is_cast = options.fused_dtype == options.dtype
    outputs = [*run.outputs, *told, *(heatmaps if is_cast else [cast_maps(one, options.dtype) for one in heatmaps])]
    if options.combine is not None:
        combined = combine_maps(heatmaps, options.combine, plan.weights, options.normalize)
        heatmaps.append(combined)
        outputs.append(cast_maps(combined, options.dtype))
    return [*outputs, *_pictures(heatmaps, images, plan.taps, options.render)]


def _pictures(heatmaps: Sequence[Any], images: Sequence[Any], taps: Sequence[Tap], overlay: Any) -> list[Any]:
    """The images with each of the heatmaps laid over, the combined one, last, over that of the first tap."""
    if overlay is None:
        return []
    shown = [to_channels_last(images[tap.reference or 0], tap.data_format) for tap in taps]
    return [overlay(image, heatmap) for image, heatmap in zip([*shown, shown[0]], heatmaps, strict=False)]


def _run(model: Any, plan: Plan, chains: Sequence[FusedBlock], inputs: Any, training: bool | None) -> _Run:
    layers = named_layers(model)
    inline = inlined(model, layers.values())
    recorder: OutputRecorder
    if any(is_perturbation(tap.method) for tap in plan.taps):
        recorder = CallLog(layers.values(), inline)
    else:
        tapped = {layers[tap.path] for tap in plan.taps}
        # In training, in exported files, and for whoever else may watch the layers, each one runs by itself.
        is_chained = chains and not (training or is_exporting() or is_recording())
        recorder = FusedBlockRecorder(tapped, chains) if is_chained else OutputRecorder(tapped)
    with recording(recorder, inline=inline):
        outputs = flat_outputs(model(inputs, training=training))
    return _Run(inputs, outputs, layers, recorder)


def _scores(output: Any, plan: Plan, options: Options, class_index: Any) -> Scores:
    if plan.class_index is not None and class_index is None:
        class_index = tf.fill(tf.shape(output)[:1], PREDICTED)
    return Scores(output, options.target, class_index)


def _gradients(run: _Run, taps: Sequence[Tap]) -> dict[tuple[int, Any], Any]:
    """Run one backward pass for each explained class, for all taps together."""
    found: dict[tuple[int, Any], Any] = {}
    for column in sorted({tap.column for tap in taps if needs_gradients(tap.method)}):
        wanted = [tap for tap in taps if needs_gradients(tap.method) and tap.column == column]
        sources = {tensor.ref(): tensor for tap in wanted for tensor in run.tensors(tap)}
        seed, classes = run.scores.seed(column), run.scores.one_hot(column)
        result = backward_pass([run.scores.result], [seed], list(sources.values()), classes)
        found |= {(column, source): gradient for source, gradient in zip(sources, result.of, strict=True)}
    return found


def _fused_from(model: Any, tap: Tap, run: _Run, plan: Plan, options: Options) -> tuple[Any, Any]:
    """What the fusion layer of a tap takes, and the number of time steps or None."""
    tensors = run.tensors(tap)
    activations, count = tap.fold(tensors)
    if options.check_numerics:
        activations = tf.debugging.check_numerics(activations, f"{NOT_FINITE}{tap.path!r}")
    if needs_gradients(tap.method):
        gradients = [run.gradients[tap.column, tensor.ref()] for tensor in tensors]
        if any(gradient is None for gradient in gradients):
            raise NoGradientError(f"No path leads from {tap.path!r} to the score in this run of the model.")
        return [activations, tap.fold(gradients)[0]], count
    if is_perturbation(tap.method):
        return _perturbed(model, tap, activations, run, plan, options), count
    return activations, count


def _perturbed(model: Any, tap: Tap, activations: Any, run: _Run, plan: Plan, options: Options) -> Any:
    """The map of a method that runs the model again, as feature maps of one channel."""
    layer, scored = run.layers[tap.path], plan.scored or 0
    rerun = ModelReplay(model, run.inputs, run.recorder, tap, layer, run.scores, scored, tap.reference or 0)
    activations = tf.cast(to_channels_last(activations, tap.data_format), tf.float32)
    maps = FUSIONS[str(tap.method)](activations, rerun, options.max_channels)
    maps = rectified(maps, tap.method) if options.relu else maps
    return tf.expand_dims(maps, 1 if tap.data_format == "channels_first" else -1)


def _of_known_classes(heatmap: Any, tap: Tap, run: _Run, options: Options) -> Any:
    """Zeros for an image whose class is not there: only a class that is asked for may be none."""
    if options.target != "input" or not is_discriminative(tap.method):
        return heatmap
    known = tf.cast(run.scores.classes[:, tap.column] >= 0, heatmap.dtype)
    return heatmap * tf.reshape(known, [-1, *[1] * (heatmap.shape.rank - 1)])
