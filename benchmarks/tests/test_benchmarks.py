"""The timing core on a fake clock, the earlier package's formula, checks that can fail, and a quick benchmark."""

from __future__ import annotations

import json
import re

import keras
import numpy as np
import pytest
from support import oracle
from support.markdown_tables import tables

from benchmarks import checks, earlier, overhead
from benchmarks.models import adapt_normalizations, random_images
from benchmarks.timing import Samples, Spread, conditions, take_turns


class FakeClock:
    """Stands still but for what the contenders take."""

    def __init__(self) -> None:
        self.now = 0.0
        self.turns = []

    def __call__(self) -> float:
        return self.now

    def contender(self, name, *takes):
        remaining = iter(takes)

        def run():
            self.turns.append(name)
            self.now += next(remaining)

        return run


def test_contenders_take_turns_and_warm_up_does_not_count():
    clock = FakeClock()
    contenders = {"a": clock.contender("a", 9, 1, 2), "b": clock.contender("b", 8, 3, 5)}
    samples = take_turns(contenders, rounds=2, warmup=1, clock=clock)
    assert clock.turns == ["a", "b", "a", "b", "a", "b"]
    assert samples.seconds == {"a": [1, 2], "b": [3, 5]}


def test_the_calls_ahead_of_each_turn_do_not_count():
    clock = FakeClock()
    contenders = {"a": clock.contender("a", 9, 9, 8, 1, 7, 2), "b": clock.contender("b", 9, 9, 6, 3, 4, 5)}
    samples = take_turns(contenders, rounds=2, warmup=1, ahead=1, clock=clock)
    assert clock.turns == ["a", "a", "b", "b"] * 3
    assert samples.seconds == {"a": [1, 2], "b": [3, 5]}


def test_what_happens_between_the_turns_is_not_timed():
    clock = FakeClock()

    class Result:
        def __del__(self):
            clock.now += 100

    samples = take_turns({"a": Result}, rounds=3, clock=clock)
    assert samples.seconds == {"a": [0, 0, 0]}


def test_a_ratio_is_the_median_of_the_ratios_of_each_round():
    # The machine gets slower from round to round; "b" takes 2, 2, 2, 4 and 3 times as long as "a".
    samples = Samples({"a": [1, 1, 10, 10, 100], "b": [2, 2, 20, 40, 300]})
    assert samples.ratio("b", over="a") == Spread(low=2, median=2, high=3)
    assert samples.time("a") == Spread(low=1, median=10, high=10)


def test_rounds_of_several_are_put_one_after_the_other():
    parts = [Samples({"a": [1, 2], "b": [3, 4]}), Samples({"b": [6], "a": [5]})]
    assert Samples.joined(parts).seconds == {"a": [1, 2, 5], "b": [3, 4, 6]}


def test_a_spread_reads_as_median_and_quartiles():
    assert str(Spread.of([1, 2, 3, 4, 5])) == "3.00 (2.00–4.00)"


def test_conditions_name_what_a_time_depends_on():
    found = conditions()
    assert {"CPU", "GPU", "threads", "python", "tensorflow", "keras", "numpy", "date"} <= set(found)
    assert all(found.values())
    assert found["keras"] == keras.__version__


def stack(*layers, size: int = 12) -> keras.Model:
    keras.utils.set_random_seed(1)
    return keras.Sequential([keras.Input((size, size, 1)), *layers])


def image(size: int = 12) -> np.ndarray:
    return np.random.default_rng(2).random((size, size, 1), dtype=np.float32)


def test_the_formula_of_the_earlier_package():
    conv, pool = keras.layers.Conv2D(3, 3, padding="same"), keras.layers.MaxPooling2D(3)
    model = stack(conv, keras.layers.ReLU(), pool, keras.layers.Flatten(), keras.layers.Dense(2))
    first = conv(image()[np.newaxis])
    second = pool(keras.ops.relu(first))
    found = earlier.heatmaps(model, image())
    assert len(found) == 2
    for got, activations in zip(found, (first, second), strict=True):
        want = oracle.heatmap(activations, "deviation", (12, 12))[0]
        assert got.shape == (12, 12)
        np.testing.assert_allclose(got, want, atol=1e-3)


def test_the_earlier_package_rounds_to_four_decimals():
    model = stack(keras.layers.Conv2D(3, 3, padding="same"))
    got = earlier.heatmaps(model, image())[0]
    np.testing.assert_allclose(got * 1e4, np.round(got * 1e4), atol=1e-6)


def test_the_earlier_package_fills_the_rest_with_noise():
    # 11 pixels can't be doubled or tripled within 13: two random transposed convolutions.
    model = stack(keras.layers.Conv2D(3, 3), size=13)
    first, second = (earlier.heatmaps(model, image(13))[0] for _ in range(2))
    assert first.shape == (13, 13)
    assert abs(first - second).max() > 0.01


def test_the_earlier_package_never_ends_on_maps_of_another_aspect_ratio_which_are_refused_here():
    model = keras.Sequential([keras.Input((8, 21, 1)), keras.layers.MaxPooling2D((1, 2))])
    with pytest.raises(ValueError, match="never ends"):
        earlier.heatmaps(model, np.random.default_rng(0).random((8, 21, 1), dtype=np.float32))


@pytest.mark.parametrize("shape", [(5, 4, 3), (1, 1, 2), (12, 12, 1)])
def test_the_expected_heatmap_is_the_oracles(shape):
    activations = np.random.default_rng(3).normal(size=shape)
    want = oracle.heatmap(activations[np.newaxis], "deviation", (12, 12))[0]
    np.testing.assert_allclose(checks.expected_heatmap(activations, (12, 12)), want, atol=1e-12)


def test_an_output_that_is_off_is_a_mismatch():
    assert checks.difference("x", [1.0, 2.0], [1.0, 2.5], tolerance=0.5) == 0.5
    for wrong in ([1.0, 2.6], [1.0, np.nan], [1.0]):
        with pytest.raises(checks.MismatchError, match=r"^x: "):
            checks.difference("x", wrong, [1.0, 2.0], tolerance=0.5)


def test_equal_predictions_for_all_images_are_a_mismatch():
    checks.require_variety("x", np.array([[0.5, 0.5], [0.4, 0.6]]))
    with pytest.raises(checks.MismatchError, match="the same for all images"):
        checks.require_variety("x", np.array([[0.5, 0.5], [0.5, 0.5]]))


def test_adapted_normalizations_give_normal_activations_and_keep_their_momentum():
    norm = keras.layers.BatchNormalization(momentum=0.9)
    model = stack(keras.layers.Conv2D(4, 3, bias_initializer="ones"), norm)
    images = random_images(8, 12, 12, 1)
    adapt_normalizations(model, images)
    outputs = model.predict(images, verbose=0)
    np.testing.assert_allclose(outputs.mean((0, 1, 2)), 0, atol=1e-3)
    np.testing.assert_allclose(outputs.std((0, 1, 2)), 1, atol=0.1)
    assert norm.momentum == 0.9


def test_a_wrong_output_ends_the_run_with_a_status_and_no_report(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(checks, "expected_heatmap", lambda activations, size, *_: np.full(size, 0.5))
    assert overhead.main(["--quick", "--out", str(tmp_path / "results")]) == 1
    assert "wrong output, nothing reported" in capsys.readouterr().err
    assert not (tmp_path / "results").exists()


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """What the quick run has written."""
    out = tmp_path_factory.mktemp("results")
    assert overhead.main(["--quick", "--out", str(out)]) == 0
    markdown, raw = (out / f"overhead-quick.{ending}" for ending in ("md", "json"))
    return markdown.read_text(encoding="utf-8"), json.loads(raw.read_text(encoding="utf-8"))


@pytest.mark.slow
def test_the_quick_report_has_a_row_for_each_way_and_type(quick):
    main, *others, summary = tables(quick[0])
    header, *rows = main
    ways = [(row[2], row[5], row[6]) for row in rows]
    assert ways[:3] == [
        ("last (1)", "float32", "plain"),
        ("stages (2)", "float32", "plain"),
        ("stages (2)", "uint8", "plain"),
    ]
    assert ways[-1] == ("conv (4)", "uint8", "after activation, XLA for heatmaps")
    assert len(others) == 4
    for row in rows:
        assert len(row) == len(header) == 11
        assert re.fullmatch(r"-?\d+\.\d\d \(-?\d+\.\d\d–-?\d+\.\d\d\)", row[8])
        assert float(row[9]) > 1
    assert len(summary) == 2


@pytest.mark.slow
def test_the_quick_run_keeps_raw_samples_and_the_errors_that_the_checks_saw(quick):
    markdown, raw = quick
    samples = raw["raw"]["main, the CNN of the earlier package, 4, stages, deviation, input, tf.function"]
    assert {name: len(seconds) for name, seconds in samples.items()} == {
        "bare": 3,
        "plain, float32": 3,
        "plain, uint8": 3,
        "XLA for heatmaps, float32": 3,
        "XLA for heatmaps, uint8": 3,
    }
    assert 0 < raw["errors"]["float32 heatmaps"] <= 1e-4
    assert 0 < raw["errors"]["uint8 heatmaps"] <= 1e-4 + checks.ROUNDING["uint8"]
    assert f"- tensorflow: {raw['conditions']['tensorflow']}" in markdown
    assert raw["for_targets"]["conv, small, uint8"]["median"] > 0
