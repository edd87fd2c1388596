"""SavedModels: what TensorFlow Serving loads, without Python."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from visualcnn_tf._attach import check_model
from visualcnn_tf._utils.checks import as_path, bad_value, check_choice
from visualcnn_tf.export.examples import Arrays, example_inputs, first_batch, pictures
from visualcnn_tf.export.preprocess import ON_ERROR, PREPROCESS, ImageDecoder, Preprocess, as_pixels, check_preprocess
from visualcnn_tf.export.saved_model_verification import verify_saved_model
from visualcnn_tf.export.signatures import check_signatures, exported_inputs, image_input, own_inputs, served_signatures
from visualcnn_tf.export.warmup import write_warmup
from visualcnn_tf.io.atomic import next_version, whole_folder, writing


def export_saved_model(
    explained: Any,
    path: str | os.PathLike[str],
    *,
    signatures: Sequence[str] | None = None,
    preprocess: Preprocess = None,
    on_error: str = "raise",
    version: int | str | None = None,
    overwrite: bool = False,
    verify: bool = True,
    warmup: bool = True,
    png: bool = False,
    representative_data: Iterable[Any] | None = None,
) -> Path:
    """Writes a SavedModel for TensorFlow Serving, or for any program that loads SavedModels.

    Its signatures, with the batch first in all inputs and outputs:

    - ``serving_default``: the model's own inputs by name to all outputs by name.
    - ``serving_bytes`` (models of one gray or color image of a known size): ``image_bytes``, a vector of encoded
      JPEG, PNG, GIF or BMP images of any sizes, to the same outputs.
    - ``predict``: the predictions alone, for requests that don't want heatmaps.

    Example:
        >>> vc.export_saved_model(explained, "export", version="next", preprocess="0..1")    # doctest: +SKIP
        PosixPath('export/1')

    Args:
        explained: what ``attach`` returned; a plain Keras model is exported without heatmaps.
        path: the folder to write; with ``version``, the folder that holds numbered versions.
        signatures: names of the signatures; by default all that the model can serve.
        preprocess: what ``serving_bytes`` does with pixels from 0 to 255 before the model: ``"0..1"``, ``"-1..1"``
            or ``"caffe"`` (as ``keras.applications`` name them: BGR, means subtracted), a callable of TensorFlow
            operations on ``(B, H, W, C)`` float32 images, or None.
        on_error: ``"raise"``: an image that can't be read fails its request, with an error that tells its index.
            ``"blank"``: it gets zeros in every output (no class, -1, in ``"explained_class"``), and the output
            ``"valid"`` tells which images were read.
        version: a number, or ``"next"`` for the next free one: the model is written to ``path/<version>``.
        overwrite: whether an earlier SavedModel is replaced; folders of anything else never are. On Linux there is
            always one of the two at ``path``; elsewhere there is none for a moment.
        verify: whether the written model is loaded, run without Keras and compared with the model.
        warmup: whether TensorFlow Serving gets requests to warm the model up with when it loads it, one for each
            signature, so that its first client does not wait. Without the package ``tensorflow-serving-api`` (install
            it with ``pip install --no-deps``, or it brings a second TensorFlow) they are left out.
        png: whether ``serving_bytes`` answers with pictures as PNG files, ``"overlay_<layer path>_png_bytes"``, in
            place of the pixels; for models that were attached with ``render="overlay"``.
        representative_data: inputs as the model gets them in use, preprocessed: an iterable of batches or examples.
            The written model is compared with the model on the first of them (``serving_bytes`` on pictures of them,
            unless ``preprocess`` is a callable), and without any on noise. None of them is kept. Of an iterator the
            first elements are used up.

    Returns:
        The folder of the SavedModel. It is complete or, after an error, not there.

    Raises:
        InvalidArgumentError: for an option that is not allowed, or an existing path.
        InputShapeError: for representative data that the model does not take.
        IncompatibleModelError: for anything but a Keras 3 model.
        PathNotWritableError: when the folder can't be written.
        ExportVerificationError: when the written model does not give what the model gives.
    """
    check_model(explained)
    inputs = exported_inputs(explained)
    own = own_inputs(explained, inputs)
    image = image_input(own)
    names = check_signatures(signatures, image)
    check_choice("on_error", on_error, ON_ERROR)
    decoder = ImageDecoder(image, check_preprocess(preprocess, image)) if image and "serving_bytes" in names else None
    if preprocess is not None and decoder is None:
        raise bad_value("preprocess", "None without the signature 'serving_bytes'", preprocess)
    if png:
        _check_pictures(explained, decoder, preprocess)
    target = _target(as_path("path", path), version)
    noise = {name: example_inputs(name, inputs, own) for name in names}
    given = {} if representative_data is None else first_batch(representative_data, own)
    examples = {name: {**arrays, **_given(name, given, preprocess)} for name, arrays in noise.items()}
    with whole_folder(target, overwrite, holds="saved_model.pb") as temporary:
        functions = served_signatures(explained, inputs, names, decoder, on_error == "blank", png)
        with writing(target):
            _write(explained, functions, temporary)
            if warmup:
                write_warmup(temporary, explained.name, noise)
        if verify:
            verify_saved_model(temporary, explained, functions, examples, decoder)
    return target


def _given(signature: str, given: Arrays, preprocess: Preprocess) -> Arrays:
    """What a signature gets of the user's examples: for encoded images pictures of them, where preprocessing tells."""
    if signature != "serving_bytes" or not given:
        return given
    pixels = as_pixels(next(iter(given.values())), preprocess)
    return {} if pixels is None else {"image_bytes": pictures(pixels)}


def _check_pictures(explained: Any, decoder: ImageDecoder | None, preprocess: Preprocess) -> None:
    """Raises unless there are pictures, of images whose black and white the model's overlays know."""
    if decoder is None or not getattr(explained, "overlay_names", []):
        raise bad_value("png", "False without the signature 'serving_bytes' and `attach(..., render='overlay')`", True)
    pixels = None if callable(preprocess) else PREPROCESS[preprocess].limits
    known = explained.options.overlay.value_range or (0, 1)
    is_float = "float" in explained.plan.inputs.specs[0].dtype
    if pixels is not None and is_float and tuple(known) != pixels:
        raise bad_value(
            "png",
            f"False for overlays of images from {known[0]} to {known[1]} where `preprocess` gives {pixels}",
            True,
            f"Attach with `render=Overlay(value_range={pixels})`.",
        )


def _target(path: Path, version: int | str | None) -> Path:
    if version is None:
        return path
    if version == "next":
        return next_version(path)
    if isinstance(version, bool) or not isinstance(version, int) or not 0 <= version < 2**63:
        raise bad_value("version", "a number of at least 0 that 64 bits can hold, 'next' or None", version)
    return path / str(version)


def _write(model: Any, functions: dict[str, Any], folder: Path) -> None:
    # Saving the Keras model itself gives a SavedModel that only Python can restore: its variables are not found by
    # the loader of TensorFlow Serving. A plain module that holds the plain variables is.
    module = tf.Module()
    module.variables_of_the_model = [variable.value for variable in model.variables]
    tf.saved_model.save(module, str(folder), signatures=functions)
