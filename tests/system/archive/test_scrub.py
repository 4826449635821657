"""Identifying text must not be stored; the description of the breasts must."""

from datetime import date, timedelta

import pytest

from system.archive.scrub import MAX_CHARACTERS, scrub, shift_of, taken_out


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("姓名：王小明，左乳见肿块。", "姓名: [NAME],左乳见肿块。"),
        ("患者姓名: 李雷 年龄52岁", "患者姓名: [NAME] 年龄52岁"),
        ("报告医师：张伟  审核医师：欧阳娜娜", "报告医师: [NAME] 审核医师: [NAME]"),
        ("Patient name: Jane Q. Doe. Dense breasts.", "Patient name: [NAME]. Dense breasts."),
        ("Compared by Dr. Smith-Jones with the prior.", "Compared by Dr. [NAME] with the prior."),
        ("Electronically signed by: Maria O'Neill, MD", "Electronically signed by: [NAME]"),
        ("DOE^JANE^M mammogram", "[NAME] mammogram"),
        ("电话13812345678，勿扰", "电话[PHONE],勿扰"),
        ("联系 010-87654321", "联系 [PHONE]"),
        ("call (617) 555-0123 or +44 20 7946 0958", "call [PHONE] or [PHONE]"),
        ("身份证号110101196001011234", "身份证号: [ID]"),
        ("ID number 11010119600101123X", "ID number [ID]"),
        ("住院号：A0012345 左乳", "住院号: [ID] 左乳"),
        ("MRN 00123456, Accession No. MG-2021-77", "MRN: [ID], Accession No.: [ID]"),
        ("write to jane.doe@mail.example.org", "write to [MAIL]"),
        ("左乳jane.doe@mail.example.org", "左乳[MAIL]"),
        ("住院号:A0012345左乳肿块", "住院号: [ID]左乳肿块"),
        ("姓名王小明性别女年龄52岁", "姓名 [NAME]性别女年龄52岁"),
        ("姓名:王小明左乳见肿块", "姓名: [NAME]左乳见肿块"),
        ("患者:左小明,女", "患者: [NAME],女"),
        ("患者王小明,女,52岁,左乳肿块", "患者[NAME],女,52岁,左乳肿块"),
        ("报告医师张伟", "报告医师 [NAME]"),
        ("审核医师:张 伟", "审核医师: [NAME]"),
        ("姓名:阿依古丽·买买提 左乳", "姓名: [NAME] 左乳"),
        ("经王主任会诊", "经[NAME]主任会诊"),
        ("家庭住址:某市某路12号。左乳结节", "家庭住址:[ADDRESS]。左乳结节"),
        ("王^小明 Wang^XiaoMing", "[NAME] [NAME]"),
        ("Patient: Jane Doe Small left mass", "Patient: [NAME] Small left mass"),
        ("Patient: Small, John. Left mass", "Patient: [NAME]. Left mass"),
        ("PATIENT: JANE DOE RIGHT BREAST MASS", "PATIENT: [NAME] RIGHT BREAST MASS"),
        ("Patient Jane Doe presents with pain", "Patient [NAME] presents with pain"),
        ("Dr. Small, Dr. R. Smith", "Dr. [NAME], Dr. [NAME]"),
        ("Name: jane doe left mass", "Name: [NAME] left mass"),
        ("Jane L. Doe, MD. Left mass", "[NAME], MD. Left mass"),
        ("Address: 12 High Street. No mass", "Address: [ADDRESS]. No mass"),
        ("Dr. Ângela Exemplo, reported by Émile Exemplo", "Dr. [NAME], reported by [NAME]"),
        ("Paciente: Joana Modelo. Prontuário 000123.", "Paciente: [NAME]. Prontuário: [ID]."),
        ("CPF 000.000.001-91. Tel (11) 90000-0000.", "CPF: [ID]. Tel [PHONE]."),
        ("Médica: Dra. Márcia Exemplo, CRM 00000.", "Médica: Dra. [NAME], CRM: [ID]."),
        ("Nome: José dos Santos e Silva; Processo n.º 12345/21", "Nome: [NAME]; Processo n.o: [ID]"),
        ("Laudado por Ana Paula em 03/05/2021", "Laudado por [NAME] em [DATE]"),
        ("RG 12.345.678-9, NIF 123456789, utente nº 123456789", "RG: [ID], NIF: [ID], utente no: [ID]"),
        ("Telemóvel: 912 345 678, celular +55 11 91234-5678", "Telemóvel: [PHONE], celular [PHONE]"),
        ("Endereço: Rua das Flores, 123. Mama direita", "Endereço: [ADDRESS]. Mama direita"),
        ("PACIENTE: MARIA DA SILVA MAMA DIREITA", "PACIENTE: [NAME] MAMA DIREITA"),
    ],
)
def test_identifying_text_is_removed(text: str, expected: str) -> None:
    assert " ".join(scrub(text, shift_days=-10).split()) == expected


@pytest.mark.parametrize(
    "text",
    [
        "左乳外上象限见一大小约1.8×1.2cm肿块,边缘毛刺。BI-RADS 4C。",
        "患者左乳肿块切除术后,右乳未见明显肿块。",
        "A 12 mm spiculated mass at 2 o'clock, 5 cm from the nipple, BI-RADS 5. ACR density C.",
        "Patient: no complaint. No suspicious mass in either breast.",
        "Patient: Dense breasts. Radiologist: Left mass. Patient: R breast mass.",
        "患者:左乳肿块。患者:女性,病人:无不适。诊断医师:左乳癌可能",
        "患者高龄女性,左乳肿块,手术医师建议复查",
        "Paciente: Mama esquerda com nódulo. MD: nódulo; ME: sem alterações.",
        "Processo inflamatório de 12 mm; BI-RADS 4, 10/12/15 mm.",
        "医师建议: 6个月后复查。",
        "Mass of 13 x 14 x 15 mm; 3-4 calcifications; 2012 not compared.",
    ],
)
def test_the_description_of_the_breasts_stays(text: str) -> None:
    assert scrub(text, shift_days=-10) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("与2021-03-05片比较", "与2021-02-23片比较"),
        ("2021年3月5日", "2021年02月23日"),
        ("Compared with 5 March 2021.", "Compared with 23 February 2021."),
        ("Compared with Mar 5, 2021.", "Compared with February 23, 2021."),
        ("on 03/05/2021", "on [DATE]"),
        ("2021年3月", "[DATE]"),
        ("20210305", "[DATE]"),
        ("2021-13-45", "[DATE]"),
        ("Compared with Mar 5 2021", "Compared with February 23 2021"),
        ("Exame de 3 de maio de 2021.", "Exame de 23 de abril de 2021."),
        ("1º de março de 2020", "20 de fevereiro de 2020"),
        ("maio de 2021, mai/2021, 12-Mar-2021, March 2021, 03/05/21", "[DATE], [DATE], [DATE], [DATE], [DATE]"),
    ],
)
def test_dates_are_shifted_or_taken_out(text: str, expected: str) -> None:
    assert scrub(text, shift_days=-10) == expected


def test_intervals_between_a_patients_dates_stay() -> None:
    before, after = (date.fromisoformat(scrub(day, shift_days=-200)) for day in ("2020-01-31", "2021-06-30"))

    assert after - before == date(2021, 6, 30) - date(2020, 1, 31)
    assert before == date(2020, 1, 31) - timedelta(days=200)


def test_full_width_digits_are_seen_and_control_characters_go() -> None:
    assert scrub("电话１３８１２３４５６７８\x00\x1b$)A左乳\u200b肿块", shift_days=-1) == "电话[PHONE]$)A左乳肿块"


def test_a_text_without_end_is_cut() -> None:
    assert len(scrub("a" * 10_000_000, shift_days=-1)) == MAX_CHARACTERS


def test_a_shift_is_between_one_day_and_a_year_back() -> None:
    shifts = {shift_of(f"{number * 7919 % 2**32:08x}") for number in range(5000)}

    assert (min(shifts), max(shifts)) == (-365, -1)


@pytest.mark.parametrize(
    "piece",
    [
        "A-",
        "O'",
        "ID-",
        "病案号",
        "A^",
        "a.",
        "1-",
        "Dr ",
        "患者",
        "Patient: ",
        "R. A ",
        "Rua A ",
        "Jane Doe ",
        "address: a",
        "tel 1 ",
    ],
)
def test_the_longest_section_of_one_repeated_piece_is_scrubbed_as_fast_as_any(piece: str) -> None:
    """Where a pattern looks on to the end from every place, this takes minutes."""
    text = piece * (MAX_CHARACTERS // len(piece))
    assert scrub(text, shift_days=-1)


def test_long_names_and_numbers_are_still_taken_out() -> None:
    name = "GARCIA-" * 8 + "^MARIA"
    assert scrub(f"seen {name} today", shift_days=-1) == "seen [NAME] today"
    assert scrub("MRN: " + "A" * 60 + "7" + "B" * 200, shift_days=-1) == "MRN: [ID]"


def test_lines_of_an_old_macintosh_stay_lines() -> None:
    assert scrub("Left breast:\rNo mass\r\nRight", shift_days=-1) == "Left breast:\nNo mass\nRight"


def test_what_was_taken_out_is_counted_by_kind() -> None:
    clean = scrub("Patient: Jane Doe. MRN 00123456. Dr. Smith: left mass", shift_days=-1)
    assert taken_out(clean) == {"NAME": 2, "ID": 1}
