"""JSON that every program reads."""

import json
import math
from dataclasses import dataclass

from pydantic import TypeAdapter

from system.files.json_out import Ends, Measured, as_json
from system.records import Split
from system.settings import Settings

NAN = float("nan")


@dataclass(frozen=True)
class Row:
    """Numbers that may not have been measured."""

    mean: Measured
    interval: Ends
    by_rate: dict[str, Measured]


class Rules(Settings):
    """Plain settings."""

    iou: float = 0.2
    fppi: tuple[float, ...] = (0.1, 1.0)


def test_json_has_null_for_what_is_no_number() -> None:
    assert json.loads(as_json({"a": [NAN, (1.5, {"b": NAN})], "c": "é"})) == {"a": [None, [1.5, {"b": None}]], "c": "é"}


def test_letters_stand_as_they_are() -> None:
    assert "左乳 é" in as_json({"text": "左乳 é"})


def test_records_settings_and_names_become_plain_values() -> None:
    found = json.loads(as_json({"row": Row(0.5, (0.4, 0.6), {"0.1": 0.3}), "rules": Rules(), "split": Split.TEST}))
    assert found == {
        "row": {"mean": 0.5, "interval": [0.4, 0.6], "by_rate": {"0.1": 0.3}},
        "rules": {"iou": 0.2, "fppi": [0.1, 1.0]},
        "split": "test",
    }


def test_a_record_comes_back_with_nan_where_nothing_was_measured() -> None:
    text = as_json(Row(NAN, (NAN, NAN), {"0.1": NAN, "1": 0.5}))
    assert json.loads(text) == {"mean": None, "interval": [None, None], "by_rate": {"0.1": None, "1": 0.5}}
    found = TypeAdapter(Row).validate_json(text)
    assert [math.isnan(value) for value in (found.mean, *found.interval, found.by_rate["0.1"])] == [True] * 4
    assert found.by_rate["1"] == 0.5


def test_every_float_comes_back_to_the_last_bit() -> None:
    values = [0.1, 1 / 3, 5e-324, 1.7976931348623157e308, -0.0]
    assert json.loads(as_json(values)) == values
