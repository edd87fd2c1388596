"""The options ``--pixels`` and ``--fit``: from the pixels of a file to what a model takes."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace

import keras

from visualcnn_tf.introspect.inputs import ModelInputs
from visualcnn_tf.introspect.named_layers import named_layers
from visualcnn_tf.introspect.trace import trace_model
from visualcnn_tf.pixels.names import module_of_architecture
from visualcnn_tf.pixels.pixels import Pixels
from visualcnn_tf.pixels.registry import PixelsLike
from visualcnn_tf.pixels.registry import get as get_pixels
from visualcnn_tf.pixels.resolve import resolve_pixels

_DEFAULT = "0..1"
_CHANGE = "--pixels 0..255, -1..1, caffe, torch or the name of a module of keras.applications changes it"


def pixels_of(model: keras.Model, inputs: ModelInputs, given: PixelsLike | None) -> Pixels | None:
    """Return the pixels of a model: those that are given, or else found; None if they are not known."""
    return resolve_pixels(None if given is None else get_pixels(given), trace_model(model, inputs))


def chosen_pixels(arguments: Namespace, model: keras.Model, known: Pixels | None, kept: Pixels | None) -> Pixels:
    """Return how images become what a model takes, and print what was not asked for: what is found, or assumed.

    Args:
        arguments: Those of the command.
        model: The model.
        known: Its pixels: those of ``--pixels`` or of the model's file, or else found in the model. None if they are
            not known.
        kept: Those of the model's file.
    """
    pixels = known or _assumed(model)
    if arguments.pixels is None and known is not None:
        where = "found in the model" if kept is None else "kept in its file"
        print(f"Pixels: {known.values}, {where}.")
    return replace(pixels, fit=arguments.fit or pixels.fit)


def _assumed(model: keras.Model) -> Pixels:
    """Return what a model that does not tell most likely takes, and print it."""
    nested = [layer for layer in named_layers(model).values() if isinstance(layer, keras.Model)]
    for name in [one.name for one in (model, *nested)]:
        module = module_of_architecture(name)
        if module is not None:
            pixels = Pixels(module)
            print(f"Pixels: {pixels.values}, assumed from the name {name!r} (keras.applications.{module}); {_CHANGE}.")
            return pixels
    print(f"Pixels: {_DEFAULT}, assumed, because the model does not tell; {_CHANGE}.")
    return Pixels(_DEFAULT)
