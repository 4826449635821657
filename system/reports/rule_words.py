"""The words of mammography reports that system.reports.rules looks for: Chinese, English and Portuguese, lower case."""

import re


def _words(*alternatives: str) -> re.Pattern[str]:
    return re.compile("|".join(alternatives), re.ASCII)  # ASCII: \b also between a Latin word and a Chinese one


MASS = _words(
    "肿块|肿物|包块|占位|团块|结节|囊肿|纤维腺瘤|脂肪瘤|错构瘤|肿快",
    r"\b(?:mass(?:es)?|nodules?|nodular (?:mass|density|opacity)|lumps?|cysts?|fibroadenomas?|lipomas?|hamartomas?"
    r"|tumou?rs?)\b",
    r"\b(?:nódulos?|massas?|cistos?|fibroadenomas?|tumor(?:es)?)\b",
)
NEGATION = _words(
    "未(?:见|发现|显示|形成|触及|扪及|探及|及|检出|查见|提示|示)|无(?!痛)|没有|否认",
    r"\b(?:not?|without|negative for|absence of|free of|clear of|devoid of|never|neither|nor|none)\b",
    r"\b(?:não|sem|ausência de|nenhuma?|nem|livres? de)\b",
)
PORTUGUESE = _words(r"\b(?:mamas?|nódulos?|achados|esquerd[ao]|direit[ao])\b")
GONE = _words(  # stands after the mass, in the same sentence
    "切除|相应|对应|消失|消散|吸收|重叠|(?:现|已|今|此次|本次|未再|不再)[^,]{0,6}(?:未见|不见|见显示)|未再见",
    r"\b(?:resolv\w+|disappear\w+|remov\w+|excis\w+|resect\w+|no longer|effac\w+|overlap\w*|correlate)\b",
    r"\bnot (?:seen|reproduced|visible|identified|present|confirmed)\b",
    r"\b(?:ressecad\w+|retirad\w+|removid\w+|não mais|desaparec\w+|sobreposição|desfe\w+|superposição)\b",
)
DENIED_AFTER = _words(r"^[\s:\[(]*(?:无|none\b|absent)")  # in forms: "mass: none"
TAKEN_OUT = _words(
    r"\b(?:excision|removal|resection|lumpectomy) (?:of|for)\b", r"\b(?:exérese|ressecção|retirada) (?:de|do)\b"
)
OTHER_FINDING = _words(
    r"异常|正常|无殊|\(-\)|钙化|不对称|致密影|扭曲|淋巴结|未见(?=$)",
    r"bi-?rads\W{0,3}(?:category |categoria )?[12](?![0-9a-c])",
    r"\b(?:unremarkable|normal|negative|clear|wnl|nad|benign|calc\w+|abnormalit\w+|asymmetr\w+|distortion|lymph"
    r"|no findings?|has none)\b",
    r"\b(?:sem (?:alterações|achados|particularidades)|normal|calcifica\w+|assimetria\w*|distorção|linfonodos?"
    r"|negativ[ao])\b",
)
_LEFT, _RIGHT = (
    r"左|\bleft\b|\bl(?:t|b|cc|mlo)?\b(?!-)|\besquerd[ao]s?\b|\bme\b",
    r"右|\bright\b|\br(?:t|b|cc|mlo)?\b(?!-)|\bdireit[ao]s?\b|\bmd\b",
)
SIDE = re.compile(
    r"(?P<both>双[乳侧]|两侧|两乳|左[、,及和]?右|\bboth\b(?! (?:views|projections))|\bbilat(?:eral(?:ly)?)?\b"
    r"|\b(?:either|neither|each) (?:breast|side)\b|\bambas\b|\bbilaterais\b)"
    r"|(?P<other>对侧|健侧|\b(?:the other|contralateral|opposite)\b|\boutra mama\b)"
    rf"|(?P<left>{_LEFT})|(?P<right>{_RIGHT})",
    re.ASCII,
)

# Wordings that look like a statement about a mass and are none, and the text that replaces them.
READ_FIRST = (
    (re.compile(r"(?<=[\d米mc])\s*左右", re.ASCII), ""),
    (
        _words(
            "(?:扪及|触及|可及|自觉)[^,。;]{0,8}(?:结节|肿块|包块)",
            r"\b(?:palpable|feels an?|felt) (?:lump|mass|nodule|area)",
            r"\bnódulo palpável",
        ),
        " palpable ",
    ),
    (_words("淋巴结节?", r"\blymph nodes?\b|\bnodes?\b", r"\blinfonodos?\b"), " lymph "),
    (_words(r"乳腺?(?:癌)?(?:改良)?(?:根治|全切)[^,。;]*", r"[^.,;]*\bmastectom\w+", r"[^.,;]*缺如"), " "),
    (
        _words(
            "不能?(?:完全)?(?:除外|排除)|待排除?",
            r"\b(?:cannot|can not|could not|can't)(?: be)?(?: entirely)? exclude\w*",
        ),
        " possible ",
    ),
    (
        _words(
            r"\bnot (?:entirely )?excluded?\b",
            r"\bnão se (?:pode )?(?:exclui|afasta)\w*|\bnão (?:pode ser|é possível) (?:exclu|afast)\w+",
        ),
        " possible ",
    ),
    (
        _words(
            "无(?:明显|显著)?(?:变化|改变)",
            r"\b(?:no|without) (?:significant |interval |appreciable )*change\b",
            r"\bsem (?:alterações|mudanças) (?:em relação|evolutivas|significativas)",
        ),
        " stable ",
    ),
    (
        _words(
            r"(?:可能|易|可)(?:遮蔽|遮盖|掩盖)[^,。;]*",
            r"\b(?:may|can|could|might) (?:obscure|mask|hide)\b[^.,;]*",
            r"\bpode[mr]? (?:ocultar|obscurecer|mascarar)\b[^.,;]*",
        ),
        " ",
    ),
    (_words(r"(?:如|若|必要时)[^,。;]*", r"\b(?:if|should)\b[^.,;]*", r"\b(?:caso|se houver)\b[^.,;]*"), " "),
    (
        _words(
            r"\b(?:to|for) (?:exclude|rule out|evaluat\w+|assess\w*)\b[^.,;]*",
            r"\bpara (?:excluir|afastar|descartar|avalia\w+)\b[^.,;]*",
        ),
        " ",
    ),
    (_words(r"(?:主诉|病史|临床|家族史|母亲|其母|姐姐|妹妹|姨)[^,。;\n]*"), " "),
    (
        _words(
            r"\b(?:indication|clinical (?:history|information|indication)|history|hx|reason(?: for exam)?|mother|sister"
            r"|aunt)\b[^.;\n]*"
        ),
        " ",
    ),
    (_words(r"\b(?:indicação|história|antecedentes?|mãe|tia)\b[^.;\n]*"), " "),
    (
        _words(
            r"其[他余]|\b(?:other|additional|further|outros?|outras?)(?= (?:mass|nodul|nódul|suspici|findings|lesion))"
        ),
        " other ",
    ),
)
SENTENCE = re.compile(r"[。;!?\n]|(?<!\d)\.(?!\d)|(?<=\d)\.(?=\s|$)")
CLAUSE = re.compile(r",|\b(?:but|while|whereas|however|with the exception|mas|enquanto|porém)\b|[而但]", re.ASCII)
AND = re.compile(r"\b(?:and|e)\b|[和及且、]", re.ASCII)
BROKEN_LINE = re.compile(r"(?<![.。;:,])\n(?=[a-z]|[\u3400-\u9fff](?![乳侧]))")
HAN = re.compile(r"[\u3400-\u9fff]")
NEW_STATEMENT = _words(r"\b(?:there (?:is|are)|shows?|seen|has|contains|is|are|observa-se|apresenta|nota-se)\b")
