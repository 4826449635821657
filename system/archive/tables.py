"""The archive's tables: one Arrow schema for each, and the columns that make a row unique."""

import pyarrow as pa

_TEXT, _INT, _FLOAT = pa.string(), pa.int32(), pa.float32()

SCHEMAS: dict[str, pa.Schema] = {
    "images": pa.schema(
        [
            ("image_id", _TEXT),  # keyed hash
            ("image_key", pa.int64()),  # xxh3 of image_id
            ("patient_id", _TEXT),  # keyed hash
            ("study_id", _TEXT),  # keyed hash
            ("side", _TEXT),  # L, R
            ("view", _TEXT),  # CC, MLO
            ("density", _TEXT),  # ACR a (fatty) to d (extremely dense); "" where the source does not give it
            ("rows", _INT),  # canonical height, px
            ("cols", _INT),  # canonical width, px
            ("spacing_mm", _FLOAT),  # of a canonical pixel; 0 where the source does not give it
            ("geometry", _TEXT),  # JSON of imaging.Geometry: the way back to the source frame
            ("pixel_sha", _TEXT),  # sha256 of the canonical pixels: names the file in the pixel store
            ("source", _TEXT),  # layout it came from: dicom, mini-mias, …
            ("split", _TEXT),  # records.Split
        ]
    ),
    "masks": pa.schema([("image_id", _TEXT), ("mask_sha", _TEXT), ("num_lesions", _INT), ("area_px", _INT)]),
    "reports": pa.schema(
        [
            ("study_id", _TEXT),
            ("version", _INT),
            ("status", _TEXT),  # final, corrected, withdrawn
            ("language", _TEXT),  # zh, en, …
            ("description", _TEXT),
            ("impression", _TEXT),
            ("source", _TEXT),  # hospital, phantom, generated
        ]
    ),
    "labels": pa.schema(
        [
            ("study_id", _TEXT),
            ("side", _TEXT),
            ("p_mass", _FLOAT),  # null: withdrawn, or no side is named
            ("model", _TEXT),  # version of the report models, and how it was made: mean, held-out, rules, no-side, …
            ("report_version", _INT),  # of the report that was read
        ]
    ),
    "verdicts": pa.schema(
        [
            ("image_id", _TEXT),
            ("verdict", _TEXT),  # mass, no mass, unsure
            ("mask_sha", _TEXT),  # of the outline in the canonical view; "" = none was drawn
            ("reader", _TEXT),  # the radiologist
            ("at", _TEXT),  # ISO 8601, UTC
            ("why", _TEXT),  # why the image was given to the reader: review.Why
            ("pixel_sha", _TEXT),  # of the picture that was judged; null where this was not kept yet
        ]
    ),
    # the registry's ledger: rows of continuous.registry.Entry
    "models": pa.schema(
        [
            ("entry", _TEXT),  # its number, from 000001
            ("at", _TEXT),  # ISO 8601, UTC
            ("event", _TEXT),
            ("model", _TEXT),  # beginning of the sha256 of its weights
            ("by", _TEXT),
            ("why", _TEXT),
            ("lineage", _TEXT),  # JSON, of the entry that registers it; ""
        ]
    ),
    # the result of every file that was read, so that none is read twice; rows of archive.intake.Intake
    "files": pa.schema(
        [
            ("source", _TEXT),  # keyed hash of the file's place
            ("stamp", _TEXT),  # keyed hash of its size, its time and its entry in the source's tables
            ("folder", _TEXT),  # keyed hash of the source's folder; null where it was read before this was kept
            ("code", _TEXT),  # why it cannot be used; "" = it can
            ("detail", _TEXT),
            ("image_id", _TEXT),
            ("patient_id", _TEXT),
            ("patient_known", pa.bool_()),
            ("birth", _TEXT),  # keyed hash of the birth date; "" where none is given
            ("study_id", _TEXT),
            ("side", _TEXT),
            ("view", _TEXT),
            ("density", _TEXT),
            ("spacing_mm", pa.float64()),
            ("geometry", _TEXT),
            ("pixel_sha", _TEXT),
            ("layout", _TEXT),
            ("split", _TEXT),  # given by the source
            ("has_truth", pa.bool_()),
            ("num_masses", _INT),
            ("mask_sha", _TEXT),
            ("num_lesions", _INT),
            ("area_px", _INT),
        ]
    ),
    "quarantine": pa.schema([("source", _TEXT), ("code", _TEXT), ("detail", _TEXT)]),
}

KEYS: dict[str, tuple[str, ...]] = {
    "images": ("image_id",),
    "masks": ("image_id",),
    "reports": ("study_id", "version"),
    "labels": ("study_id", "side"),
    "verdicts": ("image_id", "at"),
    "models": ("entry",),
    "files": ("source",),
    "quarantine": ("source",),
}
