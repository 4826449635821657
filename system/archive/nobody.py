"""Patient IDs that stand for nobody: words that a unit writes where it does not name the patient.

No list of words is whole: an ID that more studies or birth dates lie under than one person has is of nobody too, see
one_person.py.
"""

import re
import unicodedata

_WORDS_BY_LANGUAGE = {
    "en": "anon anonym anonymous anonymized anonymised anonymoussubject deidentified deid unidentified unidentifiable "
    "pseudonymized pseudonymised unknown unk unkn unnamed unspecified undisclosed undefined unassigned noname nobody "
    "noone noid none null nil nan na notavailable notapplicable notknown notgiven notprovided missing blank empty "
    "redacted removed withheld hidden masked confidential johndoe janedoe doejohn doejane placeholder "
    "dummy fake mock demo test testing tester testpatient phantom mammophantom acrphantom qc qa qualitycontrol "
    "calibration",
    "de": "unbekannt unbekannte unbekannter anonymisiert anonyme anonymer ohnename ohnenamen namenlos niemand keine "
    "keiner keinname testpatientin mustermann mustermannmax mustermannerika maxmustermann erikamustermann",
    "es": "desconocido desconocida anonimo anonima sinnombre sinidentificar sinidentificacion noidentificado "
    "noidentificada ninguno ninguna nadie prueba pruebas ensayo fantoma maniqui nn",
    "fr": "inconnu inconnue anonyme anonymise anonymisee sansnom nonidentifie nonidentifiee nonrenseigne nonconnu "
    "aucun aucune personne essai fantome",
    "it": "sconosciuto sconosciuta ignoto ignota anonimizzato senzanome nonidentificato nonidentificata nessuno "
    "prova fantoccio",
    "pt": "desconhecido desconhecida ignorado ignorada semnome semidentificacao naoidentificado naoidentificada "
    "naoinformado naoinformada ninguem nenhum teste fantasma",
    "nl": "onbekend onbekende anoniem naamloos geennaam niemand proef",
    "sv da nb fi": "okänd okänt ukendt ukjent ingen namnlös navnløs tuntematon nimetön anonyymi testi",
    "pl cs sk hr": "nieznany nieznana nieznane anonimowy anonimowa anonim bezimienny brak neznámý neznámá neznámy "
    "anonymní nepoznat nepoznata",
    "ro hu tr": "necunoscut necunoscută ismeretlen névtelen bilinmeyen bilinmiyor isimsiz kimliksiz deneme",
    "vi id": "khôngrõ khôngtên khôngxácđịnh vôdanh ẩndanh takdikenal tidakdiketahui tidakdikenal tanpanama",
    "zh": "匿名 未知 不详 不明 无 无名 无名氏 无名女 无姓名 空 佚名 化名 保密 某某 未命名 未提供 未填写 未登记 暂无 "
    "待定 测试 模拟 虚拟 体模 模体 假人 质控 校准 不詳 無 無名 無名氏 無名女 無姓名 未填寫 "
    "未登記 測試 模擬 虛擬 體模 模體 質控 校準",
    "ja": "氏名不詳 氏名不明 身元不明 名無し 名前なし なし 無し 無記名 "
    "未登録 未入力 未記入 テスト ダミー ファントム "
    "試験 試験用 トクメイ",
    "ko": "익명 무명 무명씨 미상 불명 불상 성명불상 신원미상 신원불명 미확인 미정 미등록 모름 없음 "
    "알수없음 이름없음 테스트 시험 시험용 팬텀 더미",
    "ru uk": "неизвестно неизвестный неизвестная неизвестен неизвестна неизв аноним анонимно анонимный анонимная "
    "безимени безымянный безымянная неуказано неустановлен неустановлена нет тест тестовый тестовая фантом "
    "невідомо невідомий невідома анонімно анонімний",
    "el": "άγνωστος άγνωστη άγνωστο ανώνυμος ανώνυμη ανώνυμο χωρίςόνομα κανένας δοκιμή δοκιμαστικός τεστ ομοίωμα",
    "ar fa": "مجهول مجهولة مجهولالهوية مجهولةالهوية مجهولالاسم غيرمعروف غيرمعروفة غيرمحدد غيرمعرف بدوناسم بلااسم "
    "لايوجد اختبار تجربة تجريبي ناشناس نامعلوم نامشخص بینام آزمایشی تست فانتوم",
    "he": "אלמוני אלמונית פלוני פלונית אנונימי אנונימית לאידוע לאידועה ללאשם בדיקה ניסיון",
    "hi th": "अज्ञात अनाम बेनाम गुमनाम परीक्षण ไม่ทราบ ไม่ทราบชื่อ ไม่ระบุ ไม่ระบุชื่อ ไม่มีชื่อ นิรนาม ทดสอบ",
}
# Words for a patient or a name, which say nothing of who it is.
_OF_A_PATIENT_BY_LANGUAGE = {
    "en de fr es it pt nl pl ro hu tr": "patient pat pt subject person name id number no nr patientin patiente "
    "paciente nome nombre nom paziente patiënt naam pacjent pacjentka pacient hasta mr mrs ms",
    "zh ja ko": "患者 患者様 急诊 急診 门诊 門診 病人 姓名 氏名 名前 女士 先生 号 號 様 さん 환자 성명 이름 님 씨 번",
    "ru el ar fa he hi th": "пациент пациентка больной больная имя ασθενής όνομα مريض مريضة المريض المريضة بیمار اسم "
    "نام חולה מטופל מטופלת שם मरीज रोगी ผู้ป่วย คนไข้ ชื่อ",
}
_PARTS = re.compile(r"[^\W_]+")  # of letters and digits
_DIGITS = re.compile(r"^\d+|\d+$")
_NOT_DECOMPOSED = str.maketrans({"đ": "d", "ł": "l", "ø": "o", "ı": "i"})  # by Unicode, unlike ä and é


def _folded(text: str) -> list[str]:
    """Return a text's runs of letters and digits, without case, accents and width."""
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold()).translate(_NOT_DECOMPOSED)
    return _PARTS.findall("".join(character for character in folded if not unicodedata.combining(character)))


def _list(by_language: dict[str, str]) -> frozenset[str]:
    return frozenset("".join(_folded(word)) for words in by_language.values() for word in words.split())


_WORDS, _OF_A_PATIENT = _list(_WORDS_BY_LANGUAGE), _list(_OF_A_PATIENT_BY_LANGUAGE)
_ATTACHED = (
    sorted(  # those that may be written together with another word, longest first; `no` would end too many names
        (word for word in _OF_A_PATIENT if len(word) > 3 or not word.isascii()), key=lambda word: (-len(word), word)
    )
)


def is_known(patient: str) -> bool:
    """Return whether a Patient ID (0010,0020) can be of one patient.

    Spelling, accents, width and punctuation play no part. Empty IDs, one repeated character, and the words for nobody,
    alone, with words for patient or with digits around them, are of nobody: `Anonymous^`, `UNKNOWN PATIENT`, `ANON1`,
    `0000-0000`, `未知患者1号`.
    """
    parts = _folded(patient)
    bare = "".join(parts)
    if len(set(bare)) <= 1 or bare in _OF_A_PATIENT or _is_of_nobody(bare):
        return False
    named = [part for part in parts if not part.isdigit() and part not in _OF_A_PATIENT]
    if named:
        return not all(_is_of_nobody(part) for part in named)
    return any(part.strip("0") for part in parts if part.isdigit())


def _is_of_nobody(word: str) -> bool:
    """Return whether a word for nobody is left when digits and words for a patient are taken off both ends."""
    while True:
        word = _DIGITS.sub("", word)
        if word in _WORDS:
            return True
        shorter = (
            word.removeprefix(each).removesuffix(each)
            for each in _ATTACHED
            if word.startswith(each) or word.endswith(each)
        )
        if not (word := next(shorter, "")):
            return False
