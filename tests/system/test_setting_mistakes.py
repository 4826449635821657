"""Mistakes in settings are told in our words, with the key that was meant."""

import pytest

from system.config import ConfigError, resolve
from system.presets import PRESETS


def told(*settings: str, text: str = "") -> list[str]:
    with pytest.raises(ConfigError) as refused:
        resolve(PRESETS["workstation"](), text=text, settings=settings)
    return str(refused.value).splitlines()


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        ("seed=-1", "seed: expected at least 0, found -1"),
        ("strong_share=0", "strong_share: expected more than 0, found 0"),
        ("strong_share=1.5", "strong_share: expected at most 1, found 1.5"),
        ("stage1.batch_size=many", "stage1.batch_size: expected a whole number, found 'many'"),
        ("stage1.batch_size=2.5", "stage1.batch_size: expected a whole number, found 2.5"),
        ("loss.alpha=x", "loss.alpha: expected a number, found 'x'"),
        ("loss.alpha=.inf", "loss.alpha: expected a finite number, found inf"),
        ("rounds.control=maybe", "rounds.control: expected true or false, found 'maybe'"),
        ("stage1.precision=fp17", "stage1.precision: expected 'auto', 'fp32' or 'bf16', found 'fp17'"),
        ("net.backbone=3", "net.backbone: expected a text, found 3"),
        ("froc.fppi=3", "froc.fppi: expected a list such as [0.1, 0.2], found 3"),
    ],
)
def test_a_value_out_of_place_is_told_with_what_was_expected_and_found(setting: str, line: str) -> None:
    assert told(setting) == [line]


def test_where_several_kinds_of_value_would_do_they_are_one_line() -> None:
    assert told("infer.refine.mask_threshold=wide") == [
        "infer.refine.mask_threshold: expected a number or 'validation' or 'report_negatives', found 'wide'"
    ]


@pytest.mark.parametrize("value", ["5", "[1, 2]", "fast"])
def test_a_value_where_settings_lie_below_names_one_of_them(value: str) -> None:
    (line,) = told(f"stage1={value}")
    assert line.startswith("stage1: expected settings below it, such as stage1.num_epochs, found ")
    assert line.endswith("; `mammoloop config` lists them")


@pytest.mark.parametrize(
    ("setting", "meant"),
    [
        ("batch_size=12", "reports.batch_size or stage1.batch_size or rounds.train.batch_size"),
        ("allow_for_processing=true", "ingest.dicom.allow_for_processing"),
        ("dicom.allow_for_processing=true", "ingest.dicom.allow_for_processing"),
        ("p0.start=0.9", "rounds.p0.start"),
        ("stage1.batch_sise=3", "stage1.batch_size"),
        ("stage=1", "stage1"),
    ],
)
def test_an_unknown_key_is_told_with_the_whole_keys_it_may_stand_for(setting: str, meant: str) -> None:
    assert told(setting) == [f"{setting.partition('=')[0]}: no such setting; did you mean {meant}?"]


def test_our_own_refusals_keep_their_words_and_show_no_tree_of_values() -> None:
    (line,) = told("ingest.split.strong=0.9")
    assert line == "ingest.split: the shares of strong, weak, validation and test sum to 1.15, expected 1"


@pytest.mark.parametrize(
    "setting", ["stage1=5", "seed=x", "rounds.p0={start: 2}", "froc.fppi=[x]", "ingest.imaging.height_px=100", "q.w=1"]
)
def test_no_line_speaks_as_pydantic_does(setting: str) -> None:
    for line in told(setting):
        assert "Input should" not in line
        assert "instance of" not in line
        assert "Value error" not in line
        assert "{'" not in line
