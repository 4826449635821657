import pytest

from system.durations import duration_in_words


@pytest.mark.parametrize(
    ("duration_s", "words"),
    [
        (-5, "0 s"),
        (0.2, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (185, "3 min 5 s"),
        (3600, "1 h 0 min"),
        (7499, "2 h 4 min"),
        (200_000, "2 d 7 h"),
    ],
)
def test_a_duration_is_in_the_two_units_that_matter(duration_s: float, words: str) -> None:
    assert duration_in_words(duration_s) == words
