"""A layer is found again in a model that was saved and loaded, whatever Keras calls it now."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest
from support import reloaded_models
from support.reloaded_models import MODELS, Block, conv, with_random_weights

from visualcnn_tf.errors import LayerNotFoundError
from visualcnn_tf.introspect.location import Location, Step, layer_at, locate
from visualcnn_tf.introspect.named_layers import named_layers


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for name, make in MODELS.items():
        reloaded_models.save(with_random_weights(make()), folder, name)
    return folder


@pytest.mark.sweep(cases=5)
@pytest.mark.parametrize("name", MODELS)
def test_finds_each_layer_of_a_model_loaded_after_others_were_made(saved: Path, name: str) -> None:
    reloaded_models.make_others()
    found = reloaded_models.load_and_check(saved, name)
    before = [Location.from_config(config).path for config in json.loads((saved / f"{name}.json").read_text())]
    assert found != before  # else Keras kept all names, and the test would show nothing


def test_finds_each_layer_in_a_fresh_process(saved: Path) -> None:
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), str(root / "tests")])}
    command = [sys.executable, "-W", "ignore", "-m", "support.reloaded_models", str(saved)]
    run = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert run.returncode == 0, run.stderr
    assert set(run.stdout.split()) == set(MODELS)


@pytest.mark.sweep(cases=6)
@pytest.mark.parametrize("name", MODELS)
def test_leads_back_to_the_layer_in_the_model_itself(name: str) -> None:
    model = MODELS[name]()
    for path, layer in named_layers(model).items():
        location = locate(model, layer)
        assert location.path.split("/")[-1] == layer.name
        assert location.path.count("/") == path.count("/")
        assert layer_at(model, location) is layer


def test_a_location_is_what_json_holds() -> None:
    model = keras.Sequential([keras.Input((8, 8, 4)), conv(), Block(name="block")], name="m")
    location = locate(model, model.get_layer("block").second)
    assert location.steps[0] == Step("block", 1, "Block")
    assert location.steps[1].index == 1
    assert Location.from_config(json.loads(json.dumps(location.get_config()))) == location


def test_a_layer_from_elsewhere() -> None:
    model = keras.Sequential([keras.Input((8, 8, 4)), conv()], name="m")
    with pytest.raises(LayerNotFoundError, match=r"`layer` must be inside the model 'm'\. Received: the layer 'other'"):
        locate(model, keras.layers.Conv2D(4, 3, name="other"))


@pytest.mark.parametrize(
    ("step", "received"),
    [
        (Step("gone", 2, "Conv2D"), r"Received: a Block 'block' with 2 layers"),
        (Step("gone", 1, "Dense"), r"Received: Conv2D 'conv2d\w*' at that position"),
    ],
)
def test_code_that_has_changed(step: Step, received: str) -> None:
    model = keras.Sequential([keras.Input((8, 8, 4)), Block(name="block")], name="m")
    location = Location((Step("block", 0, "Block"), step))
    with pytest.raises(LayerNotFoundError, match=received) as error:
        layer_at(model, location)
    assert f"saved as 'block/gone': {step.class_name} at position {step.index} of the Block 'block'" in str(error.value)
    assert "attach to the loaded model again" in str(error.value)
