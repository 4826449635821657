import pytest

from system.report_sides import mirror
from system.reports.text import clean, language, sections


def test_clean_makes_full_width_digits_plain_and_drops_control_and_format_characters() -> None:
    assert clean("ＢＩ－ＲＡＤＳ　４Ａ\x00\x07\u200b类", max_chars=100) == "BI-RADS 4A类"


def test_clean_drops_the_escapes_that_iso_2022_leaves() -> None:
    assert clean("\x1b$)A左乳\x1b(B mass", max_chars=100) == "左乳 mass"


def test_clean_caps_the_length_of_a_text_far_too_long() -> None:
    assert len(clean("ab" * 5_000_000, max_chars=4000)) == 4000


def test_two_columns_are_kept_and_lose_their_own_headings() -> None:
    found = sections("影像所见：左乳见肿块。", "IMPRESSION: left mass", max_chars=100)
    assert (found.description, found.impression) == ("左乳见肿块。", "left mass")


@pytest.mark.parametrize(
    ("text", "description", "impression"),
    [
        ("影像所见：左乳见肿块。\n诊断：左乳4A类。", "左乳见肿块。", "左乳4A类。"),
        ("检查所见:右乳未见异常。影像诊断:右乳1类。", "右乳未见异常。", "右乳1类。"),
        ("FINDINGS: No mass.\nIMPRESSION: BI-RADS 1.", "No mass.", "BI-RADS 1."),
        ("Description: mass on the left. Conclusion: BI-RADS 5", "mass on the left.", "BI-RADS 5"),
        ("Mass in the left breast.\nImpression: BI-RADS 5", "Mass in the left breast.", "BI-RADS 5"),
        ("Indication: lump.\nFindings: no mass.\nImpression: BI-RADS 1", "no mass.", "BI-RADS 1"),
        ("Achados: nódulo à direita.\nConclusão: BI-RADS 4", "nódulo à direita.", "BI-RADS 4"),
    ],
)
def test_one_column_is_split_by_its_headings(text: str, description: str, impression: str) -> None:
    found = sections(text, "", max_chars=1000)
    assert (found.description, found.impression) == (description, impression)


def test_a_word_like_a_heading_inside_a_sentence_does_not_split() -> None:
    found = sections("The impression is that of a cyst in the left breast.", "", max_chars=1000)
    assert (found.description, found.impression) == ("The impression is that of a cyst in the left breast.", "")


def test_a_report_of_nothing_but_control_characters_is_empty() -> None:
    assert sections("\x00 \t\n", "\u200b", max_chars=100).empty


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("左乳未见明显肿块。", "zh"),
        ("双乳CC位及MLO位摄片,BI-RADS 1类,建议定期复查。", "zh"),
        ("No mass in the left breast.", "en"),
        ("左乳肿块大小约 left breast mass, please biopsy soon", "mixed"),
        ("2024-01-01", ""),
    ],
)
def test_language_is_found(text: str, expected: str) -> None:
    assert language(text) == expected


def test_mirror_exchanges_every_word_for_a_side_and_nothing_else() -> None:
    assert mirror("左侧乳腺见肿块,右乳无。") == "右侧乳腺见肿块,左乳无。"
    assert mirror("Left mass, right none, LEFT bright leftover") == "Right mass, left none, RIGHT bright leftover"
    assert mirror("mama esquerda, lado direito") == "mama direita, lado esquerdo"


def test_a_report_mirrored_twice_is_itself() -> None:
    text = "左乳同前 RIGHT breast: new mass; Lt axilla, rt side, mama direita"
    assert mirror(mirror(text)) == text
