"""Reading the outputs of inner layers while a model runs, for any Keras model, with nothing left behind.

While a :class:`Recorder` is active, the ``call`` of the layers that it watches is overridden on the instance, and
what the layer returns is handed to the recorder as well. The overrides are removed when the recorder is closed,
also after an exception, and pass every other thread through untouched.

Building ``keras.Model(inputs, [inner tensor])`` instead would fail for nested and subclassed models, and add nodes
to the user's layers.
"""

from __future__ import annotations

import functools
import inspect
import threading
import types
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

_METHODS = ("call", "quantized_call")
_active = threading.local()
_lock = threading.Lock()
# How many recorders watch a layer, in all threads together, and what its instance dictionary held before.
_watched: dict[int, tuple[int, dict[str, Any]]] = {}


class Recorder:
    """Told of the start and the end of each call of the watched layers, in the thread that opened it."""

    def __init__(self, layers: Iterable[Any]) -> None:
        self.layers = {id(layer): layer for layer in layers}

    def started(self, layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """A watched layer is about to run."""

    def instead(self, layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What a watched layer is to return without running at all, or ``NotImplemented``."""
        return NotImplemented

    def returned(self, layer: Any, outputs: Any) -> Any:
        """A watched layer has run; returns what its caller is to get."""
        return outputs


class OutputRecorder(Recorder):
    """Collects what each watched layer returns, call after call."""

    def __init__(self, layers: Iterable[Any]) -> None:
        super().__init__(layers)
        self.calls: dict[int, list[Any]] = {key: [] for key in self.layers}

    def returned(self, layer: Any, outputs: Any) -> Any:
        """Appends the outputs."""
        self.calls[id(layer)].append(outputs)
        return outputs

    def of(self, layer: Any) -> list[Any]:
        """The outputs of a layer, one for each of its calls."""
        return self.calls[id(layer)]


@contextmanager
def recording(recorder: Recorder, inline: Iterable[Any] = ()) -> Iterator[None]:
    """Opens a recorder for what runs in this thread inside the ``with`` block.

    Args:
        recorder: watches its layers.
        inline: layers whose ``call`` is a ``tf.function``; it is replaced by its Python function meanwhile, because
            a cached trace would run past the recorder.
    """
    layers = {**recorder.layers, **{id(layer): layer for layer in inline}}
    stack = _stack()
    _watch(layers.values())
    stack.append(recorder)
    try:
        yield
    finally:
        stack.remove(recorder)
        _unwatch(layers.values())


def is_recording() -> bool:
    """Whether a recorder is open in this thread."""
    return bool(_stack())


def _stack() -> list[Recorder]:
    if not hasattr(_active, "recorders"):
        _active.recorders = []
    return _active.recorders  # type: ignore[no-any-return]


def _watch(layers: Iterable[Any]) -> None:
    # The lock is held only here and in _unwatch, never while a model runs: replica threads of tf.distribute wait
    # for one another inside the model.
    with _lock:
        for layer in layers:
            count, saved = _watched.get(id(layer), (0, None))
            if saved is None:
                saved = {name: vars(layer)[name] for name in _METHODS if name in vars(layer)}
                quantized = getattr(layer, "quantization_mode", None) is not None
                for name in _METHODS if quantized else _METHODS[:1]:
                    # Not setattr: Keras tracks what is set on a layer.
                    vars(layer)[name] = _reporting(layer, name)
            _watched[id(layer)] = (count + 1, saved)


def _unwatch(layers: Iterable[Any]) -> None:
    with _lock:
        for layer in layers:
            count, saved = _watched.pop(id(layer))
            if count > 1:
                _watched[id(layer)] = (count - 1, saved)
                continue
            for name in _METHODS:
                vars(layer).pop(name, None)
            vars(layer).update(saved)


def _reporting(layer: Any, name: str) -> Any:
    """The method of a layer, reporting to the recorders of the calling thread."""
    original = getattr(layer, name)
    inlined = python_call(layer) if name == "call" else None

    @functools.wraps(original if inlined is None else inlined)
    def call(*args: Any, **kwargs: Any) -> Any:
        stack = _stack()
        run = original if inlined is None or not stack else inlined
        recorders = [recorder for recorder in stack if id(layer) in recorder.layers]
        for recorder in recorders:
            recorder.started(layer, args, kwargs)
            known = recorder.instead(layer, args, kwargs)
            if known is not NotImplemented:
                return known
        outputs = run(*args, **kwargs)
        for recorder in recorders:
            outputs = recorder.returned(layer, outputs)
        return outputs

    return call


def python_call(layer: Any) -> Any:
    """The Python function behind a ``call`` that is a ``tf.function``, bound to its layer; else None."""
    function = vars(layer).get("call") or inspect.getattr_static(type(layer), "call", None)
    python_function = getattr(function, "python_function", None)
    if python_function is None:
        return None
    python_function = getattr(python_function, "__func__", python_function)
    try:
        # A tf.function may branch and loop on tensors: keep what AutoGraph makes of it.
        python_function = tf.autograph.to_graph(python_function)
    except Exception:  # no source code to convert: only plain Python is possible then
        python_function = tf.autograph.experimental.do_not_convert(python_function)
    return types.MethodType(python_function, layer)
