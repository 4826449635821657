"""Every Arrow schema of a run's files, in the order they are written; the archive's own are in archive/tables.py."""

import pyarrow as pa

# Both breasts of a study in one view: the unit of inference. No file; its rows travel to the predictors.
PAIRS = pa.schema(
    [
        ("pair_key", pa.int64()),  # xxh3 of study and view
        ("study_id", pa.string()),
        ("patient_id", pa.string()),
        ("view", pa.string()),
        ("left_id", pa.string()),  # "" where that breast is missing
        ("left_key", pa.int64()),  # 0 where that breast is missing
        ("left_sha", pa.string()),
        ("right_id", pa.string()),
        ("right_key", pa.int64()),
        ("right_sha", pa.string()),
    ]
)

# round_NN/predictions and SYSTEM/held_out, part_000000.parquet and so on: one row per image of the pairs.
PREDICTIONS = pa.schema(
    [
        ("image_key", pa.int64()),
        ("image_id", pa.string()),
        ("study_id", pa.string()),
        ("side", pa.string()),
        ("view", pa.string()),
        ("pixel_sha", pa.string()),  # of the pixels that were looked at
        ("other_sha", pa.string()),  # of the other breast's, looked at beside it; "" where it is missing
        ("score", pa.float32()),  # highest probability of a kept candidate, 0 where there is none
        ("peak", pa.float32()),  # highest probability of the whole map
        ("p_image", pa.float32()),  # classification branch, 0 to 1
        ("entropy", pa.float32()),  # of the map, mean bits a cell, 0 to 1
        ("mask_area_px", pa.int32()),  # pixels of the binary mask M_b; 0 = mask −
        ("crf_removed", pa.float32()),  # largest share of a component that the CRF took away, 0 to 1
        ("candidates", pa.string()),  # JSON list of records.Candidate as dicts
        ("map_png", pa.binary()),  # M_p at stride 4, as maps.encode_map writes it; null where not kept
        ("mask_png", pa.binary()),  # M_b at stride 4, as maps.encode_mask writes it; null where the mask is empty
        ("map_rows", pa.int32()),
        ("map_cols", pa.int32()),
        ("error", pa.string()),  # null, or why this pair could not be read
    ]
)

# round_NN/pools, outlined.parquet: weak images in which a radiologist has outlined a mass; they train as annotated.
OUTLINED = pa.schema(
    [
        ("image_key", pa.int64()),
        ("mask_sha", pa.string()),
    ]
)

# round_NN/pools, pool_step_1.arrow and so on: the weak images that train with one p0.
POOL = pa.schema(
    [
        ("image_key", pa.int64()),
        ("image_id", pa.string()),
        ("quadrant", pa.uint8()),  # records.Quadrant, TP, FP or FN
        ("p_mass", pa.float32()),  # probability of a mass by the report, 0 to 1
        ("score", pa.float32()),  # highest probability of a kept candidate, 0 to 1
        ("disputed", pa.bool_()),  # FP that the map is surer of than of half of TP, and nobody has judged
        ("map_png", pa.binary()),  # M_p at stride 4, null but for TP
        ("mask_png", pa.binary()),  # M_b at stride 4, null but for TP
    ]
)

# SYSTEM/froc, images.parquet: the images that were evaluated.
IMAGES = pa.schema(
    [
        ("image_id", pa.string()),
        ("patient_id", pa.string()),
        ("view", pa.string()),  # as in the archive, like the next two
        ("density", pa.string()),
        ("source", pa.string()),
        ("num_lesions", pa.int32()),
        ("dice", pa.float64()),  # of the map at the mask threshold with the truth; NaN without a lesion
        ("p_image", pa.float64()),  # classification branch, 0 to 1; NaN where it was never trained
        ("peak", pa.float64()),  # highest probability of the map, 0 to 1
        ("error", pa.bool_()),  # could not be read
    ]
)

# SYSTEM/froc, lesions.parquet: what was to be found.
LESIONS = pa.schema(
    [
        ("image_id", pa.string()),
        ("lesion", pa.int32()),  # number within the image, as candidates name it
        ("area_px", pa.int64()),  # canonical
        ("diameter_mm", pa.float64()),  # of the circle of equal area; 0 where the spacing is not known
    ]
)

# SYSTEM/froc, candidates.parquet: what was marked, and whether it found a lesion.
CANDIDATES = pa.schema(
    [
        ("image_id", pa.string()),
        ("score", pa.float64()),  # highest probability inside, 0 to 1
        ("x0", pa.int32()),  # canonical px, half open, like the next three
        ("y0", pa.int32()),
        ("x1", pa.int32()),
        ("y1", pa.int32()),
        ("area_px", pa.int64()),
        ("outcome", pa.string()),  # TP, FP, duplicate
        ("lesion", pa.int32()),  # found, or overlapped most by a duplicate: number within the image; -1 for an FP
        ("nearest_lesion", pa.int32()),  # of highest IoU, also below the limit of a hit; -1 where it touches none
        ("iou", pa.float64()),  # with `lesion`, of an FP with `nearest_lesion`
    ]
)

# SYSTEM/froc, cuts.parquet: the second mode by patient. Rows are left out where nothing changes.
CUTS = pa.schema(
    [
        ("patient_id", pa.string()),
        ("level", pa.float64()),  # at which the maps are cut, 0 to 1
        ("found", pa.int64()),  # lesions found more than at the level above; negative where one is lost again
        ("false", pa.int64()),  # false positives, likewise
    ]
)
