"""From stored words to values in which dense tissue is bright (PS3.3 C.7.6.3, C.11.1, C.11.2, C.8.11.3).

A word has at most 16 bits, so every value is computed once for each of the 65536 words, and the picture is looked up in
that table. The order: bits beyond Bits Stored removed (old files keep overlays there), sign, Modality LUT, VOI,
MONOCHROME1 inverted, padding dark.
"""

import numpy as np
from pydicom.dataset import Dataset
from scipy.special import expit

from system.imaging.dicom_file import text_of
from system.imaging.pixel_format import PixelFormat
from system.imaging.refused import ImageRefused, counted, quoted

BLOCK_ROWS = 64  # of a full-size picture looked up at a time: stays in the processor's cache
WORD = 1 << 16


def bright_values(
    words: np.ndarray, *, header: Dataset, pixels: PixelFormat, is_lossy: bool, for_processing: bool
) -> np.ndarray:
    """Return the picture as it is meant to be displayed: [rows, cols] float32, dense tissue bright.

    words: [rows, cols] uint8 or uint16

    Raises ImageRefused: no_signal (nothing but padding), for_processing, truncated (a broken LUT).
    """
    table = np.arange(1 << 8 * words.dtype.itemsize)
    stored = _stored(table, pixels=pixels, is_lossy=is_lossy)
    padding = _is_padding(table, stored, header=header, pixels=pixels)
    seen = _is_used(words, size=table.size) & ~padding
    values = _modality(stored.astype(np.float64), header=header)
    if for_processing:
        values = _attenuation(values, header=header)
    else:
        values = _voi(values, header=header, top=(1 << pixels.bits_stored) - 1)
    if not seen.any() or not np.isfinite(values[seen].astype(np.float32)).all():
        raise ImageRefused("no_signal", "every pixel is padding, or the header's scale leaves no finite value")
    if pixels.is_monochrome1 and not for_processing:
        values = values[seen].max() - values
    return _look_up(np.where(padding, values[seen].min(), values).astype(np.float32), words)


def _stored(table: np.ndarray, *, pixels: PixelFormat, is_lossy: bool) -> np.ndarray:
    """Return the stored value of each word [words] int64.

    Lossy decoders may exceed the stored bits, and removing bits would turn white to black: there the value is clipped.
    """
    full = 1 << pixels.bits_stored
    if is_lossy and not pixels.is_signed:
        return np.minimum(table, full - 1)
    stored = (table >> pixels.high_bit + 1 - pixels.bits_stored) & (full - 1)
    return stored - full * (stored >= full // 2) if pixels.is_signed else stored


def _is_used(words: np.ndarray, *, size: int) -> np.ndarray:
    """Return which words are in the picture [words] bool."""
    counts = np.zeros(size, np.int64)
    for top in range(0, len(words), BLOCK_ROWS):
        counts += np.bincount(words[top : top + BLOCK_ROWS].ravel(), minlength=size)
    return counts > 0


def _is_padding(table: np.ndarray, stored: np.ndarray, *, header: Dataset, pixels: PixelFormat) -> np.ndarray:
    """Return which words are padding [words] bool.

    Padding is Pixel Padding Value (0028,0120) to Pixel Padding Range Limit (0028,0121).
    """
    value, limit = (_whole_numbers(header, keyword)[:1] for keyword in ("PixelPaddingValue", "PixelPaddingRangeLimit"))
    if not value:
        return np.zeros(table.size, bool)
    ends = [_wrapped(end, is_signed=pixels.is_signed) for end in value + limit]
    # old files pad with a word that does not fit into Bits Stored
    return ((min(ends) <= stored) & (stored <= max(ends))) | (table == value[0] % (1 << pixels.bits_allocated))


def _modality(values: np.ndarray, *, header: Dataset) -> np.ndarray:
    """Return values after the Modality LUT (0028,3000) or Rescale Slope and Intercept (0028,1053), (0028,1052)."""
    if item := _lut_item(header, "ModalityLUTSequence"):
        return _through_lut(values, item=item)
    slope, intercept = _number(header, "RescaleSlope", default=1.0), _number(header, "RescaleIntercept", default=0.0)
    return values * slope + intercept


def _voi(values: np.ndarray, *, header: Dataset, top: int) -> np.ndarray:
    """Return values after the first VOI LUT (0028,3010), else after the first window, spread over 0 to top.

    Unchanged without either. A window without a positive width, as in headers that were not filled in, is no window.
    """
    if item := _lut_item(header, "VOILUTSequence"):
        return _through_lut(values, item=item)
    center, width = _number(header, "WindowCenter", default=np.nan), _number(header, "WindowWidth", default=np.nan)
    if not np.isfinite(center) or not 0 < width < np.inf:
        return values
    match text_of(header, "VOILUTFunction"):
        case "SIGMOID":
            return top * expit(4 * (values - center) / width)
        case "LINEAR_EXACT":
            return top * np.clip((values - center) / width + 0.5, 0, 1)
        case _:  # LINEAR is what an absent VOI LUT Function (0028,1056) means; a width of 1 is a step
            return top * np.clip((values - (center - 0.5)) / max(width - 1, 1e-6) + 0.5, 0, 1)


def _attenuation(values: np.ndarray, *, header: Dataset) -> np.ndarray:
    """Return raw detector values, inverted where necessary so that tissue is bright (PS3.3 C.8.11.3.1.2).

    Pixel Intensity Relationship Sign (0028,1041): 1 = more X-ray, larger value; -1 = more X-ray, smaller value. Where
    more X-ray arrives, there is less or fattier tissue, which must be dark.

    Pixel Intensity Relationship (0028,1040): LIN is linear in X-ray intensity, and its logarithm is taken because
    absorption is exponential; LOG is that logarithm.

    Photometric Interpretation and windows are not used.
    """
    relationship = text_of(header, "PixelIntensityRelationship")
    signs = _whole_numbers(header, "PixelIntensityRelationshipSign")
    sign = _wrapped(signs[0], is_signed=True) if signs else 0
    if relationship not in ("LIN", "LOG") or sign not in (1, -1):
        raise ImageRefused(
            "for_processing",
            f"Pixel Intensity Relationship (0028,1040) is {quoted(relationship, known=('LIN', 'LOG', 'DISP'))}, "
            f"Sign (0028,1041) {counted(sign)}: "
            "expected LIN or LOG, 1 or -1",
        )
    intensity = values if sign == 1 else values.max() - values
    return -np.log(np.maximum(intensity, 0) + 1) if relationship == "LIN" else -intensity


def _lut_item(header: Dataset, keyword: str) -> Dataset | None:
    """Return the first item of a sequence of tables; None where there is none, or it has no data: that is no table."""
    sequence = header.get(keyword)
    return sequence[0] if sequence and sequence[0].get("LUTData") not in (None, "", b"") else None


def _through_lut(values: np.ndarray, *, item: Dataset) -> np.ndarray:
    """Return values looked up in a table (PS3.3 C.11.1.1): LUT Descriptor (0028,3002) and LUT Data (0028,3006).

    Values outside the table get its first or last entry.
    """
    num_entries, first, _ = _whole_numbers(item, "LUTDescriptor")
    num_entries = num_entries % WORD or WORD
    lut = _lut_data(item, num_entries=num_entries)
    places = np.clip(np.rint(values) - _wrapped(first, is_signed=values.min() < 0), 0, num_entries - 1)
    return lut[places.astype(np.int64)].astype(np.float64)


def _lut_data(item: Dataset, *, num_entries: int) -> np.ndarray:
    """Return the entries [num_entries]; 8-bit entries may come packed two to a word."""
    data = item["LUTData"].value
    if isinstance(data, bytes):
        lut = np.frombuffer(data, np.uint8 if len(data) < 2 * num_entries else "<u2")
    else:
        lut = np.atleast_1d(np.asarray(data, dtype=np.int64)) % WORD
    if lut.size < num_entries:
        raise ImageRefused("truncated", f"a lookup table has {lut.size} entries, its descriptor has {num_entries}")
    return lut[:num_entries]


def _look_up(table: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Return table[words], [rows, cols] float32, in blocks of rows."""
    picture = np.empty(words.shape, np.float32)
    for top in range(0, len(words), BLOCK_ROWS):
        np.take(table, words[top : top + BLOCK_ROWS], out=picture[top : top + BLOCK_ROWS], mode="clip")
    return picture


def _number(header: Dataset, keyword: str, *, default: float) -> float:
    """Return the first value of a decimal string (DS); the default where there is none."""
    value = header.get(keyword)
    first = value[0] if value is not None and not isinstance(value, str | int | float) and len(value) else value
    return default if first is None or first == "" else float(str(first))


def _whole_numbers(dataset: Dataset, keyword: str) -> list[int]:
    """Return an element of VR US or SS, empty when absent; pydicom leaves bytes where the VR is ambiguous."""
    value = dataset.get(keyword)
    if isinstance(value, bytes):
        return np.frombuffer(value[: len(value) // 2 * 2], "<u2").tolist()
    if value is None or value == "":
        return []
    return [int(value)] if isinstance(value, int) else [int(number) for number in value]


def _wrapped(number: int, *, is_signed: bool) -> int:
    """Return a 16-bit number as signed or unsigned, whatever its VR in the file."""
    return (number + WORD // 2) % WORD - WORD // 2 if is_signed else number % WORD
