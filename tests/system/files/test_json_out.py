"""JSON that every program reads."""

import json

from system.files.json_out import as_json


def test_json_has_null_for_what_is_no_number() -> None:
    assert json.loads(as_json({"a": [float("nan"), (1.5, {"b": float("nan")})], "c": "é"})) == {
        "a": [None, [1.5, {"b": None}]],
        "c": "é",
    }
