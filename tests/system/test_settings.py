from system.settings import different_keys


def test_keys_that_differ_are_named_by_their_path_with_both_values() -> None:
    kept = {"a": {"b": 1, "c": "x"}, "d": [1, 2]}
    assert different_keys(kept, {"a": {"b": 2, "c": "x"}, "d": [1, 3]}) == ["a.b: 1, now 2", "d: [1, 2], now [1, 3]"]
    assert different_keys(kept, kept) == []


def test_a_key_that_only_one_of_the_two_has_differs() -> None:
    assert different_keys({"old": 1}, {"new": 2}) == ["new: not recorded, now 2", "old: 1, now not recorded"]
