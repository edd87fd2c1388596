"""What a model's own ``predict`` does beside calling the model: preprocessing, or anything else."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from visualcnn_tf._utils.checks import quoted
from visualcnn_tf.errors import IncompatibleModelError, InvalidTypeError
from visualcnn_tf.introspect.tasks import preprocesses
from visualcnn_tf.pipeline.batches import example_spec, for_each_image
from visualcnn_tf.pipeline.plan import Plan
from visualcnn_tf.pixels.pixels import Pixels

_METHODS = ("predict", "predict_step", "make_predict_function")
_KERAS_BATCH_SIZE = 32


def check_predict(model: keras.Model) -> None:
    """Raise for a model whose ``predict`` may do more than preprocessing and calling it.

    Raises:
        IncompatibleModelError: naming the methods that the model overrides.
    """
    known = ("predict",) if callable(getattr(model, "preprocess_samples", None)) else ()
    own = [name for name in _METHODS if name not in known and _is_overridden(model, name)]
    if own:
        raise IncompatibleModelError(
            f"`model` must not override {quoted(own)}: what {type(model).__name__!r} does there to inputs or outputs "
            "is no part of the model that is explained. Call `explained(x)` on what the model itself takes, or make "
            "the preprocessing a layer of the model."
        )


def preprocessed(model: keras.Model, plan: Plan, x: Any, batch_size: int | None) -> tf.data.Dataset:
    """Return batches of what a task's preprocessing makes of ``predict``'s argument.

    Args:
        model: a task of ``keras_hub``.
        plan: tells the inputs of the target, which are not preprocessed.
        x: arrays, or a data set of batches.
        batch_size: of arrays.

    Raises:
        InvalidTypeError: for anything else, which the task does not take either.
    """

    def prepare(given: Any, asked: Any = None) -> Any:
        prepared, _, _ = keras.utils.unpack_x_y_sample_weight(model.preprocess_samples(given))
        return plan.join(prepared, asked) if asked else prepared

    if isinstance(x, tf.data.Dataset):
        return x.map(lambda first, *_: prepare(*plan.split(first)), num_parallel_calls=tf.data.AUTOTUNE)
    if example_spec(x) is None:
        raise InvalidTypeError(
            f"`x` must be arrays or a `tf.data.Dataset` for {model.name!r}, which preprocesses its inputs. Received: "
            f"{type(x).__name__}. Preprocess them with `model.preprocessor`, and call `explained(x)`."
        )
    given, asked = plan.split(x)
    if isinstance(given, list):  # a batch of images, as for the task itself
        given = tf.convert_to_tensor(given)
    elements = (given, for_each_image(plan, asked, given)) if asked else (given,)
    return tf.data.Dataset.from_tensor_slices(elements).batch(batch_size or _KERAS_BATCH_SIZE).map(prepare)


def _is_overridden(model: keras.Model, name: str) -> bool:
    return name in vars(model) or getattr(type(model), name) is not getattr(keras.Model, name)


def for_predict(model: keras.Model, photos: Any, pixels: Pixels, dtype: str) -> Any:
    """Return what to pass to ``predict`` for photos that are fitted to a model's input.

    Args:
        model: the user's model.
        photos: ``(B, H, W, C)``, from 0 to 255.
        pixels: what the model takes in a call.
        dtype: the type of its input.
    """
    return photos if preprocesses(model) else pixels.scale(photos, dtype).numpy()
