"""What an engine is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from visualcnn_tf._utils.worker import WORKER
from visualcnn_tf.data.shards import Outcome


@dataclass(frozen=True)
class Work:
    """Shards to explain, and by what.

    Attributes:
        job: The job, as text.
        shards: The shards, as texts.
        workers: How many workers there are; None for as many as the cluster has.
        address: The address of the cluster; None to start one on this machine.
    """

    job: str
    shards: list[str]
    workers: int | None
    address: str | None

    @property
    def task(self) -> Callable[[str], Outcome]:
        """A function of a shard that cloudpickle sends as code: it loads this package itself, and without Keras."""
        job, variable = self.job, WORKER

        def task(shard: str) -> Outcome:
            import os
            from importlib import import_module

            os.environ[variable] = "1"
            outcome: Outcome = import_module("visualcnn_tf.data.work").explain_shard(job, shard)
            return outcome

        return task
