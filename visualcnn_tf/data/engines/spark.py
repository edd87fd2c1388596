"""Spark, also on Databricks and YARN: a task for each shard, which Spark repeats if its executor dies."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from visualcnn_tf.data.engines.work import Work
from visualcnn_tf.data.shards import Outcome

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import SparkSession

_TRIES = 4  # as on a cluster; on this machine alone Spark would try each task once


def run(work: Work) -> Iterator[Outcome]:
    """Explain shards in the session that there is, or a new one."""
    from pyspark.sql import SparkSession

    running = SparkSession.getActiveSession()
    session = running or _session(work)
    try:
        rows = session.createDataFrame([(shard,) for shard in work.shards], "shard string")
        outcomes = rows.repartition(len(work.shards)).mapInArrow(_in_arrow(work), "index long, problem string")
        yield from ((row["index"], row["problem"]) for row in outcomes.collect())
    finally:
        if running is None:
            session.stop()


def _session(work: Work) -> SparkSession:
    from pyspark.sql import SparkSession

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.master(work.address or f"local[{work.workers or '*'},{_TRIES}]")
    return builder.appName("visualcnn").getOrCreate()


def _in_arrow(work: Work) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    task = work.task

    def explain(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        for shard in (shard for batch in batches for shard in batch.column(0).to_pylist()):
            index, problem = task(shard)
            yield pa.record_batch([pa.array([index]), pa.array([problem], pa.string())], ["index", "problem"])

    return explain
