"""What is wrong with settings, in words: pydantic's errors as what was expected, what was found, and the key meant."""

import difflib
from collections.abc import Iterator, Mapping, Sequence

from pydantic import BaseModel
from pydantic_core import ErrorDetails

_EXPECTED = {
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "less_than": "less than {lt:g}",
    "less_than_equal": "at most {le:g}",
    "multiple_of": "a multiple of {multiple_of:g}",
    "literal_error": "{expected}",
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float", "int_parsing_size"), "a whole number"),
    **dict.fromkeys(("float_type", "float_parsing"), "a number"),
    "finite_number": "a finite number",
    **dict.fromkeys(("bool_type", "bool_parsing"), "true or false"),
    "string_type": "a text",
    "none_required": "null",
    **dict.fromkeys(("tuple_type", "list_type", "too_short", "too_long"), "a list such as [0.1, 0.2]"),
}
"""Kind of pydantic's error -> what it expected, filled with the error's context."""
_GROUP = ("model_type", "model_attributes_type", "dict_type")  # a value where settings lie below


def in_words(errors: Sequence[ErrorDetails], tree: type[BaseModel]) -> list[str]:
    """Return a line for each setting that is wrong; what several kinds of value would do is one line."""
    places: dict[str, list[ErrorDetails]] = {}
    for item in errors:
        places.setdefault(_place(item, tree), []).append(item)
    return [_line(place, items, tree) for place, items in places.items()]


def _place(item: ErrorDetails, tree: type[BaseModel]) -> str:
    """Return the dotted key; pydantic adds which of several types it tried."""
    names = [str(part) for part in item["loc"]]
    if item["type"] == "extra_forbidden":
        return ".".join(names)
    known = len(names)
    while known and names[known - 1] not in keys_at(names[: known - 1], tree):
        known -= 1
    return ".".join(names[:known])


def _line(place: str, items: Sequence[ErrorDetails], tree: type[BaseModel]) -> str:
    kind, found, below = items[0]["type"], items[0]["input"], keys_at(place.split("."), tree)
    if kind == "extra_forbidden":
        path = [*place.split("."), *_only_path(found)]
        return f"{'.'.join(path)}: no such setting; {_nearest(path, tree)}"
    shown = "" if isinstance(found, Mapping | BaseModel) else f", found {found!r}"
    if kind in _GROUP and below:
        return f"{place}: expected settings below it, such as {place}.{below[0]}{shown}; `mammoloop config` lists them"
    if kind == "value_error":
        return f"{place or 'config'}: {items[0].get('ctx', {}).get('error')}{shown}"
    return f"{place or 'config'}: expected {' or '.join(dict.fromkeys(map(_expected, items)))}{shown}"


def _only_path(found: object) -> Iterator[str]:
    """Give the keys below an unknown one, as far as there is one each."""
    while isinstance(found, Mapping) and len(found) == 1:
        name, found = next(iter(found.items()))
        yield str(name)


def _expected(item: ErrorDetails) -> str:
    """Return what would have been right; pydantic's own words, the first small, for what is rare."""
    if item["type"] in _EXPECTED:
        return _EXPECTED[item["type"]].format(**item.get("ctx", {}))
    return item["msg"][0].lower() + item["msg"][1:]


def _nearest(path: Sequence[str], tree: type[BaseModel]) -> str:
    """Return the keys that an unknown one may stand for: those elsewhere that end so, or one here that is like it."""
    name = path[-1]
    ending = [key for key in _all_keys(tree) if key.endswith("." + ".".join(path))]
    if ending:
        return f"did you mean {' or '.join(ending)}?"
    here = keys_at(path[:-1], tree)
    if near := difflib.get_close_matches(name, here, n=1):
        return f"did you mean {'.'.join([*path[:-1], near[0]])}?"
    elsewhere = [key for key in _all_keys(tree) if key.rpartition(".")[2] == name]
    return f"did you mean {' or '.join(elsewhere)}?" if elsewhere else f"known here: {', '.join(here)}"


def keys_at(path: Sequence[str], tree: type[BaseModel]) -> list[str]:
    """Return the names of the settings below a key; none below a value."""
    model: type[BaseModel] | None = tree
    for key in path:
        model = _below(model, key) if model else None
    return list(model.model_fields) if model else []


def _below(model: type[BaseModel], key: str) -> type[BaseModel] | None:
    field = model.model_fields.get(key)
    kind = field.annotation if field else None
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _all_keys(model: type[BaseModel], *, above: str = "") -> Iterator[str]:
    """Give every dotted key of the tree, groups included."""
    for name in model.model_fields:
        yield f"{above}{name}"
        if below := _below(model, name):
            yield from _all_keys(below, above=f"{above}{name}.")
