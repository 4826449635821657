"""The validator of custom resources, on small schemas."""

from typing import Any

import pytest

from tests.k8s.structural_schema import errors

SCHEMA = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "required": ["replicas"],
            "properties": {
                "replicas": {"type": "integer", "default": 1, "minimum": 0},
                "port": {"x-kubernetes-int-or-string": True},
                "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                "groups": {
                    "type": "array",
                    "items": {"type": "object", "required": ["min"], "properties": {"min": {"default": 0}}},
                },
            },
        }
    },
}


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"port": 80},
        {"port": "http"},
        {"labels": {"a": "b"}},
        {"free": {"anything": [1]}},
        {"groups": [{}, {"min": 2}]},
    ],
)
def test_what_the_schema_allows_passes(spec: dict[str, Any]) -> None:
    assert errors({"apiVersion": "x/v1", "kind": "X", "metadata": {"name": "n"}, "spec": spec}, SCHEMA) == []


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"replica": 1}, "'replica' was unexpected"),
        ({"replicas": -1}, "less than the minimum"),
        ({"port": 8.5}, "not valid"),
        ({"labels": {"a": 1}}, "not of type 'string'"),
        ({"groups": [{"max": 2}]}, "'max' was unexpected"),
    ],
)
def test_what_the_schema_does_not_allow_is_named(spec: dict[str, Any], message: str) -> None:
    (found,) = errors({"spec": spec}, SCHEMA)
    assert message in found


def test_unknown_key_at_the_top_is_an_error() -> None:
    assert errors({"spec": {}, "specs": {}}, SCHEMA) != []
