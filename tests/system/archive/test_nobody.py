"""Patient IDs that stand for nobody."""

import pytest

from system.archive.nobody import is_known

NOBODY = """
匿名|未知|不详|无名氏|匿名患者|患者未知|ANONYMOUS^|Anonymous Patient|ANON1|anon-0042|UNKNOWN PATIENT|Patient, Unknown|
DESCONHECIDO|Paciente desconhecida|não identificado|NÃO INFORMADO|0000-0000|00000000|DUMMY|dummy_3|N/A|n.a.|xxx|---||
 |ＡＮＯＮＹＭＯＵＳ|Unbekannt|inconnue|Test 12|NULL^NULL|patient|PATIENT^|患者|De-identified|no name|UNK|
未知患者1号|無名氏|測試病人|测试０１|体模|质控|急诊_无名|匿 名|氏名不詳|テスト患者|ﾃｽﾄ|ダミー|名無し^様|不明さん|
신원미상|환자미상|테스트 1|무명씨|익명 환자님|Неизвестно|НЕИЗВЕСТНАЯ|Пациент неизвестен|без имени|ТЕСТ-7|Аноним|
مجهول الهوية|مريض مجهول|غير معروف|اختبار ٣|مَجْهُول|Άγνωστη|ΑΓΝΩΣΤΟΣ^|ανώνυμος ασθενής|ΔΟΚΙΜΗ|אלמונית|
לא ידוע|अज्ञात|ไม่ทราบชื่อ|
Sans nom|NON-IDENTIFIÉE|Patientin unbekannt|Mustermann^Erika|sin nombre|Ignota|onbekend|OKÄND|nieznany pacjent|
BİLİNMEYEN|isimsiz hasta|không rõ|DOE^JANE|john.doe|Test^Test^Test|001_ANON|Phantom (QC)|un\u200bknown|\u202eanonymous|
Patient 000|Patient ID|[REDACTED]|????|...|!|ACR Phantom|test-patient|TESTPATIENT42|٠٠٠٠|anonymisée
"""
SOMEBODY = """
P1|patient 12|PAT0007|D2-0001|12345678|10000000|王小明|Silva^Maria|Anna|Nathan|mini-mias pair 12|1.2.840.113619.2.55|
TESTA^MARIA|Nunes|A1|Unknown Soldier 7|Testino|ID-000123|Иванова^Анна|김영희|田中花子|Παπαδοπούλου|مريم|無藤^花子|
不破|Annonay|Nanette|Nilsson|Brak^Ewa|患者12|Патрикеева|空海|Nemo7|Noname-Smith|Doe^Maria|Proefstra|Qasim|٤٢١٧|P_00001_LEFT
"""


def each(text: str) -> list[str]:
    return text.strip("\n").replace("|\n", "|").split("|")


@pytest.mark.parametrize("patient", each(NOBODY))
def test_a_word_for_nobody_is_of_nobody_however_it_is_written(patient: str) -> None:
    assert not is_known(patient)


@pytest.mark.parametrize("patient", each(SOMEBODY))
def test_an_id_is_of_somebody(patient: str) -> None:
    assert is_known(patient)
