"""read_maps: folders, files, tables; and what holds no maps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.photos import MAPS, Photos

import visualcnn_tf as vc

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


@pytest.fixture
def out(photos: Photos, few: Path, tmp_path: Path) -> Path:
    vc.explain_dataset(photos.exported, few, tmp_path / "out", workers=0, shard_rows=2)
    return tmp_path / "out"


def test_ways_to_read(out: Path) -> None:
    whole = vc.read_maps(out)
    assert sorted(whole) == sorted(MAPS)
    for name, maps in whole.items():
        assert maps.shape == (3, 12, 12)
        np.testing.assert_array_equal(vc.read_maps(str(out), [name])[name], maps)
        np.testing.assert_array_equal(vc.read_maps(out / "data" / "part-000001.parquet")[name], maps[2:])
        np.testing.assert_array_equal(vc.read_maps(pq.read_table(out / "data"))[name], maps)
    assert list(vc.read_maps(out, ["heatmap_second"])) == ["heatmap_second"]


def test_what_is_not_there(out: Path, tmp_path: Path) -> None:
    with pytest.raises(vc.InvalidArgumentError, match=r"`names` must be some of .* Did you mean 'heatmap_first'"):
        vc.read_maps(out, ["heatmap_frist"])
    with pytest.raises(vc.InvalidArgumentError, match="`path` must be the folder of a job"):
        vc.read_maps(tmp_path / "absent")
    with pytest.raises(vc.InvalidArgumentError, match="`path` must be a job with `sink='parquet'`"):
        vc.read_maps(pa.table({"a": [1]}))
