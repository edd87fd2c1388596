"""Running a model again from one of its layers on, or from its images on, with changed values."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from visualcnn_tf.introspect.named_layers import children
from visualcnn_tf.introspect.outputs import flat_outputs
from visualcnn_tf.introspect.record import OutputRecorder, Recorder, recording
from visualcnn_tf.ops.layout import from_channels_last
from visualcnn_tf.ops.normalize import normalize_maps
from visualcnn_tf.ops.resize import resize
from visualcnn_tf.pipeline.tap import Tap
from visualcnn_tf.targets.score import Scores

# Numbers in the changed feature maps, or images, of one image that are computed at a time: bounds the memory.
_MAPS_AT_A_TIME = 2**22
_IMAGES_AT_A_TIME = 2**21
# Layers that read no more of feature maps than their mean over places.
_POOLING = (keras.layers.GlobalAveragePooling2D, keras.layers.GlobalAveragePooling3D)
#: Runs of a batch of one that are done at once, whatever their size: XNNPACK can't run loops over them.
AT_ONCE = 64


class CallLog(OutputRecorder):
    """What every layer returned, call after call, and in which order."""

    def __init__(self, layers: Any, inline: Any) -> None:
        super().__init__(layers)
        self.inline = list(inline)
        self.order: list[tuple[int, int]] = []

    def returned(self, layer: Any, outputs: Any) -> Any:
        """Notes the call."""
        self.order.append((id(layer), len(self.calls[id(layer)])))
        return super().returned(layer, outputs)


@dataclass(frozen=True, eq=False)
class _Changed:
    """Feature maps that a layer returns instead of its own.

    Attributes:
        maps: the maps, in a graph where they cost nothing unless they are read.
        mean: what makes their mean over places, ``(N, C)``, without them.
        data_format: of the maps.
    """

    maps: Any
    mean: Callable[[], Any]
    data_format: str

    def pooled(self, layer: Any, args: tuple[Any, ...]) -> Any:
        """What a layer makes of the maps if that is their mean, else ``NotImplemented``."""
        # What is passed by keyword, which hardly anybody does, is not seen here: it goes the long way.
        if type(layer) not in _POOLING or layer.data_format != self.data_format or not args or args[0] is not self.maps:
            return NotImplemented
        mean = tf.cast(self.mean(), self.maps.dtype)
        if not layer.keepdims:
            return mean
        shape = layer.compute_output_shape(self.maps.shape)
        return tf.reshape(mean, [-1, *shape[1:]])


class _Replay(Recorder):
    """Replaces what a layer returns by other values, and what had been returned before by what that was.

    So everything that follows the layer runs anew, skip connections included, on the batch with each image repeated.
    What is computed before it a second time, outside of layers, is read by nothing and drops out of the graph, and so
    do the values where nothing but their mean is read.
    """

    def __init__(self, history: CallLog, place: tuple[int, int], changed: _Changed, repeats: int) -> None:
        super().__init__(history.layers.values())
        self.changed = changed
        self.counts = dict.fromkeys(history.layers, 0)
        original = history.calls[place[0]][place[1]]
        past = {before: history.calls[before[0]][before[1]] for before in history.order[: history.order.index(place)]}
        # Tensors inside of a loop can't be read from outside, but what the loop returns can.
        past = {before: outputs for before, outputs in past.items() if _in_graph(outputs, original.graph)}
        self.values = {**repeated(past, repeats, original), place: changed.maps}

    def instead(self, layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The replaced outputs of a layer without layers inside: those inside of others must go on being counted."""
        value = self.values.get((id(layer), self.counts[id(layer)]), NotImplemented)
        if value is NotImplemented:
            value = self.changed.pooled(layer, args)
        if value is NotImplemented or children(layer):
            return NotImplemented
        self.counts[id(layer)] += 1
        return value

    def returned(self, layer: Any, outputs: Any) -> Any:
        """The replaced outputs of a layer that had to run."""
        place = (id(layer), self.counts[id(layer)])
        self.counts[id(layer)] += 1
        return self.values.get(place, outputs)


def repeated(tensors: Any, count: int, batch: Any) -> Any:
    """Each image ``count`` times in a row; a tensor without the batch's size stays what it is.

    Args:
        tensors: nested tensors.
        count: how often.
        batch: a tensor with the batch first, which tells its size.
    """
    if count == 1:
        return tensors
    order = tf.repeat(tf.range(tf.shape(batch)[0]), count)

    def one(tensor: Any) -> Any:
        has_batch = tf.is_tensor(tensor) and tensor.shape.rank and tensor.shape[0] == batch.shape[0]
        # Not tf.repeat, which would be ten operations for each of hundreds of tensors, most of them never read.
        return tf.gather(tensor, order) if has_batch else tensor

    return keras.tree.map_structure(one, tensors)


def _in_graph(outputs: Any, graph: Any) -> bool:
    return all(getattr(leaf, "graph", None) is graph for leaf in keras.tree.flatten(outputs))


class ModelReplay:
    """The :class:`~visualcnn_tf.methods.perturbation.Replay` of one tap.

    Args:
        model: the user's model.
        inputs: what it was called with, as it takes them.
        history: of that call.
        tap: what is changed.
        layer: the tapped layer.
        scores: what is explained.
        scored: which of the model's outputs, flat, that is.
        image: which of the inputs, flat, is masked.
    """

    def __init__(
        self, model: Any, inputs: Any, history: CallLog, tap: Tap, layer: Any, scores: Scores, scored: int, image: int
    ) -> None:
        self.model, self.inputs, self.history = model, inputs, history
        self.tap, self.layer, self.image = tap, layer, image
        self.scores, self.scored = scores, scored

    def on_maps(self, change: Callable[[Any], Any], mean: Callable[[Any], Any], count: int) -> Any:
        """Scores ``(B, count)`` with changed feature maps of the tapped layer, of which there is also the mean."""
        place = (id(self.layer), self.tap.index)
        original = self.history.calls[place[0]][place[1]]
        made: list[_Changed] = []

        def scores(numbers: Any) -> Any:
            values = change(numbers)
            values = tf.reshape(values, [-1, *values.shape[2:]])
            values = tf.cast(from_channels_last(values, self.tap.data_format), original.dtype)
            size = numbers.shape[0]
            channels = original.shape[1 if self.tap.data_format == "channels_first" else -1]
            changed = _Changed(values, lambda: tf.reshape(mean(numbers), [-1, channels]), self.tap.data_format)
            replay = _Replay(self.history, place, changed, size)
            made.append(changed)
            with recording(replay, inline=self.history.inline):
                return self._scores(repeated(self.inputs, size, original), size)

        size = _MAPS_AT_A_TIME // math.prod(original.shape[1:])
        if size < count:
            # A trial of one, whose graph is dropped: means alone are small enough for all variations at once.
            tf.function(scores, autograph=False).get_concrete_function(tf.TensorSpec((1,), tf.int32))
            size = size if made[0].maps.consumers() else count
        return _in_chunks(scores, count, size, original.shape[0])

    def on_images(self, change: Callable[[Any], Any], count: int) -> Any:
        """Scores ``(B, count)`` of images that are multiplied by maps, scaled to their size and to [0, 1]."""
        flat = keras.tree.flatten(self.inputs)
        image = flat[self.image]
        axis = 1 if self.tap.data_format == "channels_first" else -1
        space = [n for place, n in enumerate(image.shape) if place not in (0, axis % image.shape.rank)]

        def scores(numbers: Any) -> Any:
            maps = change(numbers)
            maps = normalize_maps(resize(tf.reshape(maps, [-1, *maps.shape[2:]]), space), "minmax")
            size = numbers.shape[0]
            images = repeated(flat, size, image)
            masked = tf.cast(images[self.image], tf.float32) * tf.expand_dims(maps, axis)
            images[self.image] = tf.cast(masked, image.dtype)
            return self._scores(keras.tree.pack_sequence_as(self.inputs, images), size)

        size = _IMAGES_AT_A_TIME // math.prod(space)
        return _in_chunks(scores, count, size, image.shape[0])

    def _scores(self, inputs: Any, repeats: int) -> Any:
        outputs = flat_outputs(self.model(inputs, training=False))
        return self.scores.of(outputs[self.scored], self.tap.column, repeats)


def _in_chunks(scores: Callable[[Any], Any], count: int, size: int, batch: int | None) -> Any:
    """The scores of variations 0 to ``count``, ``size`` at a time."""
    size = max(size, AT_ONCE if batch == 1 else 1)
    if count <= size:
        return scores(tf.range(count))
    chunks = math.ceil(count / size)
    size = math.ceil(count / chunks)  # chunks as equal as can be
    every = tf.minimum(tf.range(chunks * size), count - 1)
    found = tf.map_fn(scores, tf.reshape(every, [chunks, size]), fn_output_signature=tf.float32, parallel_iterations=1)
    return tf.reshape(tf.transpose(found, [1, 0, 2]), [-1, chunks * size])[:, :count]
