"""Export SavedModels: what TensorFlow Serving loads, without Python."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from visualcnn_tf._attach import check_model
from visualcnn_tf._model import ExplainedModel
from visualcnn_tf._utils.checks import as_path, bad_value, check_choice
from visualcnn_tf.export.examples import example_inputs, png_files
from visualcnn_tf.export.image_decoder import ImageDecoder
from visualcnn_tf.export.pixels import check_examples, exported_pixels, pixels_signature
from visualcnn_tf.export.representative_data import RepresentativeData, check_data_is_used
from visualcnn_tf.export.saved_model_verification import verify_saved_model
from visualcnn_tf.export.serving_bytes import ON_ERROR, ServingBytes, check_no_options, check_pictures
from visualcnn_tf.export.signatures import (
    chosen_signatures,
    exported_inputs,
    image_input,
    served_signatures,
    target_inputs_of,
    without_target_inputs,
)
from visualcnn_tf.export.types import Signature
from visualcnn_tf.export.verification_examples import MAX_EXAMPLES, Examples, check_max_examples, first_examples
from visualcnn_tf.export.warmup import write_warmup
from visualcnn_tf.introspect.inputs import ModelInput, ModelInputs
from visualcnn_tf.io.atomic import next_version, whole_folder, writing
from visualcnn_tf.pipeline.exported_module import exported_module
from visualcnn_tf.pixels.files import write_asset
from visualcnn_tf.pixels.pixels import Pixels
from visualcnn_tf.pixels.registry import PixelsLike


def export_saved_model(
    explained: keras.Model,
    path: str | os.PathLike[str],
    *,
    signatures: Sequence[str] | None = None,
    pixels: PixelsLike | None = None,
    on_error: str = "raise",
    version: int | str | None = None,
    overwrite: bool = False,
    verify: bool = True,
    warmup: bool = True,
    png: bool = False,
    representative_data: RepresentativeData | None = None,
    max_examples: int = MAX_EXAMPLES,
) -> Path:
    """Write a SavedModel for TensorFlow Serving, or for any program that loads SavedModels.

    It has these signatures, with the batch first in all inputs and outputs:

    - ``serving_default``: from the model's own inputs to all outputs, both by name.
    - ``serving_bytes`` (for models of one gray or color image of a known size, whose pixels are known): from
      ``image_bytes``, a vector of encoded JPEG, PNG, GIF or BMP images of any sizes, to the same outputs.
    - ``predict``: the predictions alone, for requests that need no heatmaps.
    - ``pixels`` (where they are known): from nothing to ``json``, a text that says what the model takes, for clients of
      the other signatures. ``read_pixels`` reads the same from the folder.

    Example:
        >>> vc.export_saved_model(explained, "export", version="next", pixels="0..1")    # doctest: +SKIP
        PosixPath('export/1')

    Args:
        explained: The model that ``attach`` returned. A plain Keras model is exported without heatmaps.
        path: The folder to write; with ``version``, the folder that holds the numbered versions.
        signatures: The names of the signatures to export, ``serving_default`` among them; by default all that the
            model can serve.
        pixels: What the model takes where a photo has pixels of 0 to 255, and how photos are fitted to it, as in
            ``attach``; by default ``explained.pixels``, which a name must not contradict.
        on_error: What ``serving_bytes`` does if an image cannot be read. ``"raise"``: the request fails with an error
            that names the index of the image. ``"blank"``: the image gets zeros in every output (in
            ``"explained_class"`` -1, no class), and the output ``"valid"`` says which images were read.
        version: A number, or ``"next"`` for the next free one: the model is written to ``path/<version>``.
        overwrite: Whether to replace an earlier SavedModel; folders of anything else are never replaced. On Linux
            there is always one of the two at ``path``; elsewhere there is none for a moment.
        verify: Whether to load the written model, run it without Keras, and compare it with the model.
        warmup: Whether to write one request for each signature into the SavedModel, which TensorFlow Serving runs when
            it loads it, so that the first client does not wait. This needs the package ``tensorflow-serving-api``
            (install it with ``pip install --no-deps``, or it brings a second TensorFlow); without it none are written.
        png: Whether ``serving_bytes`` returns overlays as PNG files, ``"overlay_<layer path>_png_bytes"``, instead of
            their pixels. The model must have been attached with ``render="overlay"``.
        representative_data: Inputs as the model gets them in use, preprocessed, in any form that ``predict`` or
            TensorFlow Lite takes: arrays (of several inputs dicts by name or lists), or an iterable of batches or
            single examples, which may be tuples such as ``(x, y)``. The written model is compared with the model on the
            first ``max_examples`` of them (``serving_bytes`` on PNG files of them, unless ``pixels`` are a
            function), and otherwise on noise. None of them is kept in the SavedModel. Of an iterator the
            first elements are used up.
        max_examples: On how many of them it is compared at most.

    Returns:
        The folder of the SavedModel. It is complete or, after an error, not there.

    Raises:
        InvalidArgumentError: If an option is not allowed or would have no effect, or ``path`` exists.
        InputShapeError: If the model does not take the representative data.
        IncompatibleModelError: If ``explained`` is not a Keras 3 model.
        PathNotWritableError: If the folder cannot be written.
        ExportVerificationError: If the outputs of the written model differ from those of the model.
    """
    check_model(explained)
    inputs = exported_inputs(explained)
    user_inputs = without_target_inputs(explained, inputs)
    image = image_input(user_inputs)
    check_choice("on_error", on_error, ON_ERROR)
    known = exported_pixels(explained, pixels, user_inputs)
    names = chosen_signatures(signatures, image, known, decodes=png or on_error != "raise")
    serving_bytes = _serving_bytes(explained, image if "serving_bytes" in names else None, known, on_error, png)
    check_data_is_used(representative_data, verify)
    check_max_examples(max_examples, representative_data, verify)
    target = _version_folder(as_path("path", path), version)
    noise = {name: example_inputs(name, inputs, user_inputs, known) for name in names}
    examples = {name: Examples(arrays) for name, arrays in noise.items()}
    if representative_data is not None:
        given = first_examples(representative_data, inputs, max_examples, target_inputs_of(explained))
        examples |= _of_signatures(given, names, user_inputs, known)
    with whole_folder(target, overwrite, holds="saved_model.pb") as temporary:
        functions = served_signatures(explained, inputs, names, serving_bytes)
        with writing(target):
            _save(explained, temporary, functions, known)
            if warmup:
                write_warmup(temporary, explained.name, noise)
        if verify:
            verify_saved_model(temporary, explained, functions, examples, serving_bytes)
    return target


def _save(explained: keras.Model, folder: Path, functions: Mapping[str, Signature], pixels: Pixels | None) -> None:
    """Write the signatures and, beside them and as one, what the model takes."""
    more = {} if pixels is None else {"pixels": pixels_signature(pixels)}
    tf.saved_model.save(exported_module(explained), str(folder), signatures={**functions, **more})
    if pixels is not None:
        write_asset(folder, pixels)


def _serving_bytes(
    explained: keras.Model, image: ModelInput | None, pixels: Pixels | None, on_error: str, png: bool
) -> ServingBytes | None:
    """Return how encoded images are served; None if ``image``, the input that takes them, is None.

    Raises:
        InvalidArgumentError: If an option is not allowed, or would have no effect.
    """
    if image is None or pixels is None:
        check_no_options(on_error, png)
        return None
    decoder = ImageDecoder(image, pixels)
    if png:
        check_pictures(explained)
    classes = explained.plan.classes if isinstance(explained, ExplainedModel) and explained.plan else None
    return ServingBytes(decoder, on_error, explained.overlay_names if png else (), classes)


def _of_signatures(
    given: Examples, names: Sequence[str], user_inputs: ModelInputs, pixels: Pixels | None
) -> dict[str, Examples]:
    """Return the user's examples as inputs of each signature: for ``serving_bytes`` as PNG files of their pixels.

    That signature is left out if these cannot be found, because a function scales them.
    """
    check_examples(given.arrays, user_inputs, pixels)
    images, others = {}, dict(given.arrays)
    for name in user_inputs.names:
        images[name] = others.pop(name)
    arrays = {"serving_default": given.arrays, "predict": images}
    photos = None if pixels is None else pixels.unscale(next(iter(images.values())))
    if photos is not None:
        arrays["serving_bytes"] = {"image_bytes": png_files(_as_bytes(photos)), **others}
    return {name: Examples(arrays[name], given.indices) for name in names if name in arrays}


def _as_bytes(photos: tf.Tensor) -> np.ndarray:
    """Return pixels as uint8."""
    return np.asarray(tf.cast(tf.clip_by_value(tf.round(photos), 0, 255), tf.uint8))


def _version_folder(path: Path, version: int | str | None) -> Path:
    if version is None:
        return path
    if version == "next":
        return next_version(path)
    if isinstance(version, bool) or not isinstance(version, int) or not 0 <= version < 2**63:
        raise bad_value("version", "a number of at least 0 that 64 bits can hold, 'next' or None", version)
    return path / str(version)
