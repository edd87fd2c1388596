"""Record the outputs of inner layers while a model runs: for any Keras model, leaving the model as it was.

While a :class:`Recorder` is open, the ``call`` of each layer that it watches is overridden on the instance, and the
recorder receives the outputs as well. The overrides are removed when the recorder is closed, also after an
exception. Calls in other threads run as always.

Building ``keras.Model(inputs, [inner tensor])`` instead would fail for nested and subclassed models, and add nodes
to the user's layers.
"""

from __future__ import annotations

import functools
import inspect
import threading
import types
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

# A quantized layer runs `quantized_call` instead.
_METHODS = ("call", "quantized_call")
_lock = threading.Lock()
# By a layer's id: how many recorders watch it, in all threads together, and the methods set on the instance before.
_watched: dict[int, tuple[int, dict[str, Any]]] = {}


class Recorder:
    """Receives a call before and after each run of the watched layers, in the thread that opened it.

    Args:
        layers: the layers to watch.
    """

    def __init__(self, layers: Iterable[keras.Operation]) -> None:
        self.layers = {id(layer): layer for layer in layers}

    def on_call_begin(self, layer: keras.Operation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Called before a watched layer runs."""

    def replacement(self, layer: keras.Operation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return the outputs to use without running the layer, or ``NotImplemented`` to run it."""
        return NotImplemented

    def on_call_end(self, layer: keras.Operation, outputs: Any) -> Any:
        """Called after a watched layer has run; return the outputs that its caller gets."""
        return outputs


class _OpenRecorders(threading.local):
    """The recorders that are open in this thread, outermost first."""

    def __init__(self) -> None:
        self.stack: list[Recorder] = []


_open = _OpenRecorders()


class OutputRecorder(Recorder):
    """Collects the outputs of each watched layer, call after call.

    Attributes:
        calls: the outputs of each call, by the layer's ``id``.
    """

    def __init__(self, layers: Iterable[keras.Operation]) -> None:
        super().__init__(layers)
        self.calls: dict[int, list[Any]] = {key: [] for key in self.layers}

    def on_call_end(self, layer: keras.Operation, outputs: Any) -> Any:
        """Append the outputs."""
        self.calls[id(layer)].append(outputs)
        return outputs

    def outputs_of(self, layer: keras.Operation) -> list[Any]:
        """Return the outputs of a layer, one for each of its calls."""
        return self.calls[id(layer)]


@contextmanager
def recording(recorder: Recorder, inline: Iterable[keras.Operation] = ()) -> Iterator[None]:
    """Open a recorder for all calls that this thread makes inside the ``with`` block.

    Args:
        recorder: receives the calls of its layers.
        inline: layers whose ``call`` is a ``tf.function``; it is replaced by its Python function meanwhile, because
            a trace cached by TensorFlow would run without calling the recorder.
    """
    layers = {**recorder.layers, **{id(layer): layer for layer in inline}}
    _watch(layers.values())
    _open.stack.append(recorder)
    try:
        yield
    finally:
        _open.stack.remove(recorder)
        _unwatch(layers.values())


def is_recording() -> bool:
    """Return whether a recorder is open in this thread."""
    return bool(_open.stack)


def is_watched(layer: keras.Operation) -> bool:
    """Return whether a recorder is open for a layer, in whatever thread."""
    return id(layer) in _watched


def _watch(layers: Iterable[keras.Operation]) -> None:
    # The lock is held only here and in _unwatch, never while a model runs: the replica threads of tf.distribute wait
    # for one another inside the model.
    with _lock:
        for layer in layers:
            count, saved = _watched.get(id(layer), (0, None))
            if saved is None:
                saved = {name: vars(layer)[name] for name in _METHODS if name in vars(layer)}
                quantized = getattr(layer, "quantization_mode", None) is not None
                for name in _METHODS if quantized else _METHODS[:1]:
                    # Not setattr: Keras tracks what is set on a layer.
                    vars(layer)[name] = _recorded(layer, name)
            _watched[id(layer)] = (count + 1, saved)


def _unwatch(layers: Iterable[keras.Operation]) -> None:
    with _lock:
        for layer in layers:
            count, saved = _watched.pop(id(layer))
            if count > 1:
                _watched[id(layer)] = (count - 1, saved)
                continue
            for name in _METHODS:
                vars(layer).pop(name, None)
            vars(layer).update(saved)


def _recorded(layer: keras.Operation, name: str) -> Callable[..., Any]:
    """Return the method of a layer, wrapped to call the recorders of the calling thread."""
    original = getattr(layer, name)
    inlined = python_call(layer) if name == "call" else None

    @functools.wraps(original if inlined is None else inlined)
    def call(*args: Any, **kwargs: Any) -> Any:
        run = original if inlined is None or not _open.stack else inlined
        recorders = [recorder for recorder in _open.stack if id(layer) in recorder.layers]
        for recorder in recorders:
            recorder.on_call_begin(layer, args, kwargs)
            outputs = recorder.replacement(layer, args, kwargs)
            if outputs is not NotImplemented:
                return outputs
        outputs = run(*args, **kwargs)
        for recorder in recorders:
            outputs = recorder.on_call_end(layer, outputs)
        return outputs

    return call


def python_call(layer: keras.Operation) -> Callable[..., Any] | None:
    """Return the Python function of a ``call`` that is a ``tf.function``, bound to its layer; else None."""
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
