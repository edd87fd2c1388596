"""What runs a job's shards: this machine, or a cluster. Engines schedule, and nothing else: shards commit themselves.

Each engine is a function in a module of its own name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from typing import TypeAlias, cast

from visualcnn_tf._utils.checks import bad_value, check_choice
from visualcnn_tf.data.engines.work import Work
from visualcnn_tf.data.shards import Outcome
from visualcnn_tf.errors import MissingExtraError

NAMES = ("local", "ray", "spark", "dask")
# The module that each of them imports, and what it belongs to.
_NEEDED = {
    "ray": ("ray.data", "Ray"),
    "spark": ("pyspark.sql", "PySpark, and Java"),
    "dask": ("dask.distributed", "Dask"),
}

#: An engine of the user's: from a function of a shard, which can be sent to any process, and all shards, to what the
#: function has returned for each, in any order. Shards are texts.
CustomEngine: TypeAlias = Callable[[Callable[[str], Outcome], list[str]], Iterable[Outcome]]
Engine: TypeAlias = Callable[[Work], Iterator[Outcome]]


def check(engine: str | CustomEngine) -> None:
    """Raise for what is no engine.

    Raises:
        InvalidArgumentError: It is neither one of the names nor a function.
    """
    if not callable(engine):
        check_choice("engine", engine, NAMES, also="a function")


def get(engine: str | CustomEngine, workers: int | None, address: str | None) -> Engine:
    """Return an engine, checked before.

    Raises:
        InvalidArgumentError: If an option would have no effect.
        MissingExtraError: If its package is not installed.
    """
    if callable(engine):
        for name, value in (("workers", workers), ("address", address)):
            if value is not None:
                raise bad_value(name, "None with an engine of your own", value)
        custom = engine
        return lambda work: iter(custom(work.task, work.shards))
    if address is not None and engine == "local":
        raise bad_value("address", "None with `engine='local'`", address)
    _require(engine)
    return cast(Engine, import_module(f"visualcnn_tf.data.engines.{engine}").run)


def _require(engine: str) -> None:
    """Raise if the package of an engine is not installed.

    Raises:
        MissingExtraError: It is not.
    """
    module, package = _NEEDED.get(engine, ("concurrent.futures", ""))
    try:
        import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f'`engine={engine!r}` needs {package}. Install it with: pip install "visualcnn-tf[{engine}]"'
        ) from error
