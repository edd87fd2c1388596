"""The demo, with a network that is not trained unless the test is marked slow."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from visualcnn_tf._attach import attach
from visualcnn_tf.cli import demo
from visualcnn_tf.cli.main import main
from visualcnn_tf.data.digits import build_cnn
from visualcnn_tf.viz.figures import plot_heatmaps

ROOT = Path(demo.__file__).parents[2]


@pytest.mark.slow
def test_demo_writes_models_and_pictures(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(demo, "train_cnn", lambda digits, seed: build_cnn())  # untrained, to be quick
    drawn = []
    monkeypatch.setattr(
        demo, "plot_heatmaps", lambda *args, **options: drawn.append((args, options)) or plot_heatmaps(*args, **options)
    )
    out = tmp_path / "new" / "demo"
    assert main(["demo", "--out", str(out), "--seed", "5"]) == 0
    said = capsys.readouterr().out
    assert "seed 5" in said
    assert "heatmaps to conv1, conv2, pool, conv3." in said
    assert {path.name for path in out.iterdir()} == {
        "digits.keras",
        "explained.keras",
        "served",
        "explained.tflite",
        "gallery.png",
        "digit.png",
    }
    assert said.count("and Keras differ by at most") == 2
    assert all(float(line.split("at most ")[1].split(",")[0]) < 1e-4 for line in said.splitlines() if "differ" in line)
    assert all(name in said for name in ("digits.keras", "explained.keras", "gallery.png", "digit.png"))
    image = tf.io.decode_png((out / "digit.png").read_bytes()).numpy()[None] / 255
    model = keras.saving.load_model(out / "digits.keras")
    explained = keras.saving.load_model(out / "explained.keras")
    outputs = explained.predict(image, verbose=0)
    np.testing.assert_allclose(outputs["predictions"], model.predict(image, verbose=0), atol=1e-6)
    [((images, shown), options)] = drawn
    evidence = attach(model, "last", method="hirescam").predict(images, verbose=0)
    np.testing.assert_allclose(shown["heatmap_hirescam"], evidence["heatmap_conv3"], atol=1e-5)
    assert [tap.key for tap in options["taps"]] == [key for key in shown if key != "predictions"]
    right = int(said.split("(")[1].split(" of")[0])
    assert 0 <= right <= 450
    assert f"Test accuracy {right / 450:.1%}" in said


def test_the_commands_that_the_demo_recommends_work(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(demo, "train_cnn", lambda digits, seed: build_cnn())
    monkeypatch.chdir(tmp_path)
    main(["demo", "--out", "with a space"])
    recommended = capsys.readouterr().out.split("Try next:\n")[1].splitlines()
    assert len(recommended) == 3
    for line in recommended:
        program, *words = shlex.split(line)
        assert program == "visualcnn"
        assert main(words) == 0
    assert "conv3  Conv2D        14×14×64  conv, stages, last" in capsys.readouterr().out
    assert (tmp_path / "heatmaps.png").exists()


@pytest.mark.parametrize("absent", ["matplotlib.figure", "sklearn"])
def test_a_missing_extra_is_told_before_the_training(tmp_path, monkeypatch, capsys, absent):
    monkeypatch.setitem(sys.modules, absent, None)
    assert main(["demo", "--out", str(tmp_path)]) == 2
    said = capsys.readouterr()
    assert 'pip install "visualcnn-tf[' in said.err
    assert "Training" not in said.out


@pytest.mark.slow
def test_the_real_demo_reads_95_percent(tmp_path, capsys):
    assert main(["demo", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert float(said.split("Test accuracy ")[1].split("%")[0]) >= 95


@pytest.mark.slow
def test_the_printed_commands_work_as_printed(tmp_path):
    """From the shell, with a program that is not on the PATH."""
    program = tmp_path / "env" / "bin" / "visualcnn"
    program.parent.mkdir(parents=True)
    program.write_text(f"""#!{sys.executable}
import sys
sys.path.insert(0, {str(ROOT)!r})
from visualcnn_tf.cli.main import main
sys.exit(main())
""")
    program.chmod(0o755)

    environment = {key: value for key, value in os.environ.items() if key != "TF_CPP_MIN_LOG_LEVEL"}

    def shell(line):
        done = subprocess.run(["sh", "-c", line], cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert done.stderr in ("", "INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n")
        return done.stdout

    printed = shell("env/bin/visualcnn demo --out 'my demo'").split("Try next:\n")[1].splitlines()
    assert len(printed) == 3
    for line in printed:
        assert line.startswith("  env/bin/visualcnn ")
        assert shell(line)
    assert (tmp_path / "heatmaps.png").exists()
