"""What a job has done."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BatchReport:
    """What :func:`visualcnn_tf.explain_dataset` returns.

    Attributes:
        out: The folder of the job.
        rows: How many images it is about.
        errors: How many of them could not be read: their rows say why, in the column ``error``.
        computed: How many rows were written by this call; the others were there.
        seconds: How long the call took.
    """

    out: str
    rows: int
    errors: int
    computed: int
    seconds: float

    @property
    def images_per_second(self) -> float:
        """How many images were explained in a second, with the start of the workers."""
        return self.computed / max(self.seconds, 1e-9)

    def __str__(self) -> str:
        there = self.rows - self.computed
        parts = [
            f"{self.rows:,} images in {self.out}",
            f"{self.errors:,} could not be read (see the column `error`)" if self.errors else "",
            f"{self.computed:,} explained in {self.seconds:.1f} s, {self.images_per_second:,.0f} a second"
            if self.computed
            else "",
            f"{there:,} were there" if there else "",
        ]
        return "; ".join(part for part in parts if part)
