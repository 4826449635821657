"""The words of mammography reports that system.reports.rules looks for: Chinese, English and Portuguese, lower case."""

import re


def _words(*alternatives: str) -> re.Pattern[str]:
    return re.compile("|".join(alternatives), re.ASCII)  # ASCII: \b also between a Latin word and a Chinese one


HAN_MASS = "肿块|肿物|包块|占位|团块|结节|囊肿|纤维腺瘤|脂肪瘤|错构瘤|肿快"
HAN_NEGATION = (
    "未(?:见|发现|显示|形成|触及|扪及|探及|及|检出|查见|提示|示|看到|看见|有|明确见|能见)"
    "|无(?![痛回])|没有|否认|不[见伴]"  # but not painless, anechoic
)
MASS = _words(
    HAN_MASS,
    r"\b(?:mass(?:es)?|nodules?|nodular (?:mass|density|opacity)|lumps?|cysts?|fibroadenomas?|lipomas?|hamartomas?"
    r"|tumou?rs?)\b",
    r"\b(?:nódulos?|massas?|cistos?|fibroadenomas?|tumor(?:es)?)\b",
)
NEGATION = _words(
    HAN_NEGATION,
    r"\b(?:not?|without|negative for|absence of|absent|free of|clear of|devoid of|never|neither|nor|none|lacks?"
    r"|rul(?:es?|ed) out|exclud(?:es?|ed))\b",
    r"\b(?:não|sem|ausência de|ausentes?|nenhuma?|nem|livres? de|inexist\w+)\b",
)
PORTUGUESE = _words(
    r"\b(?:mamas?|nódulos?|achados|esquerd[ao]|direit[ao]|quadrantes?|não|sem|massas?|cistos?|calcificaç\w+|observ\w+-se)\b"
)
GONE = _words(  # stands after the mass, in the same sentence
    "切除|相应|对应|消失|消散|[已可](?:排除|除外)|吸收|重叠"
    "|(?:现|已|今|此次|本次|未再|不再)[^,]{0,6}(?:未见|不见|见显示)|未再见",
    r"\b(?:resolv\w+|disappear\w+|remov\w+|excis\w+|resect\w+|no longer|effac\w+|overlap\w*|correlate)\b",
    r"\b(?:not|never) (?:\w+ )?(?:seen|reproduced|visible|visuali[sz]ed|identified|present|confirmed|appreciated"
    r"|detected|evident|demonstrated|found|noted|observed|apparent|suspected)\b",
    r"\b(?:is|are|was|were|been) (?:absent|excluded|ruled out)\b",
    r"\b(?:ressecad\w+|retirad\w+|removid\w+|não mais|desaparec\w+|sobreposição|desfe\w+|superposição)\b",
)
DENIED_AFTER = _words(  # in forms: "mass: none"
    r"^\s?[影像灶征]{0,2}\s?[:\[(=-][\s\[(]{0,3}(?:无|未见|没有|阴性|none\b|no\b|absent|negative|nil\b|não\b|ausentes?|nenhum|sem\b"
    r"|negativ|-\))",
    r"^\s?(?:无|未见|none|absent|ausentes?)(?=\s?[\])]?\s?$)",
)
TAKEN_OUT = _words(
    r"\b(?:excision|removal|resection|lumpectomy) (?:of|for)\b", r"\b(?:exérese|ressecção|retirada) (?:de|do)\b"
)
OTHER_FINDING = _words(
    r"异常|正常|无殊|\(-\)|钙化|不对称|致密影|扭曲|淋巴结|(?:未见|无)(?=$)",
    r"bi-?rads\W{0,3}(?:category |categoria )?[12](?![0-9a-c])",
    r"\b(?:unremarkable|normal|negative|clear|wnl|nad|benign|calc\w+|abnormalit\w+|asymmetr\w+|distortion|lymph"
    r"|no findings?|has none|none (?:in|on|at)|neg)\b",
    r"\bno (?:suspicious |significant |focal |discrete |dominant )?(?:lesions?|findings?|abnormality)\b",
    r"\b(?:sem (?:alterações|achados|particularidades|expressão|correspond\w+|lesões)|norma(?:l|is)"
    r"|calcifica\w+|assimetria\w*|distorção|linfonodos?|negativ[ao]|ausentes?)\b",
)
SIDE = re.compile(  # in text that `spelled_out` wrote; "all" names both breasts unless the same clause names one
    r"(?P<both>双[乳侧]|两[侧乳]|双边|左侧?[、,及和与或/]?右|右侧?[、,及和与或/]?左|\bboth\b(?! (?:views|projections))"
    r"|\bb/l\b|\bbilat(?:eral(?:ly)?)?\b|\b(?:either|neither|each) (?:breast|side)\b|\bambas\b"
    r"|\bbilatera(?:l(?:mente)?|is)\b)"
    r"|(?P<all>\bbreasts\b|\bmamas\b)"
    r"|(?P<other>对侧|健侧|\b(?:the other|contralateral|opposite)\b|\boutra mama\b)"
    r"|(?P<left>左|\bleft(?:\b|sided\b)|\besquerd[ao]s?\b)"
    r"|(?P<right>右|\bright(?:\b|sided\b)|\bdireit[ao]s?\b)",
    re.ASCII,
)
# A breast without a side and in the singular: both, as long as no side was named, and as long as nothing was found.
BREAST = _words(
    "乳腺|乳房",
    r"\b(?:breast|mammary|fibroglandular|glandular) (?:tissue|parenchyma|density|composition)\b",
    r"\b(?:parênquima|tecido) (?:mamário|fibroglandular)\b",
)

ABOUT = re.compile(r"(?<=[\dm米厘毫个月年天岁点%])\s?(?:左右|右左)(?![乳侧两各腺])")  # "2cm左右": about 2 cm

# Wordings that look like a statement about a mass and are none, and the text that replaces them.
READ_FIRST = (
    (_words(r"不[仅但]|\bnot only\b|\bnão (?:só|apenas|somente)\b"), " "),
    (
        _words(
            "(?<!未)(?:扪及|触及|可及|自觉)[^,。;]{0,8}(?:结节|肿块|包块)",
            r"\b(?:palpable|feels an?|felt) (?:lump|mass|nodule|area)",
            r"\bnódulo palpável",
        ),
        " palpable ",
    ),
    (_words("淋巴结节?", r"\blymph nodes?\b|\bnodes?\b", r"\blinfonodos?\b"), " lymph "),
    (_words(r"乳腺?(?:癌)?(?:改良)?(?:根治|全切)[^,。;]*"), " "),
    (
        _words(
            "不能?(?:完全)?(?:除外|排除)|待排除?",
            r"\b(?:cannot|can not|could not|can't)(?: be)?(?: entirely| completely)? (?:exclude\w*|rule\w* out)",
        ),
        " possible ",
    ),
    (
        _words(
            r"\bnot (?:entirely |completely )?(?:excluded?|ruled out)\b",
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
            r"\b(?:to|for|please) (?:exclude|rule out|evaluat\w+|assess\w*)\b[^.,;]*|\br/o\b[^.,;]*",
            r"\brule[ -]out\b[^.,;]*",
            r"\b(?:para )?(?:excluir|afastar|descartar)\b[^.,;]*|\bpara avalia\w+\b[^.,;]*",
            r"目的[^。;\n]*|(?:^|(?<=[,。;\n]))(?:排除|除外)[^,。;]*",
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
# A breast that was taken off is not read: what stands before the word, up to the last mark, goes with it.
NO_BREAST = _words(r"\bmastectom\w+|缺如")
SENTENCE = re.compile(r"[。;!?\n]|(?<!\d)\.(?!\d)|(?<=\d)\.(?=\s|$)")
CLAUSE = re.compile(
    r",|\b(?:but|while|whereas|however|with the exception|except(?:ing)?|other than|apart from|aside from|besides|mas"
    r"|enquanto|porém|contudo|exceto|salvo|além d[eoa]s?)\b|[而但]|除(?=.{0,30}外)",
    re.ASCII,
)
AND = re.compile(r"\b(?:and|e)\b|&|[和及且、与]|以及", re.ASCII)
OR = re.compile(r"\b(?:and/or|or|nor|e/ou|ou|nem)\b|或者?", re.ASCII)
BROKEN_LINE = re.compile(r"(?<![.。;:,])\n(?=[a-z]|[\u3400-\u9fff](?![乳侧]))")
HAN = re.compile(r"[\u3400-\u9fff]")
NEW_STATEMENT = _words(
    r"\b(?:there (?:is|are)|shows?|seen|has|contains|is|are|observa-se|apresenta|nota-se|há|identifica-se)\b"
)
# What ends the reach of a negation before it: "no calcification and a mass", "未见钙化并见一结节".
FOUND_ANEW = _words(
    r"\b(?:and|e) (?:an?|one|two|three|\d+|uma?|dois|duas|três)\b|\bthere (?:is|are)\b(?! no)|(?<!não )(?<!nem )\bhá\b",
    r"(?<![未不无所可])见(?=[一二两三多数个枚约\d])|(?<!没)有(?=[一二两三多数个枚])",
)
# What stands in a clause of its own, so that a negation before the clause does not reach into it.
OWN = _words(
    r"\b(?:an?|one|two|three|uma?|dois|duas|there|with|shows?|seen|has|contains|is|are|new|com|há|apresenta)\b|\d",
    r"(?<![未不无])[见示]|[有为]",
)
