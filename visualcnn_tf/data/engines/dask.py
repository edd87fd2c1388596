"""Dask: a task for each shard, on the workers of a cluster or of this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

from visualcnn_tf.data.attempts import MOST
from visualcnn_tf.data.engines.work import Work
from visualcnn_tf.data.shards import Outcome, Shard


def run(work: Work) -> Iterator[Outcome]:
    """Explain shards on a cluster, by default one on this machine."""
    from dask.distributed import Client, KilledWorker, LocalCluster, as_completed

    with ExitStack() as stack:
        cluster = work.address or stack.enter_context(
            LocalCluster(n_workers=work.workers, threads_per_worker=1, dashboard_address=None, host="127.0.0.1")
        )
        client = stack.enter_context(Client(cluster))
        futures = client.map(work.task, work.shards, pure=False, retries=MOST)
        numbers = {future.key: Shard.load(shard).index for future, shard in zip(futures, work.shards, strict=True)}
        for future in as_completed(futures):
            try:
                yield future.result()
            except KilledWorker as error:
                yield numbers[future.key], f"its workers died: {error}"
