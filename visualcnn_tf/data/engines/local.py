"""Processes on this machine. One that dies is replaced, and no shard is lost."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from functools import partial

from visualcnn_tf.data.attempts import MOST
from visualcnn_tf.data.engines.processes import processes
from visualcnn_tf.data.engines.work import Work
from visualcnn_tf.data.shards import Outcome, Shard
from visualcnn_tf.data.work import explain_shard


def run(work: Work) -> Iterator[Outcome]:
    """Explain shards; without workers in this process."""
    explain, waiting = partial(explain_shard, work.job), deque(work.shards)
    if not work.workers:
        yield from map(explain, waiting)
        return
    while waiting:
        for suspect in (yield from _until_a_death(explain, waiting, work.workers)):
            yield from _alone(explain, suspect)


def _until_a_death(
    explain: Callable[[str], Outcome], waiting: deque[str], workers: int
) -> Generator[Outcome, None, list[str]]:
    """Explain shards until none are waiting, or a worker dies; return the shards that were begun then."""
    begun: dict[Future[Outcome], str] = {}
    with processes(min(workers, len(waiting))) as pool:
        while waiting or begun:
            while waiting and len(begun) < workers:
                shard = waiting.popleft()
                try:
                    begun[pool.submit(explain, shard)] = shard
                except BrokenProcessPool:
                    return [*begun.values(), shard]
            ended = wait(begun, return_when=FIRST_COMPLETED).done
            whole = [future for future in ended if not isinstance(future.exception(), BrokenProcessPool)]
            for future in whole:
                del begun[future]
                yield future.result()
            if len(whole) < len(ended):
                return list(begun.values())
    return []


def _alone(explain: Callable[[str], Outcome], shard: str) -> Iterator[Outcome]:
    """Explain a shard that may have killed a worker, beside no other, which would be blamed for what it does."""
    for _ in range(MOST + 1):
        if not (yield from _until_a_death(explain, deque([shard]), 1)):
            return
    yield Shard.load(shard).index, "its worker dies, also before it begins"
