"""The box that is explained, in figures, on pages of photos and in files of the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.detectors import DETECTORS, photos

import visualcnn_tf as vc
from visualcnn_tf.pixels.fit import fit_image, undo_fit_of_points
from visualcnn_tf.targets import Box
from visualcnn_tf.viz.boxes import corners_of, with_box

X = photos()


def explained(form: str = "scores_and_boxes", **options: Any) -> Any:
    target = Box([2, 7], **{"box_format": "xyxy", **options})
    return vc.attach(DETECTORS[form]().model, "maps", target=target, pixels="0..1")


def test_the_corners_and_the_score_are_outputs() -> None:
    detector = DETECTORS["scores_and_boxes"]()
    outputs, own = vc.attach(detector.model, "maps", target=Box([2, 7], box_format="xyxy"))(X), detector.model(X)
    np.testing.assert_allclose(outputs["explained_box"], own["boxes"].numpy()[:, [2, 7]], rtol=1e-6)
    np.testing.assert_allclose(outputs["explained_score"], own["scores"].numpy()[:, [2, 7]].max(-1), rtol=1e-6)


@pytest.mark.parametrize(
    ("box_format", "want"),
    [
        ("yxyx", lambda a, b, c, d: (b, a, d, c)),
        ("xywh", lambda a, b, c, d: (a, b, a + c, b + d)),
        ("center_xywh", lambda a, b, c, d: (a - c / 2, b - d / 2, a + c / 2, b + d / 2)),
        ("rel_center_yxhw", lambda a, b, c, d: [24 * n for n in (b - d / 2, a - c / 2, b + d / 2, a + c / 2)]),
    ],
)
def test_corners_of_every_format(box_format: str, want: Any) -> None:
    detector = DETECTORS["sorted_rows"]()
    outputs = vc.attach(detector.model, "maps", target=Box(1, box_format=box_format))(X)
    rows = detector.model(X).numpy()[:, 1]
    np.testing.assert_allclose(outputs["explained_box"], [want(*row[:4]) for row in rows], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(outputs["explained_score"], rows[:, 4], rtol=1e-5)


def test_a_box_that_is_not_there_has_no_corners() -> None:
    model = DETECTORS["scores_and_boxes"]().model
    outputs = vc.attach(model, "maps", target=Box("input", box_format="xyxy"))({"image": X, "box_index": [1, 99]})
    assert outputs["explained_box"][0].numpy().any()
    assert not outputs["explained_box"][1].numpy().any()
    assert outputs["explained_score"][1] == 0


def test_a_line_is_drawn_around_the_box() -> None:
    picture = np.full((40, 60, 3), 100, np.uint8)
    drawn = with_box(picture, (0.2, 0.25, 0.5, 0.75))  # columns 12 to 30, rows 10 to 30
    for y, x in np.ndindex(40, 60):
        distance = max(12 - x, x - 29, 10 - y, y - 29)  # above 0 outside of the box
        want = {0: 0, 1: 255, 2: 0}.get(distance, 100)
        assert (drawn[y, x] == want).all(), (y, x, distance)
    assert with_box(picture, None) is picture
    assert (picture == 100).all()


def test_the_box_of_each_heatmap() -> None:
    model = explained()
    taps = model.taps
    boxes = [[[6, 12, 12, 24], [0, 0, 24, 12]], [[3, 3, 3, 3], [0, 0, 6, 6]]]
    assert corners_of(boxes, taps[0], 0, (24, 24)) == (0.25, 0.5, 0.5, 1)
    assert corners_of(boxes, taps[1], 0, (24, 24)) == (0, 0, 1, 0.5)
    assert corners_of(boxes, taps[0], 1, (24, 24)) is None  # no area
    assert corners_of(boxes, taps[1], 1, (24, 12)) == (0, 0, 0.5, 0.25)
    assert corners_of(None, taps[0], 0, (24, 24)) is None


@pytest.mark.parametrize(
    ("fit", "photo", "size"),
    [
        ("squeeze", (40, 80), (20, 20)),
        ("crop", (40, 80), (20, 20)),
        ("pad", (40, 80), (20, 20)),
        ("pad", (90, 30), (30, 60)),
    ],
)
def test_points_of_the_input_are_found_in_the_photo(fit: str, photo: Any, size: Any) -> None:
    spot = np.zeros((*photo, 1), np.float32)
    y, x = photo[0] // 2 + 4, photo[1] // 2 - 6
    spot[y - 3 : y + 3, x - 3 : x + 3] = 1
    fitted = np.asarray(fit_image(spot, size, fit))[..., 0]
    rows, columns = (np.arange(n) + 0.5 for n in size)
    center = [(fitted.sum(1) * rows).sum() / fitted.sum(), (fitted.sum(0) * columns).sum() / fitted.sum()]
    np.testing.assert_allclose(undo_fit_of_points([center], photo, fit, size), [[y, x]], atol=0.3)


# Figures -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [None, 0.5])
def test_figures_draw_the_box_and_tell_its_class_and_score(alpha: Any) -> None:
    model = explained()
    outputs = {key: np.asarray(value) for key, value in model(X).items()}
    outputs["explained_box"] = np.array([[[6, 12, 12, 24], [0, 0, 24, 12]], [[3, 3, 9, 9], [1, 1, 1, 1]]], np.float32)
    figure = vc.plot_heatmaps(X, outputs, taps=model.taps, class_names=["cat", "dog", "newt"], alpha=alpha)
    panels = [ax for ax in figure.axes if ax.images]
    assert [len(ax.patches) for ax in panels] == [0, 2, 2, 0, 2, 0]
    corners = panels[1].patches[0].get_bbox()
    edge = 0 if alpha is None else -0.5
    np.testing.assert_allclose([corners.x0, corners.x1, corners.y0, corners.y1], np.array([6, 12, 12, 24]) + edge)
    score = float(outputs["explained_score"][0, 0])
    name = ["cat", "dog", "newt"][int(outputs["explained_class"][0, 0])]
    assert panels[1].get_title().endswith(f"for {name}\n{score:.1%}")


def test_pages_of_photos_draw_the_box(tmp_path: Path) -> None:
    gray = np.full((48, 96, 3), 128, np.uint8)
    Image.fromarray(gray).save(tmp_path / "photo.png")
    model = explained("yolo")
    pages = vc.explain_photos(model, tmp_path / "photo.png")
    [photo] = pages.photos()
    box = (0.25, 0.5, 0.5, 1.0)
    np.testing.assert_allclose(photo.box_in_photo(box), box, atol=1e-6)  # squeezed: the same parts
    assert photo.box_in_photo(None) is None
    calls = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("visualcnn_tf.viz.sheet.with_box", lambda picture, box: calls.append(box) or picture)
        pages.save(tmp_path / "page.png")
    raw = photo.outputs["explained_box"] / 24
    want = [tuple(row) if row[2] > row[0] and row[3] > row[1] else None for row in raw]
    assert len(calls) == 2
    for found, wanted in zip(calls, want, strict=True):
        assert (found is None) == (wanted is None)
        if found is not None:
            np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_photos_of_a_detector_are_explained_by_hirescam(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((24, 24, 3), np.uint8)).save(tmp_path / "photo.png")
    pages = vc.explain_photos(DETECTORS["yolo"]().model, tmp_path, target=Box("best"), pixels="0..1")
    assert [tap.method.name for tap in pages.explainer.explained.taps] == ["hirescam"]
