"""FROC of boxes: cases worked by hand, a slow count as a peer, and MONAI's published numbers."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from system.errors import UserError
from system.metrics import FrocConfig, Outcome, match
from system.metrics.boxes import BoxRules, BoxSet, evaluate_boxes, overlapping
from system.metrics.boxes_in import read_boxes

CONFIG = FrocConfig(fppi=(0.5, 1.0), bootstrap=50)
LESION = (0, 0, 10, 10)


Corners = tuple[float, float, float, float]
Image = tuple[Sequence[Corners], Sequence[tuple[float, Corners]]]


def boxes(*images: Image, patients: tuple[str, ...] = (), breasts: tuple[str, ...] = ()) -> BoxSet:
    """A set from (lesion boxes, (score, box) of each candidate) per image."""
    lesions = [(place, box) for place, (found, _) in enumerate(images) for box in found]
    marked = [(place, score, box) for place, (_, candidates) in enumerate(images) for score, box in candidates]
    names = tuple(f"i{place}" for place in range(len(images)))
    return BoxSet(
        image_id=names,
        patient=patients or names,
        breast=breasts,
        lesion_image=np.array([place for place, _ in lesions], np.int64),
        lesion_box=np.array([box for _, box in lesions], float).reshape(-1, 4),
        candidate_image=np.array([place for place, _, _ in marked], np.int64),
        candidate_box=np.array([box for _, _, box in marked], float).reshape(-1, 4),
        score=np.array([score for _, score, _ in marked], float),
    )


def outcomes(found: BoxSet, **rules: Any) -> list[str]:
    matched = evaluate_boxes(found, rules=BoxRules(**rules), config=CONFIG).matched
    return [Outcome(value).name for value in matched.outcome]


def sensitivity(found: BoxSet, config: FrocConfig = CONFIG, **rules: Any) -> dict[str, float]:
    return evaluate_boxes(found, rules=BoxRules(**rules), config=config).froc.sensitivity


def test_overlap_of_exactly_a_fifth_is_no_hit_and_a_little_more_is() -> None:
    exactly = boxes(([LESION], [(0.9, (0, 0, 10, 2))]))
    more = boxes(([LESION], [(0.9, (0, 0, 10, 2.001))]))
    assert overlapping(exactly, how="iou").pair_iou.tolist() == [0.2]
    assert (outcomes(exactly), outcomes(more)) == (["FALSE_POSITIVE"], ["TRUE_POSITIVE"])


def test_over_the_smaller_box_exactly_half_is_a_hit() -> None:
    half, less = (5, 0, 15, 10), (5.001, 0, 15.001, 10)
    assert outcomes(boxes(([LESION], [(0.9, half)])), how="iom", limit=0.5) == ["TRUE_POSITIVE"]
    assert outcomes(boxes(([LESION], [(0.9, less)])), how="iom", limit=0.5) == ["FALSE_POSITIVE"]


def test_a_small_box_inside_a_large_one_is_a_hit_over_the_smaller_and_not_by_iou() -> None:
    inside = boxes(([(0, 0, 100, 100)], [(0.9, (10, 10, 20, 20))]))
    assert outcomes(inside, how="iom", limit=0.5) == ["TRUE_POSITIVE"]
    assert outcomes(inside) == ["FALSE_POSITIVE"]


def test_a_centre_on_the_first_pixel_is_inside_and_on_the_first_outside_is_not() -> None:
    assert outcomes(boxes(([LESION], [(0.9, (-5, -5, 5, 5))])), how="centre", limit=0.0) == ["TRUE_POSITIVE"]
    assert outcomes(boxes(([LESION], [(0.9, (5, 5, 15, 15))])), how="centre", limit=0.0) == ["FALSE_POSITIVE"]


def test_boxes_that_touch_do_not_overlap() -> None:
    assert len(overlapping(boxes(([LESION], [(0.9, (10, 0, 20, 10))])), how="iou").pair_iou) == 0


def test_one_candidate_over_two_lesions_finds_the_one_it_overlaps_most() -> None:
    found = boxes(([(0, 0, 10, 10), (10, 0, 20, 10)], [(0.9, (4, 0, 20, 10))]))
    result = evaluate_boxes(found, rules=BoxRules(), config=CONFIG)
    assert result.lesion.tolist() == [1]
    assert result.froc.sensitivity["0.5"] == 0.5


def test_lesions_are_numbered_within_their_image_in_the_order_given() -> None:
    away = (50, 50, 60, 60)
    found = boxes(([LESION], []), ([away, LESION], [(0.9, LESION), (0.8, away), (0.7, (80, 80, 90, 90))]))
    assert evaluate_boxes(found, rules=BoxRules(), config=CONFIG).lesion.tolist() == [1, 0, -1]


def test_a_second_hit_counts_neither_way_or_as_false_by_the_rule() -> None:
    twice = boxes(([LESION], [(0.9, LESION), (0.8, LESION)]))
    ends = [
        evaluate_boxes(twice, rules=BoxRules(), config=FrocConfig(duplicates=how, bootstrap=1)).froc.curve_ends_fppi
        for how in ("ignore", "fp")
    ]
    assert (outcomes(twice), ends) == (["TRUE_POSITIVE", "DUPLICATE"], [0.0, 1.0])


def test_equal_scores_are_one_operating_point_so_a_hit_brings_its_equals_along() -> None:
    tied = boxes(([LESION], [(0.9, LESION), (0.9, (50, 50, 60, 60))]))
    assert sensitivity(tied) == {"0.5": 0.0, "1": 1.0}


def test_images_without_candidates_or_lesions_count_in_the_denominator() -> None:
    found = boxes(([LESION], [(0.8, LESION), (0.9, (50, 50, 60, 60))]), ([], []))
    assert sensitivity(found)["0.5"] == 1.0
    assert sensitivity(boxes(([LESION], [(0.8, LESION), (0.9, (50, 50, 60, 60))])))["0.5"] == 0.0


def test_without_a_lesion_there_is_no_sensitivity_and_without_a_candidate_none_is_found() -> None:
    assert np.isnan(sensitivity(boxes(([], [(0.9, LESION)])))["1"])
    silent = evaluate_boxes(boxes(([LESION], [])), rules=BoxRules(), config=CONFIG).froc
    assert (silent.sensitivity["1"], silent.curve_ends_fppi, silent.ends_before) == (0.0, 0.0, ("0.5", "1"))


def test_a_breast_is_found_in_either_view_and_its_second_view_counts_neither_way() -> None:
    views = ([LESION], [(0.9, LESION)]), ([LESION], [(0.8, LESION)]), ([LESION], [(0.7, (50, 50, 60, 60))])
    found = boxes(*views, patients=("a", "a", "a"), breasts=("aL", "aL", "aR"))
    assert sensitivity(found, config=FrocConfig(fppi=(0.0,), bootstrap=1), per="breast") == {"0": 0.5}
    assert sensitivity(found, config=FrocConfig(fppi=(0.0,), bootstrap=1)) == {"0": pytest.approx(2 / 3)}
    summary = evaluate_boxes(found, rules=BoxRules(per="breast"), config=FrocConfig(duplicates="fp", bootstrap=1)).froc
    assert summary.curve_ends_fppi == pytest.approx(1 / 3)


def test_breasts_must_be_known_and_belong_to_one_patient() -> None:
    with pytest.raises(ValueError, match="needs a column breast_id"):
        evaluate_boxes(boxes(([LESION], [])), rules=BoxRules(per="breast"), config=CONFIG)
    with pytest.raises(ValueError, match="belongs to two patients"):
        evaluate_boxes(boxes(([], []), ([], []), breasts=("L", "L")), rules=BoxRules(per="breast"), config=CONFIG)


MONAI = {"false": [0.8, 0.6], "true": [1, 1, 0.8, 0.8], "images": 2}  # its zeros are lesions nobody found


def test_the_curve_agrees_with_the_numbers_that_monai_publishes() -> None:
    """tests/metrics/test_compute_froc.py, cases 4 and 5; MONAI interpolates between points, and so does this."""
    corners = [(20 * k, 0, 20 * k + 10, 10) for k in range(len(MONAI["true"]))]
    hits = list(zip(MONAI["true"], corners, strict=True))
    misses = [(score, (0, 500 + 20 * k, 10, 510 + 20 * k)) for k, score in enumerate(MONAI["false"])]
    curve = evaluate_boxes(
        boxes((corners, hits + misses), ([], [])), rules=BoxRules(), config=FrocConfig(fppi=(1.0,))
    ).curve
    for x, expected in ((0.25, 0.75), ((0.25, 0.5, 1, 2, 4, 8), 0.95833333)):
        assert np.mean(np.interp(x, curve.fppi, curve.sensitivity)) == pytest.approx(expected, rel=1e-6)


SMALL = st.integers(0, 6)
BOX = st.tuples(SMALL, SMALL, st.integers(1, 5), st.integers(1, 5)).map(
    lambda box: (box[0], box[1], box[0] + box[2], box[1] + box[3])
)
IMAGE = st.tuples(st.lists(BOX, max_size=3), st.lists(st.tuples(st.sampled_from([0.1, 0.5, 0.9]), BOX), max_size=4))


def iou(first: Corners, second: Corners) -> float:
    """By pixels, one by one."""
    one, two = (
        {(x, y) for x in range(int(box[0]), int(box[2])) for y in range(int(box[1]), int(box[3]))}
        for box in (first, second)
    )
    return len(one & two) / len(one | two)


@given(st.lists(IMAGE, min_size=1, max_size=5))
@settings(max_examples=150, deadline=None)
def test_every_overlap_is_that_of_the_pixels_and_every_match_the_greedy_one(images: list[Image]) -> None:
    found = boxes(*images)
    detections = overlapping(found, how="iou")
    pairs = {
        (candidate, lesion): value
        for candidate, lesion, value in zip(
            detections.pair_candidate, detections.pair_lesion, detections.pair_iou, strict=True
        )
    }
    first = [sum(len(lesions) for lesions, _ in images[:place]) for place in range(len(images))]
    expected, candidate = {}, 0
    for place, (lesions, candidates) in enumerate(images):
        for _, box in candidates:
            for number, lesion in enumerate(lesions):
                if value := iou(box, lesion):
                    expected[candidate, first[place] + number] = pytest.approx(value)
            candidate += 1
    assert pairs == expected
    taken, hits = set(), set()
    for (who, lesion), _ in sorted(pairs.items(), key=lambda item: (-found.score[item[0][0]], -item[1], item[0])):
        if pairs[who, lesion] > 0.2 and who not in hits and lesion not in taken:
            hits.add(who)
            taken.add(lesion)
    assert (match(detections, iou=0.2).outcome == Outcome.TRUE_POSITIVE).sum() == len(hits)


def write(folder: Path, **texts: str) -> tuple[Path, Path, Path]:
    """The three files; what is not given is in order."""
    good = {
        "images": "image_id,patient_id\na,p\nb,p\n",
        "lesions": "image_id,x0,y0,x1,y1\na,0,0,10,10\n",
        "candidates": "image_id,score,x0,y0,x1,y1\na,0.9,0,0,10,10\n",
    }
    for name, text in (good | texts).items():
        (folder / f"{name}.csv").write_text(text, encoding="utf8")
    return tuple(folder / f"{name}.csv" for name in good)  # pyright: ignore[reportReturnType] - three of them


def test_what_the_files_hold_is_read(tmp_path: Path) -> None:
    found = read_boxes(*write(tmp_path, images="patient_id,note,image_id\r\np,x,a\r\nq,y,b\r\n"))
    assert (found.image_id, found.patient, found.breast) == (("a", "b"), ("p", "q"), ())
    assert found.lesion_box.tolist() == [[0, 0, 10, 10]]
    assert (found.candidate_image.tolist(), found.score.tolist()) == ([0], [0.9])


@pytest.mark.parametrize(
    ("file", "text", "reported"),
    [
        ("images", "image_id,patient_id\na,p\na,p\n", "images.csv line 3: the image was listed before"),
        ("images", "image_id,patient_id\na,\n", "images.csv line 2: patient_id is empty"),
        ("images", "image_id\na\n", "images.csv line 1: column 'patient_id' occurs 0 times"),
        ("lesions", "image_id,x0,y0,x1,y1\nc,0,0,1,1\n", "lesions.csv line 2: its image is not among the images"),
        ("lesions", "image_id,x0,y0,x1,y1\n\na,0,0,1,0\n", "lesions.csv line 3: y1 must be above y0, found 0 and 0"),
        (
            "candidates",
            "image_id,score,x0,y0,x1,y1\na,1.01,0,0,1,1\n",
            "candidates.csv line 2: score 1.01 is outside 0 to 1",
        ),
        (
            "candidates",
            "image_id,score,x0,y0,x1,y1\na,nan,0,0,1,1\n",
            "candidates.csv line 2: score is no number: 'nan'",
        ),
        ("candidates", "image_id,score,x0,y0,x1,y1\na,.5,0,0,inf,1\n", "candidates.csv line 2: x1 is no number: 'inf'"),
        (
            "candidates",
            "image_id,score,x0,y0,x1,y1\na,.5,0,0,wide,1\n",
            "candidates.csv line 2: x1 is no number: 'wide'",
        ),
        (
            "candidates",
            "image_id,score,x0,y0,x1,y1\na,.5,3,0,2,1\n",
            "candidates.csv line 2: x1 must be above x0, found 3 and 2",
        ),
        ("candidates", "image_id,score,x0,y0,x1,y1\na,.5,3\n", "candidates.csv line 2: 3 fields, the header has 6"),
    ],
)
def test_what_is_wrong_is_reported_with_its_line(tmp_path: Path, file: str, text: str, reported: str) -> None:
    with pytest.raises(UserError, match=re.escape(reported)):
        read_boxes(*write(tmp_path, **{file: text}))


def test_all_mistakes_are_named_up_to_ten_and_the_rest_counted(tmp_path: Path) -> None:
    bad = "image_id,score,x0,y0,x1,y1\n" + "a,2,0,0,1,1\n" * 12
    with pytest.raises(ValueError, match="and 2 more lines") as caught:
        read_boxes(*write(tmp_path, candidates=bad))
    assert len(str(caught.value).splitlines()) == 11


def test_no_id_is_repeated_in_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="line 2") as caught:
        read_boxes(*write(tmp_path, lesions="image_id,x0,y0,x1,y1\nsmith^jane,0,0,1,1\n"))
    assert "smith" not in str(caught.value)
