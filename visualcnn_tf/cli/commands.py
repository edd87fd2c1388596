"""What the commands of ``visualcnn`` do, one function for each."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from visualcnn_tf._attach import attach
from visualcnn_tf._utils.checks import bad_value, check_choice
from visualcnn_tf.cli.files import load_model, read_labels
from visualcnn_tf.errors import IncompatibleModelError
from visualcnn_tf.export.preprocess import PREPROCESS, check_preprocess
from visualcnn_tf.export.saved_model import export_saved_model
from visualcnn_tf.export.tflite import export_tflite
from visualcnn_tf.introspect.inputs import image_inputs, model_inputs
from visualcnn_tf.introspect.named_layers import named_layers
from visualcnn_tf.introspect.outputs import PREDICTIONS
from visualcnn_tf.introspect.presets import PRESETS
from visualcnn_tf.introspect.select import Selector
from visualcnn_tf.io.atomic import check_free, write_file
from visualcnn_tf.io.images import read_images
from visualcnn_tf.video.frames import open_frames
from visualcnn_tf.video.heatmap_video import Look, heatmap_video
from visualcnn_tf.viz.figures import plot_pages

_DPI = 150
_LARGEST = 8192  # pixels: a heatmap of this height and width takes 256 MB
_RESCALING = (keras.layers.Rescaling, keras.layers.Normalization)


def demo(arguments: Namespace) -> None:
    """Trains, explains and draws on built-in data."""
    from visualcnn_tf.cli.demo import run

    run(arguments.out, seed=arguments.seed)


def layers(arguments: Namespace) -> None:
    """Prints a table of what can be tapped."""
    model = load_model(arguments.model, arguments.trust_model)
    inputs = model_inputs(model)
    if inputs is None:
        raise IncompatibleModelError(
            f"`{arguments.model}` doesn't tell what its inputs are. Call the model once before saving it."
        )
    selector = Selector(model, inputs)
    presets = {name: selector.preset(name) for name in PRESETS}
    rows = [("layer", "type", "output", "in presets")]
    for call in selector.tappable():
        chosen = [name for name, calls in presets.items() if call in calls]
        rows.append((call.path, type(call.layer).__name__, _shape(call.shape), ", ".join(chosen)))
    if len(rows) == 1:
        print(f"{model.name} has no layer with a spatial output.")
        return
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def show(arguments: Namespace) -> None:
    """Draws images with their heatmaps."""
    model = load_model(arguments.model, arguments.trust_model)
    shape = image_inputs(model).specs[0].shape
    images = read_images(arguments.images, shape)
    if arguments.target == "input":
        raise bad_value("--class", "'predicted', a class index, or 'top<n>' such as 'top3'", arguments.target)
    explained = attach(model, combine="mean" if arguments.combine else None, **_heatmaps(arguments))
    outputs = explained.predict(_preprocessor(model, arguments)(images), verbose=0)
    names = None
    if arguments.labels:
        names = read_labels(arguments.labels, np.shape(outputs.get(PREDICTIONS, np.zeros((0, 0))))[-1])
    look = {"taps": explained.taps, "class_names": names, "background": arguments.background}
    figures = plot_pages(np.round(images).astype(np.uint8), outputs, **look)
    paths = [arguments.out] if len(figures) == 1 else _pages(arguments.out, len(figures))
    for figure, path in zip(figures, paths, strict=True):
        save_figure(figure, path)
    count = len({tap.path for tap in explained.taps})  # not once for each class
    print(f"Wrote {', '.join(map(str, paths))} (images: {len(images)}, layers: {count}).")


def video(arguments: Namespace) -> None:
    """Lays heatmaps over the frames of a film."""
    model = load_model(arguments.model, arguments.trust_model)
    image_inputs(model)
    if not arguments.out.suffix:
        check_free(arguments.out, arguments.overwrite, "--out", "Add `--overwrite`")
    frames = open_frames(arguments.frames)
    low, high = heatmap_video(
        model,
        frames,
        arguments.out,
        layer=arguments.layer,
        method=arguments.method,
        prepare=_preprocessor(model, arguments),
        scale=arguments.range,
        calibrate=arguments.calibrate,
        look=Look(arguments.alpha, arguments.colormap, arguments.weighted),
        fps=arguments.fps,
        overwrite=arguments.overwrite,
    )
    print(f"Wrote {arguments.out} (frames: {frames.count}, scale: --range {low:.6g} {high:.6g}).")


def export(arguments: Namespace) -> None:
    """Writes the model with its heatmaps for servers and devices."""
    if arguments.saved_model is None and arguments.tflite is None:
        raise bad_value("--saved-model", "given, or --tflite, or both", None, "Say what to write.")
    if arguments.tflite is not None:
        check_free(arguments.tflite, arguments.overwrite, "--tflite", "Add `--overwrite`")
    model = load_model(arguments.model, arguments.trust_model)
    explained = attach(model, dtype=arguments.dtype, **_heatmaps(arguments))
    data = None if arguments.calibrate is None else [_calibration_images(explained.model, arguments)]
    if arguments.saved_model is not None:
        served = {"version": "next", "preprocess": arguments.preprocess, "representative_data": data}
        folder = export_saved_model(explained, arguments.saved_model, **served)
        print(f"Wrote {folder}: a SavedModel, the same as the model.")
    if arguments.tflite is not None:
        options = {"quantize": arguments.quantize, "representative_data": data, "overwrite": arguments.overwrite}
        print(export_tflite(explained, arguments.tflite, **options))


def web(arguments: Namespace) -> None:
    """Serves a page that runs a TensorFlow Lite file in the browser."""
    from visualcnn_tf.web.server import serve

    serve(
        arguments.model,
        modules=arguments.modules,
        port=arguments.port,
        preprocess=arguments.preprocess,
        browser=not arguments.no_browser,
    )


def _calibration_images(model: Any, arguments: Namespace) -> Any:
    """All images of a folder, as the model takes them."""
    spec = image_inputs(model).specs[0]
    folder = arguments.calibrate
    files = sorted(path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []
    if not files:
        advice = "It is empty." if folder.is_dir() else "There is no such folder."
        raise bad_value("--calibrate", "a folder of images", str(folder), advice)
    return np.asarray(check_preprocess(arguments.preprocess, spec)(read_images(files, spec.shape)))


def save_figure(figure: Any, path: Path) -> None:
    """Saves a figure, in a format that its name tells."""
    content = BytesIO()
    try:
        if not path.suffix:
            raise ValueError("no format")
        figure.savefig(content, format=path.suffix[1:], dpi=_DPI)
    except ValueError as error:  # matplotlib's answer to an unknown suffix
        raise bad_value("--out", "a picture file such as heatmaps.png", str(path)) from error
    write_file(path, content.getvalue())


def _pages(path: Path, count: int) -> list[Path]:
    """``heatmaps_1.png`` and so on."""
    return [path.with_stem(f"{path.stem}_{number}") for number in range(1, count + 1)]


def _shape(shape: tuple[int | None, ...]) -> str:
    return "×".join("?" if n is None else str(n) for n in shape[1:])


def _heatmaps(arguments: Namespace) -> dict[str, Any]:
    """The options of ``attach`` that all commands have."""
    return {
        "layers": _one_or_all(arguments.layers),
        "method": arguments.method,
        "size": _size(arguments.size),
        "target": arguments.target,
        "output": arguments.output,
        "max_channels": arguments.max_channels,
    }


def _one_or_all(selectors: list[str | int] | None) -> Any:
    return selectors[0] if selectors and len(selectors) == 1 else selectors


def _size(words: list[str] | None) -> Any:
    if words is None:
        return "input"
    if words == ["native"]:
        return None
    if len(words) == 2 and all(word.isdecimal() and 0 < int(word) <= _LARGEST for word in words):
        return int(words[0]), int(words[1])
    allowed = f"'native' or a height and a width up to {_LARGEST}, such as 56 56"
    raise bad_value("--size", allowed, " ".join(words))


def _preprocessor(model: Any, arguments: Namespace) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """From pixel values in 0 … 255 to what the model takes."""
    if arguments.preprocess:
        modules = [name for name in dir(keras.applications) if hasattr(_application(name), "preprocess_input")]
        check_choice("--preprocess", arguments.preprocess, modules)
        # A copy, because some of these functions change the array that they are given.
        return lambda images: np.asarray(_application(arguments.preprocess).preprocess_input(images.copy()))
    scale = arguments.scale
    if scale is None:
        scale = "none" if any(isinstance(layer, _RESCALING) for layer in named_layers(model).values()) else "0..1"
        print(f"Pixel values: {'0..255' if scale == 'none' else scale} (--scale or --preprocess change them).")
    return PREPROCESS[None if scale == "none" else scale].forward


def _application(name: str) -> Any:
    return getattr(keras.applications, name)
