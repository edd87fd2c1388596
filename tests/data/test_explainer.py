"""BatchExplainer: what it returns, and that its workers load no Keras."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.photos import MAPS, Photos

import visualcnn_tf as vc
from visualcnn_tf._utils.worker import WORKER

pa = pytest.importorskip("pyarrow")
ROOT = Path(__file__).resolve().parents[2]


def test_columns_are_the_outputs_of_the_model(photos: Photos) -> None:
    explain = vc.BatchExplainer(photos.exported)
    columns = explain(photos.contents[:20])
    assert list(columns) == ["valid", "predictions", *MAPS]
    for row, want in enumerate(photos.truth[:20]):
        assert columns["valid"][row] == (want is not None)
        for name in want or {}:
            np.testing.assert_allclose(columns[name][row], want[name], atol=1 if name in MAPS else 1e-6)
    assert {len(values) for values in explain([]).values()} == {0}


def test_columns_of_arrow_hold_maps_as_bytes(photos: Photos) -> None:
    explain = pickle.loads(pickle.dumps(vc.BatchExplainer(photos.exported)))
    batch = explain.record_batch(np.array(photos.contents[:5], object))
    assert batch.schema == explain.schema
    assert batch.schema.field("heatmap_first").type == pa.binary()
    assert batch.schema.field("predictions").type == pa.list_(pa.float32(), 3)
    maps = vc.read_maps(pa.Table.from_batches([batch]))
    for name in MAPS:
        np.testing.assert_array_equal(maps[name], explain(photos.contents[:5])[name])


def test_its_pickle_is_small(photos: Photos) -> None:
    explain = vc.BatchExplainer(photos.exported)
    explain(photos.contents[:1])
    assert len(pickle.dumps(explain)) < 2000


def test_threads_are_checked(photos: Photos) -> None:
    with pytest.raises(vc.InvalidArgumentError, match="`threads` must be a number of at least 1, or None"):
        vc.BatchExplainer(photos.exported, threads=0)


def test_a_worker_loads_no_keras(photos: Photos, tmp_path: Path) -> None:
    """It is there, but neither loading the package, nor unpickling, nor explaining imports it."""
    (tmp_path / "explain.pkl").write_bytes(pickle.dumps(vc.BatchExplainer(photos.exported)))
    code = f"""
import pickle, sys
explain = pickle.load(open({str(tmp_path / "explain.pkl")!r}, "rb"))
print(explain([open({str(photos.folder / "cats" / "good.png")!r}, "rb").read()])["valid"])
import visualcnn_tf.data.work, visualcnn_tf.data.explain_dataset
print([name for name in sys.modules if name.split(".")[0] in ("keras", "matplotlib", "ray", "pyspark", "dask", "zarr")])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={**os.environ, WORKER: "1"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:2] == ["[ True]", "[]"]
