"""Run a model again from one of its layers on, or from its images on, with changed values."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from visualcnn_tf.introspect.inputs import ModelInputs
from visualcnn_tf.introspect.outputs import flat_outputs
from visualcnn_tf.introspect.record import recording
from visualcnn_tf.methods.replay_protocol import Variations
from visualcnn_tf.ops.normalize import normalize_maps
from visualcnn_tf.ops.place import place
from visualcnn_tf.pipeline.call_log import CallLog
from visualcnn_tf.pipeline.model_run import ModelRun
from visualcnn_tf.pipeline.substitution import Substitute, SubstitutionRecorder, repeat_images
from visualcnn_tf.pipeline.tap import Tap
from visualcnn_tf.targets.graph_scores import Scores

# Numbers in the changed feature maps, or images, of one image that are computed at a time: bounds the memory.
_MAPS_AT_A_TIME = 2**22
_IMAGES_AT_A_TIME = 2**21
#: For a batch of one, so many evaluations are done without a loop, whatever their size: XNNPACK has no loops.
AT_ONCE = 64


class ModelReplay:
    """The :class:`~visualcnn_tf.methods.replay_protocol.Replay` of one tap.

    Args:
        model: the user's model.
        run: the run that is replayed, with a :class:`CallLog`.
        tap: what is changed, and which score is returned.
        scores: what is explained.
        read: what the target takes of the model's outputs, flat.
        inputs: what the model takes.
    """

    def __init__(
        self,
        model: keras.Model,
        run: ModelRun[CallLog],
        tap: Tap,
        scores: Scores,
        read: Callable[[Sequence[tf.Tensor]], Any],
        inputs: ModelInputs,
    ) -> None:
        self.model, self.run, self.tap = model, run, tap
        self.scores, self.read, self.inputs = scores, read, inputs

    def on_maps(self, change: Variations, spatial_mean: Variations, count: int) -> tf.Tensor:
        """Return the scores ``(B, count)`` with changed feature maps of the tapped layer, whose mean is known too."""
        log, tap = self.run.record, self.tap
        key = (id(self.run.layers[tap.path]), tap.calls[0])
        original = log.calls[key[0]][key[1]]
        made: list[Substitute] = []

        def scores(numbers: tf.Tensor) -> tf.Tensor:
            size = numbers.shape[0]
            maps = tf.cast(_flat(change(numbers)), original.dtype)
            others = original if tap.tokens is None else repeat_images(original, size, original)
            substitute = Substitute(tap.from_maps(maps, others), lambda: _flat(spatial_mean(numbers)), tap.data_format)
            made.append(substitute)
            with recording(SubstitutionRecorder(log, key, substitute, size), inline=log.inline):
                return self._scores(repeat_images(self.run.inputs, size, original), size)

        size = _MAPS_AT_A_TIME // math.prod(int(n or 1) for n in tap.step_shape[1:])
        if size < count:
            # A trial of one, whose graph is dropped: means alone are small enough for all variations at once.
            tf.function(scores, autograph=False).get_concrete_function(tf.TensorSpec((1,), tf.int32))
            size = size if made[0].maps.consumers() else count
        return _in_chunks(scores, count, size, original.shape[0])

    def on_images(self, masks: Variations, count: int) -> tf.Tensor:
        """Return the scores ``(B, count)`` of images times maps, which are resized to them and scaled to [0, 1]."""
        tap, inputs, index = self.tap, self.inputs.flatten(self.run.inputs), self.tap.reference_input or 0
        image = inputs[index]
        space = [image.shape[axis] for axis in tap.reference_axes]
        shape = [size if axis in tap.reference_axes else 1 for axis, size in enumerate(image.shape)]

        def scores(numbers: tf.Tensor) -> tf.Tensor:
            maps = place(_flat(masks(numbers)), space, tap.region, "bilinear", _from_zero_to_one)
            repeated = repeat_images(inputs, numbers.shape[0], image)
            masked = tf.cast(repeated[index], tf.float32) * tf.reshape(maps, [-1, *shape[1:]])
            changed = [*repeated[:index], tf.cast(masked, image.dtype), *repeated[index + 1 :]]
            return self._scores(self.inputs.pack(changed), numbers.shape[0])

        return _in_chunks(scores, count, _IMAGES_AT_A_TIME // math.prod(space), image.shape[0])

    def _scores(self, inputs: Any, repeats: int) -> tf.Tensor:
        outputs = flat_outputs(self.model(inputs, training=False))
        return self.scores.of(self.read(outputs), self.tap.target_index, repeats)


def _from_zero_to_one(maps: tf.Tensor) -> tf.Tensor:
    return normalize_maps(maps, "minmax")


def _flat(values: tf.Tensor) -> tf.Tensor:
    """Return ``(B, n, ...)`` as ``(B·n, ...)``."""
    return tf.reshape(values, [-1, *values.shape[2:]])


def _in_chunks(scores: Callable[[tf.Tensor], tf.Tensor], count: int, size: int, batch: int | None) -> tf.Tensor:
    """Return the scores of variations 0 to ``count``, ``size`` at a time."""
    size = max(size, AT_ONCE if batch == 1 else 1)
    if count <= size:
        return scores(tf.range(count))
    chunks = math.ceil(count / size)
    size = math.ceil(count / chunks)  # chunks as equal as can be
    every = tf.minimum(tf.range(chunks * size), count - 1)
    found = tf.map_fn(scores, tf.reshape(every, [chunks, size]), fn_output_signature=tf.float32, parallel_iterations=1)
    return tf.reshape(tf.transpose(found, [1, 0, 2]), [-1, chunks * size])[:, :count]
