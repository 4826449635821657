from pathlib import Path

import pytest

from tests.pipelines.kept_between_sessions import kept


def test_what_was_made_is_given_as_it_was_made_until_the_digest_changes(tmp_path: Path) -> None:
    made: list[Path] = []

    def make(place: Path) -> None:
        made.append(place)
        (place / "text").write_text(f"made {len(made)}")

    other = tmp_path / "other"
    other.mkdir()
    for digest, text in (("a", "made 1"), ("a", "made 1"), ("b", "made 2"), ("a", "made 3")):
        with kept(tmp_path / "cache", digest=digest, make=make, otherwise=other) as place:
            assert (place / "text").read_text() == text
            (place / "text").write_text("written into")
    assert set(made) == {tmp_path / "cache" / "place"}


def test_what_failed_in_the_making_is_made_again(tmp_path: Path) -> None:
    def fail(place: Path) -> None:
        (place / "text").write_text("half")
        raise OSError

    with pytest.raises(OSError), kept(tmp_path, digest="a", make=fail, otherwise=tmp_path):  # noqa: PT011 - of `fail`
        pass
    with kept(tmp_path, digest="a", make=lambda place: None, otherwise=tmp_path) as place:
        assert list(place.iterdir()) == []


def test_a_second_session_at_the_same_time_makes_its_own(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    cache = tmp_path / "cache"
    with (
        kept(cache, digest="a", make=lambda place: None, otherwise=other) as first,
        kept(cache, digest="a", make=lambda place: None, otherwise=other) as second,
    ):
        assert (first.name, second) == ("place", other)
