"""English wordings of mammography reports."""

from system.phantom.phrases import Phrases
from system.phantom.truth import MassShape, Region
from system.records import Side

ENGLISH = Phrases(
    joiner=" ",
    sides={
        Side.LEFT: ("left breast", "left breast", "left side"),
        Side.RIGHT: ("right breast", "right breast", "right side"),
    },
    regions={
        Region.UPPER_OUTER: ("in the upper outer quadrant", "superolaterally"),
        Region.UPPER_INNER: ("in the upper inner quadrant", "superomedially"),
        Region.LOWER_OUTER: ("in the lower outer quadrant", "inferolaterally"),
        Region.LOWER_INNER: ("in the lower inner quadrant", "inferomedially"),
        Region.UNKNOWN: ("",),
    },
    shapes={
        MassShape.CIRCUMSCRIBED: (
            "circumscribed",
            "well-defined oval",
            "smoothly marginated round",
            "round, circumscribed",
        ),
        MassShape.SPICULATED: ("spiculated", "irregular spiculated", "high-density spiculated", "stellate"),
        MassShape.ILL_DEFINED: ("ill-defined", "indistinct", "irregular, partly obscured", "poorly marginated"),
    },
    densities={
        "a": ("The breasts are almost entirely fatty (ACR a).", "Fatty breasts."),
        "b": ("There are scattered areas of fibroglandular density (ACR b).", "Scattered fibroglandular tissue."),
        "c": (
            "The breasts are heterogeneously dense, which may obscure small masses (ACR c).",
            "Heterogeneously dense parenchyma.",
        ),
        "d": (
            "The breasts are extremely dense, which lowers the sensitivity of mammography (ACR d).",
            "Extremely dense breasts.",
        ),
    },
    opening=(
        "Bilateral CC and MLO views.",
        "Comparison is made with the previous examination.",
        "No prior studies are available for comparison.",
        "Screening mammogram, four standard views.",
        "",
        "",
    ),
    size=("measuring {millimetres} mm", "of about {millimetres} mm", "approximately {millimetres} mm across"),
    mass=(
        "In the {side} there is a {shape} mass {region} {size}.",
        "A {shape} mass {size} is seen in the {side} {region}.",
        "{side}: {shape} mass {region}, {size}.",
        "There is a new {shape} mass in the {side} {region} {size}.",
        "The {side} shows a {shape} nodular mass {region} {size}, seen on both views.",
        "Possible {shape} mass in the {side} {region} {size}.",
    ),
    mass_unlike_other=(
        "The {other} is unchanged; the {side} now shows a {shape} mass {region} {size}.",
        "{other} as before, {side} {shape} mass {region} {size}.",
        "No mass in the {other}, but in the {side} there is a {shape} mass {region} {size}.",
        "{side} {shape} mass {region} {size}, none in the {other}.",
        (
            "In contrast to the {other}, which is stable without a mass, "
            "the {side} contains a {shape} mass {region} {size}."
        ),
    ),
    mass_both=(
        "Bilateral masses, the largest in the {side} {region}, {shape}, {size}.",
        "There are masses in both breasts; the dominant one is {shape}, {region} of the {side} {size}.",
        "Both breasts contain masses. The largest, {shape}, lies in the {side} {region} {size}.",
    ),
    no_mass=(
        "No suspicious mass in the {side}.",
        "{side}: no mass, no architectural distortion.",
        "The {side} shows no dominant mass.",
        "No evidence of a mass in the {side}.",
        "The {side} is unremarkable.",
        "The {side} is unchanged from the prior study, without a mass.",
    ),
    no_mass_both=(
        "No suspicious mass, architectural distortion or suspicious calcification in either breast.",
        "There is no dominant mass in either breast.",
        "Both breasts are unremarkable. No mass is identified.",
        "Neither breast shows a suspicious mass.",
        "No significant change since the prior study; no new mass on either side.",
    ),
    mass_removed=(
        "Status post excision of a {side} mass; scar without evidence of recurrence.",
        "The previously described {side} mass has been removed; no residual mass.",
        "Postoperative change in the {side} after lumpectomy, no mass now.",
        "The questioned mass in the {side} resolves on spot compression and represents overlapping tissue.",
    ),
    calcifications=(
        "Scattered benign-appearing calcifications in the {side}.",
        "Grouped punctate calcifications in the {side}, probably benign.",
        "{side}: a few round calcifications.",
        "Vascular calcifications are noted in the {side}.",
    ),
    lymph_node=(
        "Normal-appearing axillary lymph node, {side}.",
        "A lymph node with a fatty hilum projects over the axilla, {side}.",
        "Small axillary lymph node adjacent to the {side}, not enlarged.",
    ),
    asymmetry=(
        "Focal asymmetry in the {side}, no discrete mass.",
        "Asymmetric glandular tissue in the {side}, likely normal variant.",
        "There is an asymmetric density in the {side} without a definite mass.",
    ),
    closing=(
        "Skin and nipples are normal.",
        "No skin thickening or nipple retraction.",
        "Axillae unremarkable.",
        "",
        "",
    ),
    concluding_mass=(
        "{side} mass {region}, suspicious for malignancy. BI-RADS {category}.",
        "Mass in the {side}, BI-RADS {category}.",
        "BI-RADS {category}: {side} mass {region}.",
        "{side} nodule as described, BI-RADS category {category}.",
    ),
    concluding_mass_hedged=(
        "Possible mass in the {side}, malignancy cannot be excluded. BI-RADS {category}.",
        "Questionable {side} mass, please correlate with ultrasound. BI-RADS {category}.",
        "{side}: probable fibroadenoma, differential includes a cyst. BI-RADS {category}.",
    ),
    concluding_side=(
        "{side}: BI-RADS {category}.",
        "No mammographic evidence of malignancy in the {side}, BI-RADS {category}.",
        "{side} negative for mass, BI-RADS {category}.",
    ),
    concluding_both=(
        "No mammographic evidence of malignancy. BI-RADS {category} bilaterally.",
        "BI-RADS {category}, both breasts. Routine screening.",
        "Benign findings only, no mass. BI-RADS {category}.",
        "Negative for mass on both sides. BI-RADS {category}.",
    ),
    sideless_mass=(
        "A {shape} mass {size}, BI-RADS {category}.",
        "Mass {size}, {shape}. Biopsy is recommended. BI-RADS {category}.",
    ),
    sideless_none=("No suspicious mass. BI-RADS 1.", "Normal mammogram, BI-RADS 1. Routine screening."),
    advice=(
        "Biopsy is recommended.",
        "Ultrasound is recommended.",
        "Additional views advised.",
        "Short-interval follow-up.",
        "",
    ),
)
