"""How a text file is encoded: recognised where it is sure, refused where it may be several."""

import pytest

from system.errors import UserError
from system.files.text_form import decode

CHINESE = "study,description\n1.2,左侧乳腺外上象限见肿块影,边缘毛刺,BI-RADS 4类\n1.3,双乳未见明显钙化及肿块\n"
PORTUGUESE = "study,description\n1.2,Nódulo na mama esquerda; não há calcificações, avaliação «benigna» 3 cm²\n"
GERMAN = "study,description\n1.2,Größere Verdichtung außen, kein Herd\n1.3,für 5 ‰ œdème\n"


@pytest.mark.parametrize(
    ("text", "codec", "encoding"),
    [
        (CHINESE, "utf8", "UTF-8"),
        (CHINESE, "utf-8-sig", "UTF-8"),
        (CHINESE, "gbk", "GB18030"),
        (CHINESE + "1.4,𠮷\n", "gb18030", "GB18030"),
        (CHINESE, "utf-16", "UTF-16"),
        (CHINESE, "utf-16-le", "UTF-16"),
        (CHINESE, "utf-16-be", "UTF-16"),
        (PORTUGUESE, "cp1252", "Latin-1"),
        (PORTUGUESE, "latin-1", "Latin-1"),
        (GERMAN.replace("‰", "%"), "cp1252", "Latin-1"),
        ("plain\n", "ascii", "UTF-8"),
        ("", "utf8", "UTF-8"),
    ],
)
def test_an_encoding_that_is_sure_is_recognised(text: str, codec: str, encoding: str) -> None:
    found = decode(text.encode(codec), name="a.csv")
    assert (found.content, found.encoding) == (text, encoding)


@pytest.mark.parametrize(
    ("text", "codec"),
    [
        ("исследование, Молочная железа без образований\n", "cp1251"),
        ("исследование, Молочная железа без образований\n", "koi8_r"),
        ("study\n유방 좌측에 종괴가 있음 미세석회화 없음\n", "euc_kr"),
        ("study\n左乳房に腫瘤を認める。石灰化はありません\n", "euc_jp"),
        ("study\n左乳房に腫瘤を認める。石灰化はありません\n", "shift_jis"),
        ("study\n左側乳房外上象限可見腫塊，邊緣不規則\n", "big5"),
        ("study\nGuz lewej piersi, zwapnienia złośliwe, żółty\n", "cp1250"),
        ("study\n乳\n", "gbk"),  # as Latin-1 "Èé"
    ],
)
def test_what_may_be_another_encoding_is_refused_with_its_line(text: str, codec: str) -> None:
    line = 1 if text.startswith("исс") else 2
    with pytest.raises(UserError, match=rf"^a\.csv line {line} is not UTF-8, .*: save it as UTF-8$"):
        decode(text.encode(codec), name="a.csv")


@pytest.mark.parametrize("begins", [b"PK\x03\x04rest", b"\xd0\xcf\x11\xe0rest"])
def test_a_spreadsheet_is_refused_by_its_name(begins: bytes) -> None:
    with pytest.raises(UserError, match=r"a\.csv is a spreadsheet: save it as CSV"):
        decode(begins, name="a.csv")
