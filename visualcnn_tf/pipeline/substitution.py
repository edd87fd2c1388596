"""Substitute feature maps while a model runs again, so that only what follows their layer is computed anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from visualcnn_tf.introspect.operation_layers import GlobalPooling
from visualcnn_tf.introspect.record import Recorder
from visualcnn_tf.pipeline.call_log import CallKey, CallLog

# Layers that read no more of feature maps than their mean over positions.
_POOLING = (keras.layers.GlobalAveragePooling2D, keras.layers.GlobalAveragePooling3D)


@dataclass(frozen=True, eq=False)
class Substitute:
    """Feature maps that a layer returns instead of its own.

    Attributes:
        maps: the maps, in a graph where they cost nothing unless they are read.
        spatial_mean: makes their mean over positions, ``(N, C)``, without them.
        data_format: of the maps.
    """

    maps: tf.Tensor
    spatial_mean: Callable[[], tf.Tensor]
    data_format: str

    def pooled(self, layer: keras.Operation, args: tuple[Any, ...]) -> Any:
        """Return what a global average pooling layer makes of the maps, or ``NotImplemented`` for any other layer."""
        # What is passed by keyword, which hardly anybody does, is not seen here: then the maps are computed.
        if not _averages(layer) or _format_of(layer) != self.data_format or not args or args[0] is not self.maps:
            return NotImplemented
        mean = tf.cast(self.spatial_mean(), self.maps.dtype)
        if not layer.keepdims:
            return mean
        shape = [1] * self.maps.shape.rank
        axis = 1 if self.data_format == "channels_first" else -1
        shape[axis] = self.maps.shape[axis]
        return tf.reshape(mean, [-1, *shape[1:]])


def _averages(layer: keras.Operation) -> bool:
    """Return whether a layer returns the mean over all positions."""
    return type(layer) in _POOLING or (isinstance(layer, GlobalPooling) and layer.averages)


def _format_of(layer: keras.Operation) -> str:
    return str(layer.data_format or keras.config.image_data_format())


class SubstitutionRecorder(Recorder):
    """Replace what one call returns by a substitute, and what earlier calls return by what they had returned.

    So everything that follows the call runs anew, skip connections included, on the batch with each image repeated.
    Of the earlier calls only those are replaced that have one row for each image; what has none, such as windows of
    maps, runs anew. What is computed a second time outside of layers has no consumer and is pruned, as are the
    substitute's maps where only their mean is used.

    Args:
        log: of the run that is replayed.
        key: the call whose output is replaced.
        substitute: what replaces it.
        repeats: how often each image stands in a row in the batch.
    """

    def __init__(self, log: CallLog, key: CallKey, substitute: Substitute, repeats: int) -> None:
        super().__init__(log.layers.values())
        self.log, self.substitute = log, substitute
        self.counts = dict.fromkeys(log.layers, 0)
        original = log.calls[key[0]][key[1]]
        self.values = {**repeat_images(log.reusable_before(key), repeats, original), key: substitute.maps}

    def replacement(self, layer: keras.Operation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return the replaced output of a layer; the calls that it would make are counted nevertheless."""
        key = (id(layer), self.counts[id(layer)])
        if key in self.values:
            for made, _ in self.log.made_by(key):
                self.counts[made] += 1
            return self.values[key]
        pooled = self.substitute.pooled(layer, args)
        if pooled is not NotImplemented:
            self.counts[id(layer)] += 1
        return pooled

    def on_call_end(self, layer: keras.Operation, outputs: Any) -> Any:
        """Count the call of a layer that had to run."""
        self.counts[id(layer)] += 1
        return outputs


def repeat_images(tensors: Any, count: int, batch: tf.Tensor) -> Any:
    """Repeat each image ``count`` times in a row.

    Args:
        tensors: nested tensors with the batch first, and one row for each image.
        count: how often.
        batch: a tensor with the batch first, which tells its size.
    """
    if count == 1:
        return tensors
    order = tf.repeat(tf.range(tf.shape(batch)[0]), count)

    def one(tensor: Any) -> Any:
        # Not tf.repeat, which would be ten operations for each of hundreds of tensors, most of them never read.
        return tf.gather(tensor, order) if tf.is_tensor(tensor) and tensor.shape.rank else tensor

    return keras.tree.map_structure(one, tensors)
