"""Tell the words of a mammography report from those that may be a person's name (English, Portuguese, Chinese)."""

import re
from functools import lru_cache
from typing import Literal

from system.report_words import (
    BREAST,
    GONE,
    HAN_MASS,
    HAN_NEGATION,
    MASS,
    NEGATION,
    NEW_STATEMENT,
    OTHER_FINDING,
    PORTUGUESE,
    SIDE,
)

WordKind = Literal["finding", "grammar", "describing", ""]
"""finding: a side, a breast, what is seen there, a heading; grammar: no name, nor is it a finding; describing: may be
either ("Small", "Young"); "": not known here."""

_READ = (SIDE, BREAST, MASS, NEGATION, GONE, OTHER_FINDING, NEW_STATEMENT, PORTUGUESE)
_FINDING = re.compile(
    r"rt|lt|lft|rgt|[lr]b|[lr]?(?:xcc[lm]?|cc|mlo|ml|lm|sio)(?:os)?|[lr]?[ul](?:[oi]q|q)|[lr]|esq|dir|m[de]|q[si][eiml]"
    r"|bi-?rads|acr|us|mri|mg|ffdm|dbt|uoq|loq|uiq|liq|wnl|nad"
    # anatomy, what is seen, headings
    r"|(?:breast|nipple|gland|lesion|mass|lump|cyst|clip|scar|tissue|implant|quadrant|quadrante|finding|achado|cicatriz"
    r"|mama|mamilo|exame|cancer|tumou?r|symptom)(?:s|es)?"
    r"|glandular|skin|chest|pele|cystic|lumpy|focus|foci|pain|painful|tender|tenderness|scarring|prótese|próteses|queixa"
    r"|(?:axilla|axilar|areola|parenchym|parênquim|opaci|densit|densidad|nodul|nódul|carcinom|malignan|maligno|neoplas"
    r"|calcif|microcalc|macrocalc|distor|architect|asymm|assimetr|prosthes|biops|lumpect|mastect|mastalg|fibroad"
    r"|fibrogland|fibrocyst|lipom|hamartom|hematom|haematom|seroma|abscess|thicken|retract|retraç|spicul|mammog|mammar"
    r"|mamogr|mamár|tomosynth|ultraso|ultrass|sonogra|ecogra|impression|impressão|conclus|descrip|descriç|indicat|indicaç"
    r"|techniq|técnica|comparis|recommend|categor|assessm|histor|histór|complain|discharg|screen|diagnos|follow-?up|recall"
    r"|tecido|massa|cisto|alteraç|normal|lesão|lesões|linfonod|espessam|opinião|antecedente|bilatera|contralatera|ipsilatera|homolatera"
    r"|retroareol|subareol|periareol|superolat|inferolat|superomed|inferomed)[a-zà-ÿ]*"
)
# No one is called so in a report, and what follows is no name either.
_GRAMMAR_WORDS = """
a an the this that these those is are was were be been being has have had having do does did in on at of for from to
by with within into over under between and or but as if than then there here she he they her his their who whose which
when where while after before since during because due per via not no none neither nor both either each all any some
other same denies denied reports reported reporting states stated presents presented presenting notes noted feels felt
shows showed shown demonstrates undergoes underwent came comes seen year years old yo y/o age aged female male woman
man lady sex date dob born time birth id mrn number status known only um uma os ao aos na nas nos em com por para de e
ou que se é foi está são tem há sem não nem quando desde após antes anos idade feminino masculino mulher homem sexo
data nascimento refere relata nega apresenta apresentou realizou encaminhada encaminhado pedido hora crm cpf rg tel
cel cep prontuário processo nif telefone phone email address patient paciente name surname nome signature radiologist
physician doctor clinician technologist médico médica radiologista relator solicitante responsável assinatura laudado
assinado signed dictated verified reviewed dr dra mr mrs ms miss sr sra srta prof profa
"""
_GRAMMAR = frozenset(_GRAMMAR_WORDS.split())
_DESCRIBING_WORDS = """
small large big tiny young long short little new old stable unchanged probable probably possible likely suspicious
suspected questionable dense scattered heterogeneous heterogeneously extremely almost entirely fatty mixed irregular
round oval lobulated lobular circumscribed defined well ill indistinct obscured marginated margin margins shape size
upper lower inner outer medial lateral central superior inferior anterior posterior deep middle multiple single
several few numerous solitary largest larger smaller high low equal coarse fine vascular punctate grouped clustered
linear segmental regional diffuse global focal one two three four five first second mild moderate marked minimal prior
previous current recent interval routine annual clinical palpable complete complaint complaints symptoms symptomatic
asymptomatic family personal status post views view images image examination exam study studies evidence significant
change changes side sided region area site zone spot compression additional further pequeno pequena grande novo nova
novos novas estável provável possível suspeito suspeita denso densa densas redondo redonda lobulado lobulada
circunscrito espiculado espiculada externo interno múltiplos múltiplas único única vários várias alguns algumas
grosseiras vasculares esparsas agrupadas heterogêneas heterogeneamente parcialmente lipossubstituídas
predominantemente rotina rastreamento controle assintomática assintomático contorno contornos margens medindo cm mm
"""
_DESCRIBING = frozenset(_DESCRIBING_WORDS.split())
# What a Chinese name does not hold: a side and what follows it, what is seen, how sentences about patients go on.
HAN_REPORT_WORD = re.compile(
    rf"{HAN_MASS}|{HAN_NEGATION}"
    r"|[左右](?=$|[乳侧上下内外腋胸房边前后中肿结钙囊占异正未无有见可同较均稍各及和、不近较呈腺示考BbCcMm\d:\s,.;。])"
    r"|双[乳侧腋]|两[侧乳]|双边|左右|乳|腋|肿|钙化|结节|包块|囊性|病灶|病变|增生|增厚|不对称|异常|正常|无殊|致密|密度|扭曲"
    r"|淋巴|皮肤|腺体|纤维|脂肪|癌|恶性|良性|可疑|考虑|可能|建议|复查|随访|穿刺|活检|手术|切除|术后|消失|疼痛|胀痛|溢液"
    r"|触及|扪及|可及|自觉|自述|主诉|病史|既往|家族|临床|未[见诉及婚行做]|无|没有|否认|[可所仅另现并]见|见(?=[一多数散点片两])"
    r"|有(?=[肿结钙占异一多无])|因|性别|年龄|出生|住院|门诊|检查|诊断|印象|影像|所见|描述|结论|报告|审核|医[师生]|科室|床|电话|联系|患者|病人|患儿|受检者|姓名|签名|签字|技师|护士|家属"
    r"|地址|身份|女性|男性|女[,，\d\s]|男[,，\d\s]|中年|老年|青年|高龄|孕|哺乳|绝经|体检|超声|钼靶|摄影|摄片|象限|点钟|大小|边[缘界]"
    r"|类|级|BI-?RADS"
)


@lru_cache(maxsize=10_000)
def _kind_of(word: str) -> WordKind:
    parts = [word, *word.split("-")] if "-" in word else [word]
    if any(_FINDING.fullmatch(part) or any(pattern.search(part) for pattern in _READ) for part in parts):
        return "finding" if word not in _GRAMMAR else "grammar"
    if any(part in _GRAMMAR for part in parts):
        return "grammar"
    return "describing" if word in _DESCRIBING else ""


def kind_of_word(word: str) -> WordKind:
    """Return what a Latin word of a report is; upper and lower case alike."""
    return _kind_of(word.lower().rstrip(".'’-"))


def is_report_word(word: str) -> bool:
    """Return whether a Latin word belongs to a report rather than to a name."""
    return kind_of_word(word) != ""
