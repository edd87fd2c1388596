"""explain_photos: from files of photos to pictures of what a model looks at in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import keras
from numpy.typing import ArrayLike

from visualcnn_tf._attach import attach
from visualcnn_tf._model import ExplainedModel
from visualcnn_tf._utils.checks import bad_value, is_count
from visualcnn_tf.introspect.find_inputs import image_inputs
from visualcnn_tf.io.images import read_image
from visualcnn_tf.pipeline.options import LayerSelector, MethodChoice
from visualcnn_tf.pixels.pixels import Pixels
from visualcnn_tf.pixels.registry import PixelsLike
from visualcnn_tf.pixels.registry import get as get_pixels
from visualcnn_tf.render.colormaps import DEFAULT_COLORMAP
from visualcnn_tf.targets.base import Target
from visualcnn_tf.targets.class_names import named_target
from visualcnn_tf.targets.registry import TargetLike
from visualcnn_tf.viz.explained_photo import DEFAULT_ALPHA, Fitting, PhotoExplainer
from visualcnn_tf.viz.gallery import require_matplotlib
from visualcnn_tf.viz.labels import class_indices
from visualcnn_tf.viz.look import Look
from visualcnn_tf.viz.photo_classes import class_count, names_without_labels, truths_of_folders
from visualcnn_tf.viz.photo_files import PhotoFile, PhotoPaths, as_paths, photo_files
from visualcnn_tf.viz.photo_pages import PhotoPages, sized
from visualcnn_tf.viz.photo_rows import LabeledPhoto
from visualcnn_tf.viz.predictions import check_count

_LARGEST = 512  # pixels: the longer side of the input of a model of any size, unless `Pixels(size=...)` sets it


def explain_photos(
    model: keras.Model,
    photos: PhotoPaths,
    *,
    layers: LayerSelector = None,
    method: MethodChoice | None = None,
    target: TargetLike | None = None,
    pixels: PixelsLike | None = None,
    labels: ArrayLike | None = None,
    class_names: Sequence[str] | None = None,
    alpha: float | None = DEFAULT_ALPHA,
    colormap: str = DEFAULT_COLORMAP,
    background: str = "light",
    max_columns: int = 12,
    batch_size: int = 16,
) -> PhotoPages:
    """Return pages of photos, each with the heatmaps of a model laid over it.

    Photos have their own proportions and stand upright, as their camera says (Exif). What the model does not see of
    them, because they are cropped to its input, is dark. Titles tell file names, predicted classes and their
    probabilities. Wrong predictions are red, where true classes are known: of ``labels``, or of a folder with a
    subfolder for each class. The photos are read and explained when their page is asked for, so memory does not grow
    with their number.

    Example:
        >>> import visualcnn_tf as vc
        >>> vc.explain_photos(model, "photos")                         # doctest: +SKIP - a notebook shows the pages
        >>> vc.explain_photos(model, ["cat.jpg", "dog.jpg"], target="top3").save("cats.png")      # doctest: +SKIP

    Args:
        model: A model of one gray or color image. An explained model, made by ``attach`` with any options, explains
            photos as it does images; any other is explained as ``layers``, ``method`` and ``target`` say.
        photos: A file, a folder, or a list of these. A folder stands for the photos in it and in its folders.
        layers: As for ``attach``; None is ``"last"``.
        method: As for ``attach``; None is ``"gradcam"``, of boxes ``"hirescam"``.
        target: As for ``attach``, or the name of a class; ``"top3"`` draws three heatmaps side by side. None is
            ``"predicted"``.
        pixels: What the model takes of a photo, see :class:`visualcnn_tf.Pixels`: ``"0..1"``, ``"mobilenet_v2"`` and
            so on. Needed where the model's layers don't tell. ``Pixels(..., fit="crop")`` or ``"pad"`` fit photos in
            another way than by squeezing them to the input's proportions.
        labels: The true class of each photo: class indices, one-hot rows or names. None takes the names of folders.
        class_names: The names of the classes, in the order of their indices. None takes the names of the folder's
            subfolders, in the order of Keras's ``image_dataset_from_directory``, if they are as many as the model has
            classes, or those of ImageNet for a classifier of ``keras_hub`` with 1000 classes.
        alpha: The opacity of heatmaps where they are highest, from 0 to 1. Where they are 0, the photo stays as it
            is. None draws the heatmaps by themselves.
        colormap: A name in ``visualcnn_tf.COLORMAPS``.
        background: ``"light"`` or ``"dark"``.
        max_columns: More heatmaps of a photo than this wrap into lines.
        batch_size: How many photos the model explains at once.

    Returns:
        A sequence of Matplotlib figures with ``save(path)``, which writes all of them, and ``photos()``, which yields
        each photo with its outputs and its overlay at full size; see :class:`visualcnn_tf.PhotoPages`.

    Raises:
        InvalidArgumentError: An argument is not as described, or ``pixels`` is needed.
        InputShapeError: The model takes something else than one image.
        ImageReadError: A photo is missing. One that can't be read raises this when its page is drawn.
        MissingExtraError: Matplotlib is not installed.
    """
    require_matplotlib()
    look = Look(max_columns, background, alpha, colormap)
    if not is_count(batch_size):
        raise bad_value("batch_size", "a whole number of at least 1", batch_size)
    files = photo_files(photos)
    names = names_without_labels(model, as_paths(photos)) if class_names is None else class_names
    explained = _explained(model, layers, method, target, pixels, names)
    fitting = _fitting(explained, pixels, files[0])
    names = names_without_labels(explained, as_paths(photos)) if class_names is None else class_names
    classes = _classes(explained, files, names, labels)
    labeled = [LabeledPhoto(file, truth) for file, truth in zip(files, classes.truths, strict=True)]
    fixed = image_inputs(explained.model).specs[0].shape[0]
    explainer = PhotoExplainer(explained, fitting, min(batch_size, fixed or batch_size))
    return sized(PhotoPages(labeled, classes.names, explainer, look))


def _explained(
    model: keras.Model,
    layers: LayerSelector,
    method: MethodChoice | None,
    target: TargetLike | None,
    pixels: PixelsLike | None,
    names: Sequence[str] | None,
) -> ExplainedModel:
    """Return the explained model, which must take one image and make heatmaps in [0, 1]."""
    if isinstance(model, ExplainedModel):
        for argument, value in {"layers": layers, "method": method, "target": target}.items():
            if value is not None:
                raise bad_value(argument, "None for a model that is explained already", value)
        explained = model
    else:
        target = "predicted" if target is None else target
        explained = attach(
            model,
            "last" if layers is None else layers,
            method=_usual_method(target) if method is None else method,
            target=target if names is None else named_target(target, names),
            pixels=pixels,
        )
    if explained.options.normalize is None:
        raise bad_value("model", "attached with `normalize`, so that its heatmaps lie in [0, 1]", "normalize=None")
    asked = explained.options.resolved_target.inputs
    if asked:
        received = explained.options.resolved_target
        raise bad_value("target", f"one that needs no {asked[0].words} with the images, such as 'top3'", received)
    return explained


def _usual_method(target: TargetLike) -> str:
    return (target.usual_method if isinstance(target, Target) else None) or "gradcam"


def _fitting(explained: ExplainedModel, given: PixelsLike | None, first: PhotoFile) -> Fitting:
    """Return how photos become the model's input.

    Raises:
        InvalidArgumentError: It is not known what the model takes, or something else is asked for.
    """
    _, height, width, channels = image_inputs(explained.model).specs[0].shape
    pixels = _pixels(explained.pixels, None if given is None else get_pixels(given))
    if not (height and width):
        photo = read_image(first.path, 1).shape[:2]
        scale = min(1.0, _LARGEST / max(photo))
        usual = pixels.size or tuple(max(1, round(side * scale)) for side in photo)
        height, width = height or usual[0], width or usual[1]
    return Fitting((height, width), channels or 3, pixels)


def _pixels(known: Pixels | None, given: Pixels | None) -> Pixels:
    if known is None and given is None:
        raise bad_value(
            "pixels",
            "given, because the model's layers don't tell what it takes",
            None,
            "Say it, for example: pixels='0..1' or pixels='mobilenet_v2'.",
        )
    if known is not None and given is not None and given.values != known.values:
        raise bad_value("pixels", f"{known.values!r} or left out: the model is known to take them", given.values)
    return given or known  # type: ignore[return-value]


class _Classes(NamedTuple):
    names: Sequence[str] | None
    truths: Sequence[int | None]


def _classes(
    explained: ExplainedModel, files: Sequence[PhotoFile], names: Sequence[str] | None, labels: ArrayLike | None
) -> _Classes:
    """Return the names of the classes, and the true class of each photo."""
    count = class_count(explained)
    if names is not None and count is not None:
        check_count("class_names", names, count, "class")
    if labels is not None:
        return _Classes(names, class_indices(labels, names, len(files)))
    return _Classes(names, [None] * len(files) if names is None else truths_of_folders(files, names))
