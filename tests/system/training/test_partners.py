"""Training looks at an image beside the same other breast as inference, whatever was taken twice."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from system.archive import num_repeats, pair_table
from system.archive.tables import SCHEMAS
from system.records import Split, image_key
from system.training.samples import make_index

SPLITS = list(Split)


@st.composite
def archives(draw: st.DrawFn) -> pa.Table:
    """Return rows of `images`: breasts taken up to three times, studies in which two patients are mixed."""
    patients, studies = st.sampled_from("pqr"), st.sampled_from("stu")
    shown = st.tuples(patients, studies, st.sampled_from("LR"), st.sampled_from(["CC", "MLO"]))
    names = draw(st.permutations(range(12)))
    rows = []
    for name, (patient, study, side, view) in zip(names, draw(st.lists(shown, max_size=12)), strict=False):
        image_id = f"i{name}"
        known = {"image_id": image_id, "image_key": image_key(image_id), "pixel_sha": f"sha of {image_id}"}
        split = SPLITS[ord(patient) % len(SPLITS)]
        known |= {"patient_id": patient, "study_id": study, "side": side, "view": view, "split": split.value}
        rows.append(dict.fromkeys(SCHEMAS["images"].names) | known)
    return pa.Table.from_pylist(rows, schema=SCHEMAS["images"])


def partners_in_inference(images: pa.Table) -> dict[int, str]:
    """Return what each image is looked at beside when the patients of each split are inferred by themselves."""
    found: dict[int, str] = {}
    for split in SPLITS:
        of_split = images.filter(pa.array([each == split for each in images["split"].to_pylist()], pa.bool_()))
        for pair in pair_table(of_split).to_pylist():
            for one, other in (("left", "right"), ("right", "left")):
                if pair[f"{one}_sha"]:
                    assert pair[f"{one}_key"] not in found, "an image is in two pairs"
                    found[pair[f"{one}_key"]] = pair[f"{other}_sha"]
    return found


@given(archives())
def test_the_partner_in_training_is_the_partner_in_inference(images: pa.Table) -> None:
    count = len(images)
    rows = pa.table(
        {
            "image_key": images["image_key"],
            "role": pa.array([0] * count, pa.uint8()),
            "p_mass": pa.array([1.0] * count, pa.float32()),
            "mask_sha": pa.array([""] * count, pa.string()),
            "map_png": pa.nulls(count, pa.binary()),
        }
    )
    index = make_index(rows, images)
    trained = dict(zip(index.image_key.tolist(), index.auxiliary_sha, strict=True))
    assert trained == partners_in_inference(images)


@given(archives())
def test_a_partner_is_the_other_breast_of_the_same_patient_study_and_view_and_partners_each_other(
    images: pa.Table,
) -> None:
    by_sha = {row["pixel_sha"]: row for row in images.to_pylist()}
    found = partners_in_inference(images)
    for row in images.to_pylist():
        if sha := found[row["image_key"]]:
            other = by_sha[sha]
            assert [row[name] == other[name] for name in ("patient_id", "study_id", "view", "side")] == [
                True,
                True,
                True,
                False,
            ]
            assert found[other["image_key"]] == row["pixel_sha"]


@given(archives())
def test_repeats_are_what_is_left_when_each_breast_is_counted_once_a_view(images: pa.Table) -> None:
    shown = {(row["patient_id"], row["study_id"], row["side"], row["view"]) for row in images.to_pylist()}
    assert num_repeats(images) == len(images) - len(shown)
