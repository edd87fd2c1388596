"""The size of heatmaps: fixed, that of the feature maps, or that of another tensor."""

from __future__ import annotations

from visualcnn_tf._utils.checks import LONGEST_SIDE, bad_value, is_count
from visualcnn_tf.errors import InputShapeError


def check_size(size: object) -> str | tuple[int, ...] | None:
    """Return the size of heatmaps in its canonical form.

    Raises:
        InvalidArgumentError: Unless it is ``"input"``, None or one to three positive integers up to 16384.
    """
    if size is None:
        return None
    if isinstance(size, str) and size == "input":
        return size
    if isinstance(size, (tuple, list)) and 1 <= len(size) <= 3 and all(map(_is_side, size)):
        return tuple(int(side) for side in size)
    raise bad_value("size", f"'input', None or positive integers up to {LONGEST_SIDE} such as (224, 224)", size)


def _is_side(side: object) -> bool:
    return is_count(side) and side <= LONGEST_SIDE  # type: ignore[operator]


def spatial_axes(rank: int, count: int, data_format: str) -> list[int]:
    """Return the positions of ``count`` spatial axes in a tensor that has a channel axis or none.

    Raises:
        InputShapeError: If a tensor of that rank can't have so many.
    """
    if rank not in (count + 1, count + 2):
        raise InputShapeError(
            f"`like` must have {count} spatial axes, (B, {'H, W, ' if count == 2 else '..., '}C). "
            f"Received: a tensor of rank {rank}. Set `size` to None or to explicit numbers."
        )
    first = 2 if rank == count + 2 and data_format == "channels_first" else 1
    return list(range(first, first + count))
