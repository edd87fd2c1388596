"""The least that heatmaps can cost: memory has to be read and written at the speed that the machine copies at.

Each tapped map is read once and each heatmap is written once; everything else could be avoided. The bandwidth is that
of copying between two blocks that are in memory already, on all cores: pages fresh from the system are slower.
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
    """What this machine can do, measured: bytes copied (read plus written) and multiply-adds of a matmul, a second."""

    bandwidth: float
    fresh: float
    multiplications: float

    @classmethod
    def measured(cls, size: int = 2**28, rounds: int = 9) -> Machine:
        """Medians.

        Args:
            size: bytes of the block that is copied, more than caches hold.
            rounds: how often.
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
    """``(B, h, w, C)`` of each tapped map, found by a model of Keras's own."""
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
    """The floor: tapped maps read, heatmaps written.

    Args:
        machine: its bandwidth.
        shapes: of the tapped maps.
        size: of the heatmaps, None for the maps' own.
        dtype: of the heatmaps.
        reads: how often each map has to be read.
    """
    read = sum(int(np.prod(shape)) * _FLOAT32 for shape in shapes) * reads
    places = sum(shape[0] * int(np.prod(shape[1:-1] if size is None else size)) for shape in shapes)
    return (read + places * np.dtype(dtype).itemsize) / machine.bandwidth


def eigen_multiplications(shapes: Sequence[tuple[int, ...]], squarings: int = 7) -> int:
    """Of Eigen-CAM: the smaller Gram matrix of each image, squared so often, and two products with a vector."""
    total = 0
    for batch, *space, channels in shapes:
        places = int(np.prod(space))
        small = min(places, channels)
        total += batch * (places * channels * small + squarings * small**3 + 2 * places * channels)
    return total
