"""Chinese wordings of mammography reports."""

from system.phantom.phrases import Phrases
from system.phantom.truth import MassShape, Region
from system.records import Side

CHINESE = Phrases(
    joiner="",
    sides={Side.LEFT: ("左乳", "左乳", "左侧乳腺", "左乳腺"), Side.RIGHT: ("右乳", "右乳", "右侧乳腺", "右乳腺")},
    regions={
        Region.UPPER_OUTER: ("外上象限", "外上"),
        Region.UPPER_INNER: ("内上象限", "内上"),
        Region.LOWER_OUTER: ("外下象限", "外下"),
        Region.LOWER_INNER: ("内下象限", "内下"),
        Region.UNKNOWN: ("",),
    },
    shapes={
        MassShape.CIRCUMSCRIBED: ("边界清楚的类圆形", "边缘光滑的卵圆形", "边界清晰的圆形", "界清等密度"),
        MassShape.SPICULATED: ("边缘毛刺状的不规则", "伴毛刺的高密度", "呈星芒状的不规则", "不规则形、边缘可见毛刺的"),
        MassShape.ILL_DEFINED: ("边界不清的", "边缘模糊的不规则", "边界欠清的稍高密度", "部分边缘被遮蔽的"),
    },
    densities={
        "a": ("双侧乳腺呈脂肪型（ACR a类）。", "双乳以脂肪组织为主。"),
        "b": ("双侧乳腺呈散在纤维腺体型（ACR b类）。", "双乳散在纤维腺体。"),
        "c": ("双侧乳腺呈不均匀致密型，可能遮蔽小肿块（ACR c类）。", "双乳腺体呈不均匀致密。"),
        "d": ("双侧乳腺呈极度致密型（ACR d类）。", "双乳腺体极度致密，敏感性降低。"),
    },
    opening=("双乳CC位及MLO位摄片。", "与前片比较。", "无既往片对照。", "双侧乳腺钼靶摄影。", "", ""),
    size=("大小约{millimetres}mm", "直径约{millimetres}mm", "长径约{millimetres}毫米"),
    mass=(
        "{side}{region}见一{shape}肿块，{size}。",
        "{side}{region}可见{shape}肿块影，{size}。",
        "{side}{region}{shape}肿物，{size}。",
        "{side}{region}新见一{shape}结节状肿块，{size}，CC位及MLO位均可见。",
        "{side}{region}可疑{shape}肿块，{size}。",
        "{side}{region}可见一枚{shape}团块影，{size}。",
    ),
    mass_unlike_other=(
        "{other}较前无明显变化，{side}{region}见{shape}肿块，{size}。",
        "{other}同前，{side}{region}{shape}肿块，{size}。",
        "{other}未见明显肿块，{side}{region}可见{shape}肿块影，{size}。",
        "{side}{region}见{shape}肿块，{size}，{other}未见。",
        "与{other}相比，{side}{region}不对称，见一{shape}肿块，{size}，{other}内无肿块。",
    ),
    mass_both=(
        "双乳见多发肿块，较大者位于{side}{region}，{shape}，{size}。",
        "双侧乳腺均见肿块，大者位于{side}{region}，呈{shape}肿块，{size}。",
        "两侧乳腺内可见肿块影，{side}{region}者较大，{size}。",
    ),
    no_mass=(
        "{side}未见明显肿块。",
        "{side}内未见明确肿块影及结构扭曲。",
        "{side}未见确切占位。",
        "{side}未发现肿块。",
        "{side}未见异常。",
        "{side}较前片无明显变化，无肿块。",
    ),
    no_mass_both=(
        "双乳未见明显肿块及可疑钙化。",
        "双侧乳腺内未见明确肿块影。",
        "双乳未见异常，未见肿块。",
        "左、右乳均未见明显肿块、结构扭曲。",
        "双乳较前无明显变化，未见新发肿块。",
    ),
    mass_removed=(
        "{side}肿块切除术后改变，术区未见复发征象。",
        "{side}原肿块已切除，现未见肿块。",
        "{side}保乳术后，未见明确残留肿块。",
        "{side}可疑肿块经局部加压摄影后消失，考虑腺体重叠。",
    ),
    calcifications=(
        "{side}见散在良性钙化。",
        "{side}见成簇点状钙化，良性可能。",
        "{side}少许圆形钙化灶。",
        "{side}可见血管壁钙化。",
    ),
    lymph_node=("{side}腋前见正常形态淋巴结。", "{side}腋下可见淋巴结影，可见脂肪门。", "{side}腋下小淋巴结，无肿大。"),
    asymmetry=(
        "{side}局灶性不对称致密，未见明确肿块。",
        "{side}局部腺体不对称，考虑正常变异。",
        "{side}局限性致密影，无明确肿块形成。",
    ),
    closing=("皮肤及乳头未见异常。", "皮肤无增厚，乳头无凹陷。", "双侧腋下未见肿大淋巴结。", "", ""),
    concluding_mass=(
        "{side}{region}肿块，考虑恶性可能，BI-RADS {category}类。",
        "{side}肿块，BI-RADS {category}类。",
        "{side}{region}占位性病变，BI-RADS {category}。",
        "{side}{region}结节（肿块），BI-RADS：{category}类。",
    ),
    concluding_mass_hedged=(
        "{side}{region}可疑肿块，不除外恶性，BI-RADS {category}类。",
        "{side}肿块可能，请结合超声，BI-RADS {category}类。",
        "{side}{region}肿块，纤维腺瘤可能，囊肿待排，BI-RADS {category}类。",
    ),
    concluding_side=(
        "{side}BI-RADS {category}类。",
        "{side}未见恶性征象，BI-RADS {category}类。",
        "{side}未见肿块，BI-RADS {category}类。",
    ),
    concluding_both=(
        "双乳未见恶性征象，BI-RADS {category}类。",
        "双乳BI-RADS {category}类，建议定期复查。",
        "双乳良性改变，无肿块，BI-RADS {category}类。",
        "双乳未见明显肿块，BI-RADS {category}类。",
    ),
    sideless_mass=(
        "见{shape}肿块，{size}，BI-RADS {category}类。",
        "{shape}肿块影，{size}，建议穿刺活检，BI-RADS {category}类。",
    ),
    sideless_none=("未见明显肿块，BI-RADS 1类。", "摄片未见异常，BI-RADS 1类，建议定期复查。"),
    advice=("建议穿刺活检。", "建议超声检查。", "建议加摄局部加压片。", "建议短期随访。", ""),
)
