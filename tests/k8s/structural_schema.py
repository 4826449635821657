"""Validate a custom resource as the API server does: defaults first, then types, and no key that the schema lacks.

Rules written in CEL (x-kubernetes-validations) are not evaluated; the tests assert those that concern us one by one.
"""

import copy
from typing import Any

import jsonschema

Schema = dict[str, Any]


def errors(document: dict[str, Any], schema: Schema) -> list[str]:
    """Return what is wrong with the document, one line each with its place; the document is not changed."""
    checked = copy.deepcopy(document)
    apply_defaults(checked, schema)
    closed = close(schema)
    closed["properties"] |= {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object"},
    }
    found = jsonschema.Draft7Validator(closed).iter_errors(checked)
    return sorted(f"{'.'.join(map(str, error.absolute_path))}: {error.message}" for error in found)


def apply_defaults(value: Any, schema: Schema) -> None:
    """Fill in what the schema gives by default, wherever its parent is present."""
    if isinstance(value, dict):
        for name, below in schema.get("properties", {}).items():
            if name not in value and "default" in below:
                value[name] = copy.deepcopy(below["default"])
            if name in value:
                apply_defaults(value[name], below)
        values_schema = schema.get("additionalProperties")
        if isinstance(values_schema, dict):
            for name in value.keys() - schema.get("properties", {}).keys():
                apply_defaults(value[name], values_schema)
    elif isinstance(value, list):
        for item in value:
            apply_defaults(item, schema.get("items", {}))


def close(schema: Schema) -> Schema:
    """Return a plain JSON schema: objects refuse unknown keys unless they preserve them, int-or-string takes both."""
    if schema.get("x-kubernetes-int-or-string"):
        return {"anyOf": [{"type": "integer"}, {"type": "string"}]}
    closed = {
        key: value
        for key, value in schema.items()
        if not key.startswith("x-kubernetes-") and key not in ("default", "format")
    }
    if "properties" in schema:
        closed["properties"] = {name: close(below) for name, below in schema["properties"].items()}
    if isinstance(schema.get("items"), dict):
        closed["items"] = close(schema["items"])
    if isinstance(schema.get("additionalProperties"), dict):
        closed["additionalProperties"] = close(schema["additionalProperties"])
    elif schema.get("type") == "object" and not schema.get("x-kubernetes-preserve-unknown-fields"):
        closed.setdefault("additionalProperties", False)
    return closed
