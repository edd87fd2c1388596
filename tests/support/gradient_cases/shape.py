"""Cases of the rules for operations that move values, take a part or add a border."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from support.gradient_cases.check import Case

S = (2, 3, 4)
IMAGE = (2, 4, 6, 8)


def case(function: Any, *ops: str, shape: tuple[int, ...] = S, inputs: int = 1, tflite: bool = True) -> Case:
    """Squared, so that the gradient depends on the values."""
    return Case(lambda *x: function(*map(tf.square, x)), [shape] * inputs, ops, smooth=True, tflite=tflite)


def pieces(x: tf.Tensor) -> tf.Tensor:
    first, _, third = tf.split(x, 3, 1)
    return first - tf.exp(third)


def uneven_pieces(x: tf.Tensor) -> tf.Tensor:
    first, _, third = tf.split(x, [1, 2, 1], 2)
    return first - tf.exp(third)


def unstacked(x: tf.Tensor) -> tf.Tensor:
    first, _, third = tf.unstack(x, axis=1)
    return first - tf.exp(third)


def largest(x: tf.Tensor) -> tf.Tensor:
    return tf.math.top_k(x, 2)[0]


def patches(x: tf.Tensor, size: tuple[int, int], strides: tuple[int, int], padding: str) -> tf.Tensor:
    return tf.image.extract_patches(x, [1, *size, 1], [1, *strides, 1], [1, 1, 1, 1], padding)


MOVING: dict[str, Case] = {
    "reshape": case(lambda x: tf.reshape(x, [-1, 6, 2]), "Reshape"),
    "reshape_of_unknown_shape": case(lambda x: tf.reshape(x, [tf.shape(x)[0], -1]), "Reshape"),
    "squeeze": case(lambda x: tf.squeeze(x, [1]), "Squeeze", shape=(2, 1, 4)),
    "expand_dims": case(lambda x: tf.expand_dims(x, -2), "ExpandDims"),
    "transpose": case(lambda x: tf.transpose(x, [2, 0, 1]), "Transpose"),
    "concat": case(lambda a, b: tf.concat([a, 2.0 * b, a], -1), "ConcatV2", inputs=2),
    "concat_with_constant": case(lambda x: tf.concat([tf.zeros_like(x)[:, 1:], x], 1), "ConcatV2"),
    "stack": case(lambda a, b: tf.stack([a, b, a], 1), "Pack", inputs=2),
    "unstack": case(unstacked, "Unpack"),
    "split": case(pieces, "Split"),
    "split_unevenly": case(uneven_pieces, "SplitV"),
    "tile": case(lambda x: tf.tile(x, [1, 3, 2]), "Tile"),
    "tile_the_batch": case(lambda x: tf.tile(x, [2, 1, 1]), "Tile"),
    "repeat": case(lambda x: tf.repeat(x, 2, axis=1), "Tile"),
    "broadcast_to": case(lambda x: tf.broadcast_to(x, [tf.shape(x)[0], 3, 4]), "BroadcastTo", shape=(2, 1, 4)),
    "reverse": case(lambda x: tf.reverse(x, [1, -1]), "ReverseV2"),
    "roll": case(lambda x: tf.roll(x, [1, -2], [1, 2]), "Roll"),
    "space_to_depth": case(lambda x: tf.nn.space_to_depth(x, 2), "SpaceToDepth", shape=IMAGE),
    "depth_to_space": case(lambda x: tf.nn.depth_to_space(x, 2), "DepthToSpace", shape=IMAGE),
    "space_to_batch": case(lambda x: tf.space_to_batch(x, [2, 3], [[1, 1], [0, 3]]), "SpaceToBatchND", shape=IMAGE),
    "batch_to_space": case(
        lambda x: tf.batch_to_space(x, [2, 2], [[1, 0], [0, 2]]), "BatchToSpaceND", shape=(4, 2, 3, 2)
    ),
    "space_to_batch_of_a_signal": case(
        lambda x: tf.batch_to_space(tf.space_to_batch(x, [2], [[1, 1]]) ** 2, [2], [[0, 1]]),
        "SpaceToBatchND",
        "BatchToSpaceND",
        shape=(2, 4, 3),
    ),
}

PARTS: dict[str, Case] = {
    "pad": case(lambda x: tf.pad(x, [[0, 0], [1, 0], [2, 3]]), "Pad"),
    "pad_the_batch": case(lambda x: tf.pad(x, [[1, 2], [0, 0], [0, 0]]), "Pad"),
    "pad_with_value": case(lambda x: tf.pad(x, [[0, 0], [1, 1], [0, 0]], constant_values=2), "PadV2"),
    "reflect": case(lambda x: tf.pad(x, [[0, 0], [2, 1], [0, 3]], "REFLECT"), "MirrorPad"),
    "symmetric": case(lambda x: tf.pad(x, [[0, 0], [3, 1], [0, 2]], "SYMMETRIC"), "MirrorPad"),
    "slice": case(lambda x: tf.slice(x, [0, 1, 0], [-1, 2, 3]), "Slice"),
    "slice_of_unknown_length": case(lambda x: tf.slice(x, [0, 1, 0], [tf.shape(x)[0] - 1, 1, 3]), "Slice"),
    "index": case(lambda x: x[:, 1], "StridedSlice"),
    "index_from_the_end": case(lambda x: x[:, -1, -2], "StridedSlice"),
    "range": case(lambda x: x[:, 1:3, :-1], "StridedSlice"),
    "beyond_the_end": case(lambda x: x[:, 1:9, -9:2], "StridedSlice"),
    "range_of_the_batch": case(lambda x: x[1:, :, 1], "StridedSlice"),
    "first_of_the_batch": case(lambda x: x[0], "StridedSlice"),
    "some_of_the_batch": case(lambda x: x[1:5, 1], "StridedSlice"),
    "end_of_the_batch": case(lambda x: x[:-1], "StridedSlice"),
    "every_second": case(lambda x: x[:, ::2, 1::2], "StridedSlice"),
    "backwards": case(lambda x: x[:, ::-1, 3:0:-2], "StridedSlice"),
    "ellipsis": case(lambda x: x[..., 1:3], "StridedSlice"),
    "ellipsis_inside": case(lambda x: x[:, ..., tf.newaxis, 2], "StridedSlice"),
    "ellipsis_of_nothing": case(lambda x: x[:, ..., 1:, 2], "StridedSlice"),
    "new_axis": case(lambda x: x[:, tf.newaxis, 1:, tf.newaxis], "StridedSlice"),
    "gather": case(lambda x: tf.gather(x, [3, 0, 2], axis=2), "GatherV2"),
    "gather_one": case(lambda x: tf.gather(x, 1, axis=1), "GatherV2"),
    "gather_some_twice": case(lambda x: tf.gather(x, [[3, 0], [3, 3]], axis=-1), "GatherV2"),
    "gather_in_each_example": case(lambda x: tf.gather(x, [[2, 0], [1, 1]], axis=1, batch_dims=1), "GatherV2"),
    "gather_one_in_each_example": case(
        lambda x: tf.gather(x, tf.argmax(x[:, :, 0], 1), axis=1, batch_dims=1), "GatherV2"
    ),
    "take_along_axis": case(lambda x: keras.ops.take_along_axis(x, tf.argsort(x, 1)[:, :2], 1), "GatherV2"),
    "patches": case(lambda x: patches(x, (2, 3), (2, 3), "VALID"), "ExtractImagePatches", shape=IMAGE, tflite=False),
    "patches_that_overlap": case(
        lambda x: patches(x, (3, 2), (2, 1), "SAME"), "ExtractImagePatches", shape=(2, 5, 4, 3), tflite=False
    ),
    "patches_with_gaps": case(
        lambda x: patches(x, (1, 2), (2, 3), "VALID"), "ExtractImagePatches", shape=(2, 5, 7, 2), tflite=False
    ),
    "gather_nd": case(lambda x: tf.gather_nd(x, [[0, 1], [1, 2], [0, 1]]), "GatherNd"),
    "top_k": case(largest, "TopKV2"),
}
CASES = MOVING | PARTS
