"""read_maps: heatmaps as arrays again."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from visualcnn_tf._utils.checks import bad_value, did_you_mean, quoted
from visualcnn_tf.data.columns import DTYPE, ENCODING, PNG, SHAPE
from visualcnn_tf.data.files import Location, locate, require_pyarrow

if TYPE_CHECKING:
    import pyarrow as pa


def read_maps(
    path: str | os.PathLike[str] | pa.Table, names: Sequence[str] | None = None
) -> dict[str, NDArray[np.generic]]:
    """Return the heatmaps and overlays that a batch job has written.

    All of them are read into memory. Read the files in ``data`` one by one where they are too many, or open
    ``maps.zarr`` itself.

    Args:
        path: The folder of a job, a Parquet file in its folder ``data``, or a table of Arrow that was read from it.
        names: Which of them; by default all.

    Returns:
        Arrays ``(N, H, W)``, or ``(N, H, W, 3)`` for overlays, by their names, in the order of the rows. An image that
        could not be read has zeros.

    Raises:
        InvalidArgumentError: If there are no maps, or none of this name.

    Example:
        >>> vc.read_maps("heatmaps/data/part-000000.parquet")["heatmap_conv3"].dtype     # doctest: +SKIP
        dtype('uint8')
    """
    require_pyarrow()
    if not isinstance(path, (str, os.PathLike)):
        return _of_table(path, names)
    location = locate(os.fspath(path))
    if (location / "maps.zarr").exists:
        return _of_zarr(f"{os.fspath(path)}/maps.zarr", names)
    return _of_table(_table(location, names), names)


def _table(location: Location, names: Sequence[str] | None) -> pa.Table:
    from pyarrow.dataset import dataset

    folder = location / "data" if (location / "data").exists else location
    if not folder.exists:
        raise bad_value("path", "the folder of a job, or a Parquet file of it", location.path)
    files = dataset(folder.path, filesystem=folder.files, format="parquet")
    chosen = _chosen(names, [field.name for field in files.schema if _is_map(field)])
    return files.to_table(columns=chosen)


def _of_table(table: pa.Table, names: Sequence[str] | None) -> dict[str, NDArray[np.generic]]:
    chosen = _chosen(names, [field.name for field in table.schema if _is_map(field)])
    return {name: _array(table.schema.field(name), table[name]) for name in chosen}


def _of_zarr(path: str, names: Sequence[str] | None) -> dict[str, NDArray[np.generic]]:
    import zarr

    group = zarr.open_group(path, mode="r")
    return {name: np.asarray(group[name]) for name in _chosen(names, sorted(group.array_keys()))}


def _chosen(names: Sequence[str] | None, known: Sequence[str]) -> list[str]:
    """Return the names of the maps to read.

    Raises:
        InvalidArgumentError: If one of them is unknown, or there are none.
    """
    if not known:
        raise bad_value("path", "a job with `sink='parquet'` or `'zarr'`, or a table with maps", names)
    for name in names or ():
        if name not in known:
            raise bad_value("names", f"some of {quoted(known)}", name, did_you_mean(name, known).strip())
    return list(known if names is None else names)


def _is_map(field: pa.Field) -> bool:
    return SHAPE in (field.metadata or {})


def _array(field: pa.Field, column: pa.ChunkedArray) -> NDArray[np.generic]:
    contents = [content.as_py() for content in column]
    if field.metadata[ENCODING] == PNG.encode():
        return _decoded(contents)
    shape, dtype = json.loads(field.metadata[SHAPE]), np.dtype(field.metadata[DTYPE].decode())
    return np.frombuffer(b"".join(contents), dtype).reshape(-1, *shape)


def _decoded(pngs: list[bytes]) -> NDArray[np.generic]:
    """Return pictures; an empty one, of an image that could not be read, is black."""
    pictures = [tf.io.decode_png(png).numpy() if png else None for png in pngs]
    shape = next((picture.shape for picture in pictures if picture is not None), (0, 0, 1))
    array = np.stack([np.zeros(shape, np.uint8) if picture is None else picture for picture in pictures])
    return array[..., 0] if shape[-1] == 1 else array
