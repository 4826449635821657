"""The codes under which files are kept out of an archive, as its quarantine names them."""

CODES = frozenset(
    {"ambiguous", "crash", "for_processing", "mask_empty", "mask_size", "memory", "missing_id", "modality"}
    | {"multiframe", "no_pixels", "no_signal", "no_truth", "not_dicom", "not_found", "not_gray", "not_image"}
    | {"pixel_size", "side_conflict", "superseded", "timeout", "too_large", "transfer_syntax", "truncated"}
    | {"truth_unreadable", "uid_conflict", "unreadable", "view"}
)
