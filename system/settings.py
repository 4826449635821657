"""The base of every config: frozen, complete by default, and closed to keys it does not have."""

from collections.abc import Mapping
from typing import Self, cast, get_args

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

Value = float | int | bool | str | None
"""A single value of a setting."""


class Settings(BaseModel):
    """A part's configuration; each part declares its own beside the code it configures."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_value_for_a_number(cls, value: object, info: ValidationInfo) -> object:
        """YAML reads yes and on as true, and pydantic takes true for 1."""
        field = cls.model_fields.get(info.field_name or "")
        if isinstance(value, bool) and field is not None and not _takes_truth_values(field.annotation):
            raise ValueError("yes, no, true or false where a number or a word is wanted")
        return value

    def changed(self, **changes: object) -> Self:
        """Return a copy with other values, checked as a new one is.

        Raises pydantic's ValidationError for an unknown key or a bad value.
        """
        return type(self).model_validate(dict(self) | changes)


def _takes_truth_values(kind: object) -> bool:
    """Return whether a value of this type may be true or false."""
    return kind in (bool, object) or any(_takes_truth_values(part) for part in get_args(kind))


def different_keys(kept: Mapping[str, object], now: Mapping[str, object]) -> list[str]:
    """Return the dotted keys of two trees of settings that differ, each with both values, in the order of `now`.

    kept, now: as `model_dump(mode="json")` gives them; a key that only one tree has differs too
    """
    before, after = flat(kept), flat(now)
    keys = [*after, *(key for key in before if key not in after)]
    return [
        f"{key}: {_value(before, key)}, now {_value(after, key)}"
        for key in keys
        if key not in before or key not in after or before[key] != after[key]
    ]


def _value(settings: Mapping[str, object], key: str) -> str:
    return repr(settings[key]) if key in settings else "not recorded"


def flat(tree: Mapping[str, object], *, above: str = "") -> dict[str, object]:
    """Return a tree of settings as dotted keys and their values."""
    found: dict[str, object] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            found |= flat(cast("Mapping[str, object]", value), above=f"{above}{key}.")
        else:
            found[f"{above}{key}"] = value
    return found
