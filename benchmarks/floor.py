"""The memory floor: the least time that heatmaps can take on a machine that copies memory at a given speed.

Each tapped feature map is read once and each heatmap is written once; everything else could be avoided. The bandwidth
is that of copying between two allocated blocks, on all cores; newly allocated pages are slower.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from benchmarks.report import cores
from visualcnn_tf import ExplainedModel

_FLOAT32 = 4


@dataclass(frozen=True)
class Machine:
    """What the machine can do in a second: bytes copied (read plus written), and multiply-adds of a matmul.

    Attributes:
        bandwidth: Bytes copied between allocated blocks.
        fresh: Bytes copied into newly allocated pages.
        multiplications: Multiply-adds of a matmul.
    """

    bandwidth: float
    fresh: float
    multiplications: float

    @classmethod
    def measured(cls, size: int = 2**28, rounds: int = 9) -> Machine:
        """Measure this machine; the results are medians.

        Args:
            size: How many bytes to copy, more than the processor's caches hold.
            rounds: How often to copy them.
        """
        source, target = (np.ones(size, np.uint8) for _ in range(2))
        parts = list(zip(np.array_split(source, cores()), np.array_split(target, cores()), strict=True))
        with ThreadPoolExecutor(cores()) as pool:
            warm = _median(lambda: list(pool.map(lambda part: np.copyto(part[1], part[0]), parts)), rounds)
            fresh = _median(lambda: list(pool.map(lambda part: part[0].copy(), parts)), rounds)
        side = 1024
        matrix = tf.random.normal((side, side))
        multiply = _median(lambda: tf.matmul(matrix, matrix).numpy(), rounds)
        return cls(2 * size / warm, 2 * size / fresh, side**3 / multiply)

    def __str__(self) -> str:
        return (
            f"{self.bandwidth / 1e9:.1f} GB/s (read plus written; {self.fresh / 1e9:.1f} into fresh pages), "
            f"{self.multiplications / 1e9:.0f} billion multiply-adds/s"
        )


def _median(run: Callable[[], Any], rounds: int) -> float:
    run()
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))


def tapped_shapes(explained: ExplainedModel, images: np.ndarray) -> list[tuple[int, ...]]:
    """Return ``(B, h, w, C)`` of each tapped feature map, as a plain Keras model computes it."""
    outputs = [explained.model.get_layer(tap.path).output for tap in explained.taps]
    found = keras.tree.flatten(keras.Model(explained.model.inputs, outputs).compute_output_spec(_spec(images)))
    return [tuple(map(int, spec.shape)) for spec in found]


def _spec(images: np.ndarray) -> keras.KerasTensor:
    return keras.KerasTensor(images.shape, dtype="float32")


def seconds(
    machine: Machine,
    shapes: Sequence[tuple[int, ...]],
    size: Sequence[int] | None,
    dtype: str = "float32",
    reads: int = 1,
) -> float:
    """Return the memory floor: the time to read the tapped maps and to write the heatmaps.

    Args:
        machine: The machine, which has the bandwidth.
        shapes: The shapes of the tapped maps.
        size: Height and width of the heatmaps, None for those of the maps.
        dtype: The dtype of the heatmaps.
        reads: How often each map has to be read.
    """
    read = sum(int(np.prod(shape)) * _FLOAT32 for shape in shapes) * reads
    pixels = sum(shape[0] * int(np.prod(shape[1:-1] if size is None else size)) for shape in shapes)
    return (read + pixels * np.dtype(dtype).itemsize) / machine.bandwidth


def eigen_multiplications(shapes: Sequence[tuple[int, ...]], squarings: int = 7) -> int:
    """Return the multiply-adds of Eigen-CAM.

    They are those of the smaller Gram matrix of each image, of squaring it, and of two products with a vector.
    """
    total = 0
    for batch, *space, channels in shapes:
        positions = int(np.prod(space))
        smaller = min(positions, channels)
        total += batch * (positions * channels * smaller + squarings * smaller**3 + 2 * positions * channels)
    return total
