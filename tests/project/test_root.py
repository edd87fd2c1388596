"""What ``import visualcnn_tf`` gives, in fresh processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.small_cnn import small_cnn

import visualcnn_tf as vc

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an explained model, and a model with layers of the package."""
    folder = tmp_path_factory.mktemp("saved")
    vc.attach(small_cnn(), combine="mean", render="overlay", pixels="0..1").save(folder / "explained.keras")
    import keras

    image = keras.Input((12, 12, 3))
    maps = keras.layers.Conv2D(4, 3)(image)
    heatmap = vc.FeatureMapFusion(size="input")(maps, like=image)
    pictures = [vc.Overlay()(image, heatmap), vc.BlurByImportance()(image, heatmap), vc.Colorize()(heatmap)]
    keras.Model(image, pictures).save(folder / "layers.keras")
    return folder


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("imports", ["import visualcnn_tf, keras", "import keras, visualcnn_tf"])
def test_saved_models_are_loaded_after_the_import_alone(saved: Path, imports: str) -> None:
    said = python(f"""
{imports}
for name in ("explained", "layers"):
    print(type(keras.models.load_model("{saved}/" + name + ".keras")).__name__)
""")
    assert said.split() == ["ExplainedModel", "Functional"]


def test_names_are_found_in_every_way() -> None:
    python("""
import pickle
import visualcnn_tf as vc
from visualcnn_tf import *
from visualcnn_tf import attach as imported, errors as imported_errors
import visualcnn_tf.errors, visualcnn_tf.methods, visualcnn_tf.targets

assert attach is imported is vc.attach
assert errors is imported_errors is vc.errors
assert vc.methods.__name__ == "visualcnn_tf.methods" and vc.targets.__name__ == "visualcnn_tf.targets"
assert set(vc.__all__) <= set(dir(vc)) and set(vc.__all__) <= set(globals())
for name in vc.__all__:
    value = getattr(vc, name)
    if callable(value):
        assert pickle.loads(pickle.dumps(value)) is value, name
assert str(pickle.loads(pickle.dumps(vc.InvalidTypeError("why")))) == "why"
""")


def test_every_error_and_warning_is_public() -> None:
    assert {name for name in vars(vc.errors) if not name.startswith("_")} <= set(vc.__all__)


def test_the_list_of_names_is_that_of_the_imports() -> None:
    from visualcnn_tf import _public

    imported = {name for name in vars(_public) if not name.startswith("_")} - {"visualcnn_tf"}
    assert imported | {name for name in vars(vc.errors) if not name.startswith("_")} == set(vc.__all__)
