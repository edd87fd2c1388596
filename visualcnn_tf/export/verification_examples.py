"""The examples that an exported model is compared with the original on: the user's, or noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from visualcnn_tf._utils.checks import bad_value, is_count
from visualcnn_tf.export.examples import example_inputs
from visualcnn_tf.export.representative_data import RepresentativeData, read_examples
from visualcnn_tf.export.types import Arrays
from visualcnn_tf.introspect.inputs import ModelInputs
from visualcnn_tf.pixels.pixels import Pixels
from visualcnn_tf.targets.inputs import TargetInput

#: How many of the user's examples are compared, unless they say otherwise.
MAX_EXAMPLES = 64


@dataclass(frozen=True)
class Examples:
    """Examples to run a model and an exported file on.

    Attributes:
        arrays: The inputs by name, the batch first.
        indices: Where each example is in the user's data, from 0; None for noise.
    """

    arrays: Arrays
    indices: tuple[int, ...] | None = None

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))


def check_max_examples(max_examples: int, data: RepresentativeData | None, verify: bool) -> None:
    """Raise unless ``max_examples`` is a number, and has an effect.

    Raises:
        InvalidArgumentError: If it is none, or there is nothing to compare the export on.
    """
    if not is_count(max_examples):
        raise bad_value("max_examples", "a number of at least 1", max_examples)
    if max_examples != MAX_EXAMPLES and (data is None or not verify):
        raise bad_value("max_examples", "left out without `representative_data` and `verify`", max_examples)


def noise(inputs: ModelInputs, user_inputs: ModelInputs, pixels: Pixels | None) -> Examples:
    """Return a batch of noise, for want of the user's examples."""
    return Examples(example_inputs("serving_default", inputs, user_inputs, pixels))


def first_examples(
    data: RepresentativeData, inputs: ModelInputs, count: int, target_inputs: Sequence[TargetInput]
) -> Examples:
    """Return the first examples of the user's data, of which no more are read than needed.

    Args:
        data: The user's representative data.
        inputs: The inputs of the exported model.
        count: How many examples to return at most.
        target_inputs: Those of them that say what is explained; they get values that stand for none, such as -1.

    Raises:
        InvalidArgumentError: If the data holds no examples, or NaN or infinity.
        InputShapeError: If the model does not take the examples.
    """
    read = read_examples(data, inputs, target_inputs, enough=count)
    arrays = {name: array[:count] for name, array in read.items()}
    return Examples(arrays, tuple(range(min(count, len(Examples(read))))))


def spread_examples(arrays: Arrays, count: int) -> Examples:
    """Return at most ``count`` of all the user's examples, evenly spread: they may be sorted by class."""
    indices = spread(len(Examples(arrays)), count)
    return Examples({name: array[indices] for name, array in arrays.items()}, tuple(indices))


def spread(total: int, count: int) -> list[int]:
    """Return at most ``count`` indices, evenly spread from the first of ``total`` elements to the last one."""
    return [int(index) for index in np.linspace(0, total - 1, min(count, total)).round()]
