"""Random masks: coarse grids of cells that are kept or hidden, enlarged smoothly and shifted, as in RISE."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import tensorflow as tf


@dataclass(frozen=True)
class RandomMasks:
    """Masks of values from 0 (hidden) to 1 (kept).

    Petsiuk, Das and Saenko, "RISE", https://arxiv.org/abs/1806.07421, section 3.2. The same seed gives the same masks,
    whatever the size of the batches.

    Attributes:
        height: of the masks, in pixels.
        width: of the masks.
        grid: cells a side.
        keep: the probability that a cell is kept.
        seed: of the random numbers.
    """

    height: int
    width: int
    grid: int
    keep: float
    seed: int

    def batches(self, count: int, size: int) -> Iterator[np.ndarray]:
        """Yield so many masks, at most ``size`` at a time: ``(n, H, W)`` float32."""
        cells, shifts = (np.random.default_rng([self.seed, stream]) for stream in (0, 1))
        for start in range(0, count, size):
            number = min(size, count - start)
            kept = cells.random((number, self.grid, self.grid)) < self.keep
            yield self._enlarged(kept, shifts.random((number, 2)))

    def _enlarged(self, kept: np.ndarray, shifts: np.ndarray) -> np.ndarray:
        """Return masks of grids ``(n, g, g)``, each enlarged by one cell more than needed and shifted by up to one."""
        cell = np.array([-(-self.height // self.grid), -(-self.width // self.grid)])
        large = tf.image.resize(kept[..., np.newaxis].astype(np.float32), (self.grid + 1) * cell)[..., 0].numpy()
        corners = (shifts * cell).astype(int)
        return np.stack(
            [mask[y : y + self.height, x : x + self.width] for mask, (y, x) in zip(large, corners, strict=True)]
        )
