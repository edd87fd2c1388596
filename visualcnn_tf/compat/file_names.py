"""The names of the files that a Visualizer writes."""

from __future__ import annotations

from collections.abc import Sequence

from visualcnn_tf._utils.checks import bad_value


def file_stems(names: Sequence[str] | None, count: int) -> list[str]:
    """Return file names without ``.png``: the given ones, or ``Heatmap1`` and so on.

    Raises:
        InvalidArgumentError: The names are not ``count`` different names of visible files.
    """
    if names is None:
        return [f"Heatmap{n}" for n in range(1, count + 1)]
    stems = [name.removesuffix(".png") for name in names if isinstance(name, str)]
    if isinstance(names, str) or not len(names) == len(set(stems)) == count or not all(map(_is_file_name, stems)):
        raise bad_value("names", f"a list of {count} different file names, one for each layer", names)
    return stems


def _is_file_name(stem: str) -> bool:
    """Return whether a name stays in its folder and is visible there."""
    return bool(stem) and not stem.startswith(".") and not set(stem) & set("/\\\0")
