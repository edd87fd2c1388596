"""Where class maps point and what they cost: measures that can fail, and the quick benchmarks as a whole."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from support.markdown_tables import tables

from benchmarks import classes, closed_form, composites, peers, pointing, ways
from benchmarks.models import adapt_normalizations, random_images

# Where maps point -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pairs():
    return composites.held_out(40)


def peaks(positions: np.ndarray) -> np.ndarray:
    """Maps that are largest at these rows and columns."""
    maps = np.zeros((len(positions), composites.SIZE, composites.SIZE))
    maps[np.arange(len(positions)), positions[:, 0], positions[:, 1]] = 0.5
    return maps


def test_composites_show_two_different_digits_that_do_not_overlap(pairs):
    assert pairs.images.shape == (40, 56, 56, 1)
    assert (pairs.digits[:, 0] != pairs.digits[:, 1]).all()
    assert (np.abs(pairs.corners[:, 0] - pairs.corners[:, 1]).max(axis=1) >= 20).all()
    for image, digits, corners, label in zip(pairs.images, pairs.digits, pairs.corners, pairs.labels, strict=True):
        assert set(np.flatnonzero(label)) == set(digits)
        image = image.copy()
        for top, left in corners:
            box = image[top : top + 20, left : left + 20]
            assert box.sum() > 10  # ink
            box[:] = 0
        assert not image.any()  # none outside of the boxes


def test_a_map_points_where_it_is_largest(pairs):
    first, second = pairs.corners[:, 0], pairs.corners[:, 1]
    for inside in (first, first + 19, first + np.array([19, 0])):
        assert pointing.pointing(peaks(inside), pairs) == pointing.Pointing(explained=1.0, other=0.0)
    wrong = pointing.pointing(peaks(second + 10), pairs)
    assert (wrong.explained, wrong.other, wrong.elsewhere) == (0.0, 1.0, 0.0)
    assert not pointing.hits(peaks(np.clip(first + 20, 0, 55)), first)[(first < 36).all(axis=1)].any()
    nowhere = pointing.pointing(np.zeros((40, 56, 56)), pairs)
    assert (nowhere.explained, nowhere.other, nowhere.elsewhere) == (0.0, 0.0, 1.0)


def test_random_maps_point_at_a_box_by_chance_alone():
    pairs = composites.held_out(400)
    found = pointing.pointing(np.random.default_rng(0).random((400, 56, 56)), pairs)
    assert abs(found.explained - 400 / 56**2) < 0.05
    assert abs(found.other - 400 / 56**2) < 0.05


def test_maps_of_the_wrong_digit_score_low(pairs):
    # Evidence is the ink: a class map that were right would be the ink in the box of the explained digit.
    ink = pairs.images[..., 0]
    rows, columns = np.ogrid[:56, :56]

    def only(digit):
        top, left = (pairs.corners[:, digit, axis, None, None] for axis in (0, 1))
        return ink * ((rows >= top) & (rows < top + 20) & (columns >= left) & (columns < left + 20))

    assert pointing.pointing(only(0), pairs).explained == 1.0
    assert pointing.pointing(only(1), pairs).explained == 0.0


@pytest.mark.slow
def test_the_quick_run_points_and_draws(tmp_path):
    models = tmp_path / "models"
    assert pointing.main(["--quick", "--out", str(tmp_path), "--models", str(models)]) == 0
    (header, *rows), (_, *others) = tables((tmp_path / "pointing-quick.md").read_text(encoding="utf-8"))
    assert [row[0] for row in others] == [name for name, found in ways.WAYS.items() for _ in found]
    assert sum("(default)" in row[1] for row in others) == len(list(models.iterdir())) == len(ways.WAYS)
    assert len(header) == 7
    assert [row[0].strip("`") for row in rows] == list(pointing.METHODS)
    for row in rows:
        shares = [float(share.removesuffix("%")) for share in row[1:]]
        assert sum(shares[:3]) == pytest.approx(100, abs=0.2)
        assert sum(shares[3:]) == pytest.approx(100, abs=0.2)
    assert {path.name for path in tmp_path.iterdir()} == {
        "pointing-quick.md",
        "pointing-quick.json",
        "pointing-quick.png",
        "classes-quick.png",
        "models",
    }


@pytest.mark.parametrize(("share", "status"), [(0.95, 0), (0.945, 1)])
def test_too_few_hits_of_gradcam_end_the_full_run_with_a_status(tmp_path, monkeypatch, capsys, share, status):
    methods = dict.fromkeys(pointing.METHODS, pointing.Pointing(share, 0.0))
    heads = [pointing.Head(name, 1.0, 1.0, methods) for name in composites.HEADS]
    monkeypatch.setattr(pointing, "measure", lambda size, seed: (heads, dict.fromkeys(composites.HEADS)))
    monkeypatch.setattr(pointing, "measure_families", lambda *_: [])
    monkeypatch.setattr(pointing, "draw", lambda *_: None)
    assert pointing.main(["--out", str(tmp_path)]) == status
    assert ("required 95%" in capsys.readouterr().err) is bool(status)


# What a class costs ---------------------------------------------------------------------------------------


def test_the_closed_form_of_gradcam():
    model = classes.small_cnn()
    images = random_images(2, 32, 32, 3)
    adapt_normalizations(model, images)
    path = model.layers[-3].name
    head = closed_form.LinearHead(model, path)
    activations = head.activations(images)
    assert np.ptp(activations) > 1
    # d logit / d A by differences: the logit is linear in A.
    step = np.zeros_like(activations)
    step[:, 3, 5, 7] = 1.0
    slope = (head.logits(activations + step) - head.logits(activations))[0, 4]
    assert slope == pytest.approx(head.weights[7, 4] / 64)
    want = np.maximum((activations[0] * head.weights[:, 4] / 64).sum(-1), 0)
    np.testing.assert_allclose(head.gradcam(activations[0], 4), want, atol=1e-12)
    probabilities = model.predict(images, verbose=0)
    logits = head.logits(activations)
    np.testing.assert_allclose(np.exp(logits) / np.exp(logits).sum(1, keepdims=True), probabilities, atol=1e-5)


def test_a_wrong_class_map_ends_the_run_with_a_status_and_no_report(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(closed_form.LinearHead, "gradcam", lambda *_: np.eye(8))
    assert classes.main(["--quick", "--out", str(tmp_path / "results")]) == 1
    assert "gradcam: off by" in capsys.readouterr().err
    assert not (tmp_path / "results").exists()


@pytest.mark.slow
def test_the_quick_run_times_classes(tmp_path):
    assert classes.main(["--quick", "--out", str(tmp_path)]) == 0
    bare, scorecam = tables((tmp_path / "classes-quick.md").read_text(encoding="utf-8"))
    assert [row[1] for row in bare[1:]] == ["1", "4"]
    assert len(scorecam) == 2
    assert all(re.fullmatch(r"\d+\.\d\d \(\d+\.\d\d–\d+\.\d\d\)", cell) for row in bare[1:] for cell in row[3:])
    errors = json.loads((tmp_path / "classes-quick.json").read_text(encoding="utf-8"))["errors"]
    assert 0 < errors["`gradcam`"] <= 1e-3


@pytest.mark.slow
def test_the_quick_run_compares_with_others(tmp_path):
    assert peers.main(["--quick", "--out", str(tmp_path)]) == 0
    theirs, hand, seeds = tables((tmp_path / "peers-quick.md").read_text(encoding="utf-8"))
    methods = ["`gradcam`", "`gradcam`", "`gradcam++`", "`layercam`", "`scorecam`, 4 channels", "`scorecam`"]
    assert [row[0] for row in theirs[1:]] == methods
    assert len(hand) == len(seeds) == 2
    raw = json.loads((tmp_path / "peers-quick.json").read_text(encoding="utf-8"))
    assert 0 < raw["errors"]["`gradcam` against tf-keras-vis"] <= 1e-4
    assert 0 < raw["errors"]["`layercam` against tf-keras-vis"] <= 1e-4
    assert all(0 < raw["errors"][f"`scorecam`, {whose}"] <= 1e-3 for whose in ("ours", "tf-keras-vis"))
    assert 0 < raw["errors"]["by hand"] <= 1e-3
    # Both times are for four images, so the ratio is for one of theirs and a quarter of ours.
    seconds = raw["raw"]["the earlier package"]
    ratio = raw["for_targets"]["the earlier package over ours, per image"]["median"]
    assert ratio == pytest.approx(4 * np.median(np.divide(seconds["the earlier package"], seconds["ours"])))
