"""Stages in words, what was taken over, and how long the same took before."""

from pathlib import Path

import pytest

from system.run.stage_words import at_once, in_words, taken_over, took_before


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("labels", "label"),
        ("labels_02", "label anew"),
        ("chosen_02", "choose the result anew"),
        ("archive_03", "pin the archive anew"),
        ("stage1/checkpoint", "stage 1, train"),
        ("round_02/predictions", "round 2, infer"),
        ("round_02/pools", "round 2, mine"),
        ("round_12/checkpoint", "round 12, retrain"),
        ("control_01/checkpoint", "control 1, train"),
        ("round_01/froc_validation", "round 1, evaluate on validation"),
        ("round_01/froc_by_0a1b2c3d", "round 1, evaluate on test by other rules"),
        ("predictions_0a1b2c3d", "infer"),
        ("trials/trial_0a1b/checkpoint", "trial 0a1b, train"),
        ("something_new", "something new"),
    ],
)
def test_a_stage_is_named_by_its_part_of_the_run_and_what_it_does(name: str, words: str) -> None:
    assert in_words(name) == words


def test_whole_parts_are_taken_over_by_name_and_others_with_their_stages_in_order() -> None:
    system = ("checkpoint", "held_out", "thresholds", "froc")
    names = ["labels", "archive", *(f"stage1/{each}" for each in system), "round_01/pools", "round_01/predictions"]
    assert taken_over(names) == "label; stage 1; round 1: infer, mine"
    names += [f"round_01/{each}" for each in (*system, "promotion")] + ["control_01/checkpoint", "round_02/pools"]
    assert taken_over(names) == "label; stage 1; control 1: train; round 1; round 2: mine"
    assert taken_over([]) == ""


def manifest(run: Path, name: str, text: str) -> None:
    (run / name).mkdir(parents=True)
    (run / name / "manifest.json").write_text(text, encoding="utf8")


def test_a_stage_took_as_long_as_in_the_round_before(tmp_path: Path) -> None:
    manifest(tmp_path, "round_01/predictions", '{"seconds": 83.2}')
    manifest(tmp_path, "stage1/held_out", '{"seconds": 9}')
    assert took_before(tmp_path, "round_02/predictions") == "1 min 23 s in round 1"
    assert took_before(tmp_path, "round_03/predictions") == "1 min 23 s in round 1"  # round 2 lost its
    assert took_before(tmp_path, "round_01/predictions") == ""
    assert took_before(tmp_path, "round_01/held_out") == "9 s in stage 1"
    assert took_before(tmp_path, "control_01/held_out") == "9 s in stage 1"
    assert took_before(tmp_path, "round_01/checkpoint") == ""


@pytest.mark.parametrize("text", ["", "[]", '{"seconds": null}', '{"seconds": "soon"}', "{}"])
def test_a_damaged_manifest_says_nothing_of_how_long_it_took(tmp_path: Path, text: str) -> None:
    manifest(tmp_path, "round_01/pools", text)
    assert took_before(tmp_path, "round_02/pools") == ""


def test_a_decision_has_one_line_whichever_chapter_it_is_of() -> None:
    assert [at_once(name) for name in ("chosen", "chosen_02", "archive_11", "round_01/promotion")] == [True] * 4
    assert [at_once(name) for name in ("labels_02", "round_01/pools", "stage1/held_out")] == [False] * 3
