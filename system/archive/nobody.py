"""Patient IDs that stand for nobody: words that a unit writes where it does not name the patient."""

import re
import unicodedata

_ENGLISH = (
    "anon anonym anonymous anonymized anonymised anonymoussubject deidentified unidentified unknown unk unnamed noname "
    "noid none null nil na notavailable notapplicable notknown dummy test testing tester phantom qc"
)
_CHINESE = "匿名 未知 不详 不明 无 无名 无名氏 空 佚名 测试 化名"
_PORTUGUESE = (
    "desconhecido desconhecida anonimo anonima semnome ignorado ignorada teste naoidentificado naoidentificada "
    "naoinformado"
)
_OTHERS = (
    "desconocido desconocida sinnombre prueba noidentificado inconnu inconnue anonyme sansnom unbekannt ohnename "
    "namenlos sconosciuto sconosciuta"
)
_WORDS = frozenset(f"{_ENGLISH} {_CHINESE} {_PORTUGUESE} {_OTHERS}".split())
_PARTS = re.compile(r"[^\W_]+")  # of letters and digits
_OF_A_PATIENT = ("patient", "pat", "subject", "name", "id", "患者", "病人", "姓名", "paciente", "nome")


def is_known(patient: str) -> bool:
    """Return whether a Patient ID (0010,0020) can be of one patient.

    Spelling, accents, width and punctuation play no part. Empty IDs, one repeated character, and the words for nobody,
    alone, with a word for patient or with digits behind them, are of nobody: `Anonymous^`, `UNKNOWN PATIENT`, `ANON1`,
    `0000-0000`.
    """
    folded = unicodedata.normalize("NFKD", patient).casefold()
    plain = "".join(character for character in folded if not unicodedata.combining(character))
    parts = _PARTS.findall(plain)
    bare = "".join(parts)
    if len(set(bare)) <= 1 or bare in _OF_A_PATIENT:
        return False
    word = bare.rstrip("0123456789")
    if any(each in _WORDS for each in (word, *_without_patient(word))):
        return False
    named = [part for part in parts if not part.isdigit() and part not in _OF_A_PATIENT]
    return not named or not all(part in _WORDS for part in named)


def _without_patient(word: str) -> list[str]:
    """Return what is left of a word without a word for patient before or behind it."""
    return [
        *(word.removeprefix(each) for each in _OF_A_PATIENT if word.startswith(each)),
        *(word.removesuffix(each) for each in _OF_A_PATIENT if word.endswith(each)),
    ]
