"""Forward pass of an explained model: run the model, differentiate or replay, fuse, post-process."""

from __future__ import annotations

import contextlib
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias, cast

import keras
import tensorflow as tf

from visualcnn_tf._utils.types import AxisSize
from visualcnn_tf.errors import NanLayerOutputError, NoGradientError
from visualcnn_tf.gradients.backward import backward_pass
from visualcnn_tf.heatmap.combine import combine_maps
from visualcnn_tf.heatmap.layer import FeatureMapFusion
from visualcnn_tf.introspect.fused_blocks import FusedBlock
from visualcnn_tf.introspect.named_layers import named_layers
from visualcnn_tf.introspect.record import OutputRecorder
from visualcnn_tf.introspect.reference_input import open_region
from visualcnn_tf.ops.fast.postprocess import postprocess_all
from visualcnn_tf.ops.layout import to_channels_last
from visualcnn_tf.ops.normalize import cast_maps
from visualcnn_tf.ops.place import Region
from visualcnn_tf.ops.postprocess import FusedMap
from visualcnn_tf.pipeline.attention import attention_in_run, shares_read, with_heads
from visualcnn_tf.pipeline.call_log import CallLog
from visualcnn_tf.pipeline.model_run import ModelRun, run_model
from visualcnn_tf.pipeline.options import Options
from visualcnn_tf.pipeline.plan import Plan
from visualcnn_tf.pipeline.replay import ModelReplay
from visualcnn_tf.pipeline.tap import Tap
from visualcnn_tf.render.layers import Overlay
from visualcnn_tf.targets.detections.scores import BoxScores
from visualcnn_tf.targets.graph_scores import Scores

# Stands before the layer's name in the error of a failed numerics check.
_NOT_FINITE = "NaN or infinite activations in the layer "

#: The gradients of each score of the target, by its index and the tensor's reference.
Gradients: TypeAlias = dict[tuple[int, Hashable], tf.Tensor | None]


@dataclass(frozen=True, eq=False)
class _Context:
    """What the heatmaps of one run are made from.

    Attributes:
        run: the run of the model.
        images: the model's inputs, flat.
        read: for each tap, by its key, the tensors that its method reads: what is tapped, or attention weights.
        scores: of the target, or None.
        gradients: of the scores, with respect to these tensors.
    """

    run: ModelRun[OutputRecorder]
    images: Sequence[tf.Tensor]
    read: Mapping[str, Sequence[tf.Tensor]]
    scores: Scores | None = None
    gradients: Gradients = field(default_factory=dict)

    def gradients_of(self, tap: Tap) -> list[tf.Tensor]:
        """Return the gradients with respect to each tensor that a method reads.

        Raises:
            NoGradientError: when no path leads from the layer to the score in this run.
        """
        found = [self.gradients[tap.target_index, tensor.ref()] for tensor in self.read[tap.key]]
        known = [gradient for gradient in found if gradient is not None]
        if len(known) < len(found):
            raise NoGradientError(f"No path leads from {tap.path!r} to the score in this run of the model.")
        return known


class Pipeline:
    """What an explained model computes.

    Args:
        model: the user's model.
        plan: what is read and returned.
        options: how heatmaps are made.

    Attributes:
        needs_graph: whether it can only run in a graph: the plan says so, or part of the model is a TensorFlow graph.
    """

    def __init__(self, model: keras.Model, plan: Plan, options: Options) -> None:
        self.model, self.plan, self.options = model, plan, options
        self.target = options.resolved_target
        self.fusions = [
            options.fusion(tap.method, tap.data_format, tap.key, plan.may_explain_nothing) for tap in plan.taps
        ]
        layers = named_layers(model) if plan.fused_blocks else {}
        self.fused_blocks = [FusedBlock([layers[path] for path in paths]) for paths in plan.fused_blocks]
        self.overlay = None if options.overlay is None else _of_pixels(options.overlay)
        self.needs_graph = plan.needs_graph or any(
            getattr(layer, "needs_graph", False) for layer in (model, *named_layers(model).values())
        )
        self.in_graph = tf.function(self.__call__, autograph=False, reduce_retracing=True)

    def __call__(self, inputs: Any, training: bool) -> dict[str, tf.Tensor]:
        """Run the model, and return all outputs by name, in the order of the plan."""
        plan, options = self.plan, self.options
        given, asked = plan.split(inputs)
        model_inputs = plan.inputs.standardize(given)
        run = run_model(self.model, plan, self.fused_blocks, model_inputs, training)
        images = plan.inputs.flatten(model_inputs)
        context = _Context(run, images, {tap.key: self._sources(run, tap) for tap in plan.taps})
        if plan.output_index is not None:
            scores = self.target.scores(self._read(run.outputs), self._by_target_names(asked))
            context = replace(context, scores=scores, gradients=_gradients(plan.taps, context.read, scores))
        heatmaps = self._heatmaps(context)
        if options.combine is not None:
            heatmaps.append(combine_maps(heatmaps, options.combine, plan.weights, options.normalize))
        return {
            **dict(zip(plan.names("model"), run.outputs, strict=True)),
            **self._classes(context.scores),
            **self._reports(context.scores, images),
            **dict(zip(plan.names("heatmap", "combined"), map(self._cast, heatmaps), strict=True)),
            **self._overlays(heatmaps, images),
        }

    def _read(self, outputs: Sequence[tf.Tensor]) -> Any:
        """Return what the target takes of the model's outputs, flat."""
        names = self.plan.names("model")
        return self.target.read(dict(zip(names, outputs, strict=True)), names[cast(int, self.plan.output_index)])

    def _by_target_names(self, asked: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Return what was given for the target's inputs by the names that the target knows."""
        names = zip(self.target.inputs, self.plan.target_inputs, strict=True)
        return {own.name: asked[planned.name] for own, planned in names if planned.name in asked}

    def _sources(self, run: ModelRun[OutputRecorder], tap: Tap) -> list[tf.Tensor]:
        """Return the tensors that the method of a tap reads."""
        if tap.method.needs_attention:
            return attention_in_run(run, tap, self.plan.output_index)
        return run.tensors(tap)

    def _classes(self, scores: Scores | None) -> dict[str, tf.Tensor]:
        """Return the explained classes: ``(B,)``, or ``(B, n)`` for several."""
        if self.plan.classes is None or scores is None or scores.classes is None:
            return {}
        several = self.target.suffixes != ("",)
        return {self.plan.classes: scores.classes if several else scores.classes[:, 0]}

    def _reports(self, scores: Scores | None, images: Sequence[tf.Tensor]) -> dict[str, tf.Tensor]:
        """Return what else the target tells of what it explains."""
        names = self.plan.names("report")
        if not names or scores is None:
            return {}
        found = self.target.reported(scores, self._image_size(images)).values()
        several = self.target.suffixes != ("",)
        return {name: value if several else value[:, 0] for name, value in zip(names, found, strict=True)}

    def _image_size(self, images: Sequence[tf.Tensor]) -> tuple[AxisSize, AxisSize] | None:
        """Return height and width of the image that is explained."""
        for tap in self.plan.taps:
            if tap.reference_input is not None and len(tap.reference_axes) == 2:
                image = images[tap.reference_input]
                height, width = (image.shape[axis] or tf.shape(image)[axis] for axis in tap.reference_axes)
                return height, width
        return None

    def _heatmaps(self, context: _Context) -> list[tf.Tensor]:
        """Return the heatmap of each tap, of the type in which it leaves its layer."""
        taps = self.plan.taps
        folded = [tap.fold(context.run.tensors(tap), context.images) for tap in taps]
        fused = [
            self._fused(tap, fusion, activations, context)
            for tap, fusion, (activations, _) in zip(taps, self.fusions, folded, strict=True)
        ]
        batches = [tap.batch_key for tap in taps]
        return [
            self._zero_without_class(tap.unfold(heatmap, steps), tap, context.scores)
            for tap, heatmap, (_, steps) in zip(taps, postprocess_all(fused, batches), folded, strict=True)
        ]

    def _fused(self, tap: Tap, fusion: FeatureMapFusion, activations: tf.Tensor, context: _Context) -> FusedMap:
        """Return the fused map of a tap."""
        if self.options.check_numerics:
            activations = tf.debugging.check_numerics(activations, f"{_NOT_FINITE}{tap.path!r}")
        given: Any = activations
        if tap.method.needs_attention:
            given = self._rolled_out(tap, context)
        elif tap.method.needs_gradients:
            given = [activations, tap.fold(context.gradients_of(tap), context.images)[0]]
        elif tap.method.needs_replay:
            given = self._replayed(tap, activations, context)
        elif tap.method.needs_head:
            given = _of_head(tap, cast(BoxScores, context.scores))
        like = tap.reference(context.images) if self.options.size == "input" else None
        with tf.name_scope(fusion.name):
            return fusion.fuse_maps(given, like, self._region(tap, context))

    def _region(self, tap: Tap, context: _Context) -> Region | None:
        """Return the part of the reference input that the feature maps of a tap cover, in this run."""
        if not tap.has_open_region or self.options.size is None:
            return tap.region
        source = context.images[cast(int, tap.reference_input)]
        return open_region(source, context.run.tensors(tap)[0], tap.spatial_axes, tap.tokens)

    def _rolled_out(self, tap: Tap, context: _Context) -> tf.Tensor:
        """Return the map of a method of attention, as feature maps of one channel."""
        attention = with_heads(context.read[tap.key])
        gradients = [with_heads(context.gradients_of(tap))] if tap.method.needs_gradients else []
        read = shares_read(tap.tokens_read, attention[-1])
        relevance = tap.method(attention, read, *gradients)  # type: ignore[operator]
        return tap.fold([tf.expand_dims(relevance, -1)], context.images)[0]

    def _replayed(self, tap: Tap, activations: tf.Tensor, context: _Context) -> tf.Tensor:
        """Return the map of a method that needs a replay, as feature maps of one channel."""
        run, scores = cast(ModelRun[CallLog], context.run), cast(Scores, context.scores)
        replay = ModelReplay(self.model, run, tap, scores, self._read, self.plan.inputs)
        activations = tf.cast(to_channels_last(activations, tap.data_format), tf.float32)
        maps = tap.method(activations, replay)  # type: ignore[operator]
        maps = tf.nn.relu(maps) if tap.method.keeps_positive else maps
        return tf.expand_dims(maps, 1 if tap.data_format == "channels_first" else -1)

    def _zero_without_class(self, heatmap: tf.Tensor, tap: Tap, scores: Scores | None) -> tf.Tensor:
        """Return zeros for an image that holds nothing of what is explained, such as a class that does not exist."""
        if not self.plan.may_explain_nothing or not tap.method.explains_target or scores is None:
            return heatmap
        # A product, because XNNPACK has no choice.
        classes = cast(tf.Tensor, scores.classes)
        exists = tf.cast(classes[:, tap.target_index] >= 0, heatmap.dtype)
        return heatmap * tf.reshape(exists, [-1, *[1] * (heatmap.shape.rank - 1)])

    def _cast(self, heatmap: tf.Tensor) -> tf.Tensor:
        dtype = self.options.heatmap_dtype
        return heatmap if heatmap.dtype == dtype else cast_maps(heatmap, dtype)

    def _overlays(self, heatmaps: Sequence[tf.Tensor], images: Sequence[tf.Tensor]) -> dict[str, tf.Tensor]:
        """Return the images with each heatmap laid over, the combined one, last, over that of the first tap."""
        if self.overlay is None or self.plan.pixels is None:
            return {}
        seen = [to_channels_last(images[tap.reference_input or 0], tap.data_format) for tap in self.plan.taps]
        shown = [self.plan.pixels.unscale(image) for image in seen]
        shown += shown[: len(heatmaps) - len(shown)]
        pictures = [self.overlay(image, heatmap) for image, heatmap in zip(shown, heatmaps, strict=True)]
        return dict(zip(self.plan.names("overlay"), pictures, strict=True))


def _of_pixels(overlay: Overlay) -> Overlay:
    """Return the same layer for images from 0 to 255."""
    return type(overlay).from_config({**overlay.get_config(), "value_range": (0, 255)})  # type: ignore[no-any-return]


def _of_head(tap: Tap, scores: BoxScores) -> tf.Tensor:
    """Return the map of a method that reads the scores of a dense head, as feature maps of one channel."""
    index = tap.target_index
    maps = tap.method(scores.probabilities, scores.classes[:, index : index + 1])  # type: ignore[operator]
    return tf.expand_dims(maps, -1)


def _gradients(taps: Sequence[Tap], read: Mapping[str, Sequence[tf.Tensor]], scores: Scores) -> Gradients:
    """Run one backward pass for each score of the target, for all taps together."""
    found: Gradients = {}
    taps = [tap for tap in taps if tap.method.needs_gradients]
    for index in sorted({tap.target_index for tap in taps}):
        tensors = [tensor for tap in taps if tap.target_index == index for tensor in read[tap.key]]
        sources = {tensor.ref(): tensor for tensor in tensors}
        seed, classes = scores.seed(index), scores.one_hot(index)
        result = backward_pass([scores.result], [seed], list(sources.values()), classes)
        found |= {(index, source): gradient for source, gradient in zip(sources, result.of, strict=True)}
    return found


@contextlib.contextmanager
def naming_the_layer() -> Iterator[None]:
    """Turn TensorFlow's error for a failed numerics check into ours."""
    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        if _NOT_FINITE not in error.message:
            raise
        layer = error.message.split(_NOT_FINITE)[1].split("'")[1]
        raise NanLayerOutputError(
            f"`inputs` give NaN or infinite activations in the layer {layer!r}. Check the input and the weights; "
            "without `check_numerics` such an image gets an all-zero heatmap."
        ) from None
