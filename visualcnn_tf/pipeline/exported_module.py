"""The object that a SavedModel is written from."""

from __future__ import annotations

import keras
import tensorflow as tf


def exported_module(model: keras.Model) -> tf.Module:
    """Return a plain module with all that the signatures of a model read: its variables and lookup tables.

    Saving the Keras model itself makes a SavedModel that only Python can restore: the loader of TensorFlow Serving, and
    the converter of TensorFlow Lite, do not find its variables. They find those of a plain module.
    """
    module = tf.Module()
    module.variables_of_the_model = [variable.value for variable in model.variables]
    module.tables_of_the_model = [
        trackable
        for trackable in tf.train.TrackableView(model).descendants()
        if isinstance(trackable, tf.saved_model.experimental.TrackableResource)
    ]
    return module
