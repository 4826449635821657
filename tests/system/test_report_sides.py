"""Words and letters for one breast: found, exchanged, written out."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from system.records import Side
from system.report_sides import mentions, mirror, spelled_out

PAIRS = [
    ("Left breast mass", "Right breast mass"),
    ("LEFT BREAST, left side", "RIGHT BREAST, right side"),
    ("left-sided mass", "right-sided mass"),
    ("L breast: negative", "R breast: negative"),
    ("mass in the L breast", "mass in the R breast"),
    ("(L) mass, [L]", "(R) mass, [R]"),
    ("Lt. breast, LT axilla, lt side", "Rt. breast, RT axilla, rt side"),
    ("LB: no mass", "RB: no mass"),
    ("LCC and LMLO", "RCC and RMLO"),
    ("L MLO/CC, L-MLO", "R MLO/CC, R-MLO"),
    ("LUOQ, LLIQ, LUQ", "RUOQ, RLIQ, RUQ"),
    ("10 o'clock L, L10:00", "10 o'clock R, R10:00"),
    ("L>R", "R>L"),
    ("Lft breast", "Rgt breast"),
    ("左乳外上，左侧，L乳", "右乳外上，右侧，R乳"),
    ("左、右乳", "右、左乳"),
    ("mama esquerda, lado esquerdo, esq.", "mama direita, lado direito, dir."),
    ("ME: nódulo", "MD: nódulo"),
    ("mama E com nódulo", "mama D com nódulo"),
]
NO_SIDES = [
    "约2cm左右",
    "bright leftover, aleft, rightful",
    "R/O mass",
    "B/L",
    "signed by Dr. R. Smith",
    "Jane L. Doe",
    "Maria O'Neill, MD.",
    "please call me",
    "L-shaped, 150 lb",
    "post RT change",
    "clip left in place",
    "双乳, both breasts, bilateral",
    "LOQ, UIQ, MLO",
]
PIECES = [
    *(text for pair in PAIRS for text in pair),
    *NO_SIDES,
    " ",
    ". ",
    ", ",
    "\n",
    "mass",
    "Smith",
    "肿块",
    "12 mm ",
    "D.",
    "M",
]


@pytest.mark.parametrize(("text", "other"), PAIRS)
def test_every_form_of_a_side_has_its_counterpart(text: str, other: str) -> None:
    assert mirror(text) == other
    assert mirror(other) == text


@pytest.mark.parametrize("text", NO_SIDES)
def test_what_only_looks_like_a_side_stays(text: str) -> None:
    assert list(mentions(text)) == []
    assert mirror(text) == text == spelled_out(text)


@given(
    st.one_of(
        st.text(alphabet="LRlrMmEeDdTtBbCOCQUI左右 .,:;/-&0123cm双乳Smith", max_size=60),
        st.lists(st.sampled_from(PIECES), max_size=12).map("".join),
    )
)
@settings(max_examples=400, deadline=None)
def test_a_text_mirrored_twice_is_itself(text: str) -> None:
    assert mirror(mirror(text)) == text


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
@settings(max_examples=200, deadline=None)
def test_a_mirrored_text_names_the_other_sides_in_the_same_order(text: str) -> None:
    assert [mention.side.other for mention in mentions(text)] == [mention.side for mention in mentions(mirror(text))]


def test_the_case_of_a_word_comes_back_and_where_it_cannot_the_word_stays() -> None:
    assert (mirror("RIght"), mirror("LEft"), mirror("righT")) == ("LEft", "RIght", "righT")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Lt. UOQ mass. Rt NAD", "left UOQ mass. right NAD"),
        ("mass, LT. RIGHT BREAST CLEAR", "mass, left. RIGHT BREAST CLEAR"),
        ("RMLO, LUOQ, LB", "right MLO, left UOQ, left breast"),
        ("MD: nódulo. ME normal", "mama direita: nódulo. mama esquerda normal"),
        ("mama D, esq.", "mama direita, left."),
    ],
)
def test_abbreviations_are_written_out(text: str, expected: str) -> None:
    assert spelled_out(text) == expected


def test_a_mention_says_its_side_and_its_place() -> None:
    (mention,) = mentions("mass in the L breast")
    assert (mention.side, mention.start, mention.end) == (Side.LEFT, 12, 13)
