"""Patient IDs that stand for nobody."""

import pytest

from system.archive.nobody import is_known

NOBODY = """
匿名|未知|不详|无名氏|匿名患者|患者未知|ANONYMOUS^|Anonymous Patient|ANON1|anon-0042|UNKNOWN PATIENT|Patient, Unknown|
DESCONHECIDO|Paciente desconhecida|não identificado|NÃO INFORMADO|0000-0000|00000000|DUMMY|dummy_3|N/A|n.a.|xxx|---||
 |ＡＮＯＮＹＭＯＵＳ|Unbekannt|inconnue|Test 12|NULL^NULL|patient|PATIENT^|患者|De-identified|no name|UNK
"""
SOMEBODY = """
P1|patient 12|PAT0007|D2-0001|12345678|10000000|王小明|Silva^Maria|Anna|Nathan|mini-mias pair 12|1.2.840.113619.2.55|
TESTA^MARIA|Nunes|A1|Unknown Soldier 7|Testino|ID-000123
"""


def each(text: str) -> list[str]:
    return text.strip("\n").replace("|\n", "|").split("|")


@pytest.mark.parametrize("patient", each(NOBODY))
def test_a_word_for_nobody_is_of_nobody_however_it_is_written(patient: str) -> None:
    assert not is_known(patient)


@pytest.mark.parametrize("patient", each(SOMEBODY))
def test_an_id_is_of_somebody(patient: str) -> None:
    assert is_known(patient)
