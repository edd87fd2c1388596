"""Ray: an actor for each worker. Ray Data starts again those that die, also on other machines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from visualcnn_tf.data.engines.work import Work
from visualcnn_tf.data.shards import Outcome

# Bytes that Ray keeps for objects: only texts are sent. By default it takes a third of the memory.
_OBJECTS = 200 * 1024 * 1024


def run(work: Work) -> Iterator[Outcome]:
    """Explain shards on a cluster, by default one on this machine."""
    import ray

    is_new = not ray.is_initialized()
    if is_new and work.address is None:
        ray.init(address="local", num_cpus=work.workers, object_store_memory=_OBJECTS, include_dashboard=False)
    elif is_new:
        ray.init(address=work.address)
    try:
        ray.data.DataContext.get_current().enable_progress_bars = False
        workers = min(work.workers or int(ray.cluster_resources()["CPU"]), len(work.shards))
        # Not read from files: reading would need a processor beside those of the actors, and wait for it for ever.
        shards = ray.data.from_items([{"shard": shard} for shard in work.shards], override_num_blocks=len(work.shards))
        pool = ray.data.ActorPoolStrategy(size=workers)
        for row in shards.map(_actor(work), compute=pool, num_cpus=1).iter_rows():
            yield row["index"], row["problem"] or None
    finally:
        if is_new:
            ray.shutdown()


def _actor(work: Work) -> type:
    task = work.task

    class Actor:
        def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
            index, problem = task(row["shard"])
            return {"index": index, "problem": problem or ""}

    return Actor
