"""Names and small records that flow between the parts."""

import pytest

from system.records import Candidate, Side, decode_candidates, encode_candidates, image_key, p0_text


@pytest.mark.parametrize(("p0", "text"), [(0.95, "0.95"), (0.9, "0.90"), (0.925, "0.925"), (0.5, "0.50")])
def test_p0_has_two_decimals_and_more_where_it_needs_them(p0: float, text: str) -> None:
    assert p0_text(p0) == text


def test_candidates_come_back_from_their_text() -> None:
    found = (Candidate((1, 2, 5, 9), 0.875, 28, (3.0, 5.5)), Candidate((0, 0, 2, 2), 0.25, 4, (0.5, 0.5)))
    assert decode_candidates(encode_candidates(found)) == found
    assert decode_candidates(encode_candidates(())) == decode_candidates("") == decode_candidates(None) == ()


def test_each_side_has_its_opposite() -> None:
    assert (Side.LEFT.other, Side.RIGHT.other) == (Side.RIGHT, Side.LEFT)


def test_the_key_of_an_image_is_the_same_in_every_process_and_differs_between_images() -> None:
    assert image_key("a") == image_key("a") != image_key("b")
    assert -(2**63) <= image_key("a") < 2**63
