"""Where a command is, in words, and how long something took."""

import pytest

from system.place import Place


def test_a_place_has_what_is_done_and_how_far_it_is() -> None:
    place = Place()
    place.how_far = "3 of 4 pairs"  # of something that is done without a place
    assert place.in_words() == ""
    with place.at("in round 2, retrain"):
        assert place.in_words() == "in round 2, retrain"
        place.how_far = "epoch 3 of 15"
        assert place.in_words() == "in round 2, retrain, epoch 3 of 15"


def test_a_place_inside_another_is_left_for_that_one_also_by_an_error() -> None:
    place = Place()
    with place.at("in round 2, promote"):
        place.how_far = "1 of 2"
        with pytest.raises(OSError, match="in round 2, validate"), place.at("in round 2, validate"):
            raise OSError(place.in_words())
        assert place.in_words() == "in round 2, promote, 1 of 2"
    assert place.in_words() == ""
