"""From stored words to values in which dense tissue is bright; expected values computed from PS3.3."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian

from system.imaging import DicomConfig, ImageRefused, read_dicom

STORED = np.arange(48, dtype=np.uint16).reshape(8, 6) * 80
FEW = np.array([[0, 1, 2, 3], [100, 1000, 2000, 4095]], np.uint16)
RAW = DicomConfig(allow_for_processing=True)


def lut(first: int, data: Sequence[int], *, bits: int = 16, entries: int | None = None) -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [len(data) if entries is None else entries, first, bits])
    item.add_new("LUTData", "US", list(data))
    return item


def pixels_of(path: Path, **config: Any) -> np.ndarray:
    return read_dicom(path, config=DicomConfig(**config)).pixels


def code_of(path: Path, **config: Any) -> str:
    with pytest.raises(ImageRefused) as refused:
        pixels_of(path, **config)
    return refused.value.code


def test_without_window_the_values_are_the_stored_ones(write: Callable[..., Path]) -> None:
    np.testing.assert_array_equal(pixels_of(write()), STORED)


def test_monochrome1_is_inverted_so_that_dense_tissue_is_bright(write: Callable[..., Path]) -> None:
    pixels = pixels_of(write(PhotometricInterpretation="MONOCHROME1"))

    np.testing.assert_array_equal(pixels, STORED.max() - STORED.astype(float))


def test_of_several_windows_the_first_is_applied(write: Callable[..., Path]) -> None:
    pixels = pixels_of(write(WindowCenter=[2000, 100], WindowWidth=[1000, 10]))

    # PS3.3 C.11.2.1.2.1: clipped at 0 and 4095 outside 2000 - 0.5 +- 499.5, linear between
    np.testing.assert_allclose(pixels, np.clip(((STORED - 1999.5) / 999 + 0.5) * 4095, 0, 4095), atol=0.01)


def test_a_linear_window_is_off_by_half_a_value_from_an_exact_one(write: Callable[..., Path]) -> None:
    linear = pixels_of(write(stored=FEW, WindowCenter=2, WindowWidth=2))
    exact = pixels_of(write(stored=FEW, WindowCenter=2, WindowWidth=2, VOILUTFunction="LINEAR_EXACT"))

    # linear: 0 up to 1.0, top from 2.0 on; exact: 0 up to 1, half at 2, top from 3 on
    np.testing.assert_allclose(linear[0], [0, 0, 4095, 4095], atol=0.01)
    np.testing.assert_allclose(exact[0], [0, 0, 2047.5, 4095], atol=0.01)


def test_a_linear_window_of_width_one_is_a_step(write: Callable[..., Path]) -> None:
    np.testing.assert_allclose(pixels_of(write(stored=FEW, WindowCenter=2, WindowWidth=1))[0], [0, 0, 4095, 4095])


def test_a_sigmoid_window_is_half_at_its_center(write: Callable[..., Path]) -> None:
    pixels = pixels_of(write(stored=FEW, WindowCenter=1000, WindowWidth=4000, VOILUTFunction="SIGMOID"))

    # PS3.3 C.11.2.1.3.1: 4095 / (1 + exp(-4 (x - 1000) / 4000)); at 2000 that is 4095 / (1 + 1 / e)
    assert pixels[1, 1] == pytest.approx(2047.5)
    assert pixels[1, 2] == pytest.approx(4095 * 0.731059, rel=1e-5)


@pytest.mark.parametrize("width", [0, -5])
def test_a_window_that_was_never_filled_in_is_none(write: Callable[..., Path], width: int) -> None:
    np.testing.assert_array_equal(pixels_of(write(WindowCenter=0, WindowWidth=width)), STORED)


def test_inversion_comes_after_the_window(write: Callable[..., Path]) -> None:
    bright = pixels_of(write(WindowCenter=2000, WindowWidth=1000))
    dark = pixels_of(write(WindowCenter=2000, WindowWidth=1000, PhotometricInterpretation="MONOCHROME1"))

    np.testing.assert_allclose(dark, 4095 - bright, atol=0.01)


def test_a_voi_table_comes_before_windows_and_its_ends_hold_beyond_it(write: Callable[..., Path]) -> None:
    path = write(stored=FEW, VOILUTSequence=[lut(1, [10, 30, 50]), lut(0, [7])], WindowCenter=2000, WindowWidth=1000)

    np.testing.assert_array_equal(pixels_of(path), [[10, 10, 30, 50], [50, 50, 50, 50]])


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_a_table_in_an_implicit_file_is_read_with_every_vr_of_its_numbers(
    write: Callable[..., Path], photometric: str
) -> None:
    path = write(
        stored=FEW,
        transfer_syntax=ImplicitVRLittleEndian,
        VOILUTSequence=[lut(1, [10, 30, 50])],
        PhotometricInterpretation=photometric,
    )

    expected = np.array([[10, 10, 30, 50], [50, 50, 50, 50]])
    np.testing.assert_array_equal(pixels_of(path), expected if photometric == "MONOCHROME2" else 50 - expected)


def test_a_table_of_packed_bytes_is_read(write: Callable[..., Path]) -> None:
    item = lut(0, [1])
    item.LUTDescriptor = [4, 0, 8]
    item.add_new("LUTData", "OW", bytes([9, 8, 7, 6]))

    np.testing.assert_array_equal(pixels_of(write(stored=FEW, VOILUTSequence=[item]))[0], [9, 8, 7, 6])


def test_a_table_shorter_than_its_descriptor_is_refused(write: Callable[..., Path]) -> None:
    assert code_of(write(VOILUTSequence=[lut(0, [1, 2], entries=3)])) == "truncated"


def test_a_descriptor_of_zero_entries_means_all_of_sixteen_bits(write: Callable[..., Path]) -> None:
    item = lut(0, [1], entries=0)
    item.add_new("LUTData", "OW", np.arange(65536, dtype="<u2")[::-1].tobytes())

    np.testing.assert_array_equal(pixels_of(write(stored=FEW, VOILUTSequence=[item])), 65535 - FEW.astype(float))


def test_the_modality_table_comes_first(write: Callable[..., Path]) -> None:
    item = lut(0, [5, 6, 7, 8])
    item.ModalityLUTType = "US"
    path = write(stored=FEW, ModalityLUTSequence=[item], VOILUTSequence=[lut(5, [50, 60, 70, 80])])

    np.testing.assert_array_equal(pixels_of(path)[0], [50, 60, 70, 80])


def test_a_table_on_negative_values_counts_from_its_negative_first_value(write: Callable[..., Path]) -> None:
    path = write(stored=FEW, RescaleSlope=1, RescaleIntercept=-2, VOILUTSequence=[lut(-2, [1, 2, 3, 4])])

    np.testing.assert_array_equal(pixels_of(path)[0], [1, 2, 3, 4])


def test_values_are_rescaled_before_the_window(write: Callable[..., Path]) -> None:
    path = write(
        stored=FEW, RescaleSlope=2, RescaleIntercept=-1, WindowCenter=3, WindowWidth=4, VOILUTFunction="LINEAR_EXACT"
    )

    # -1, 1, 3, 5 in a window from 1 to 5
    np.testing.assert_allclose(pixels_of(path)[0], [0, 0, 2047.5, 4095], atol=0.01)


def test_bits_beyond_the_stored_ones_are_an_old_overlay_and_do_not_count(write: Callable[..., Path]) -> None:
    overlay = FEW | np.array([[0xF000], [0x1000]], np.uint16)

    np.testing.assert_array_equal(pixels_of(write(stored=overlay)), FEW)


def test_pixels_in_the_upper_bits_are_shifted_down(write: Callable[..., Path]) -> None:
    np.testing.assert_array_equal(pixels_of(write(stored=FEW << 4 | 9, HighBit=15)), FEW)


def test_signed_pixels_of_twelve_bits_are_negative_by_their_twelfth(write: Callable[..., Path]) -> None:
    stored = np.array([[0, 2047], [-1, -2048]], np.int16)
    masked = (stored & 0x0FFF).astype(np.int16)

    np.testing.assert_array_equal(pixels_of(write(stored=stored)), stored)
    np.testing.assert_array_equal(pixels_of(write(stored=masked)), stored)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, "1.2.840.10008.1.2.1"])
def test_padding_is_background_and_has_no_part_in_the_range(write: Callable[..., Path], syntax: str) -> None:
    path = write(stored=FEW, transfer_syntax=syntax, PixelPaddingValue=4095, PhotometricInterpretation="MONOCHROME1")

    # without the padding the range is 0 to 2000; 2000 inverted is 0, where the padding goes
    np.testing.assert_array_equal(pixels_of(path), [[2000, 1999, 1998, 1997], [1900, 1000, 0, 0]])


@pytest.mark.parametrize(("value", "limit"), [(2, 100), (100, 2)])
def test_a_range_of_padding_counts_with_both_its_ends_in_either_order(
    write: Callable[..., Path], value: int, limit: int
) -> None:
    stored = np.array([[1, 2, 50, 100, 101]], np.uint16)
    path = write(stored=stored, PixelPaddingValue=value, PixelPaddingRangeLimit=limit)

    np.testing.assert_array_equal(pixels_of(path), [[1, 1, 1, 1, 101]])


def test_padding_below_zero_is_found_in_signed_pixels(write: Callable[..., Path]) -> None:
    stored = np.array([[-2000, 5], [6, 7]], np.int16)

    np.testing.assert_array_equal(pixels_of(write(stored=stored, PixelPaddingValue=-2000)), [[5, 5], [6, 7]])


def test_padding_with_a_word_beyond_the_stored_bits_is_found(write: Callable[..., Path]) -> None:
    stored = np.array([[63536, 5], [63536 % 4096, 7]], np.uint16)

    np.testing.assert_array_equal(pixels_of(write(stored=stored, PixelPaddingValue=63536)), [[5, 5], [2096, 7]])


def test_a_picture_of_nothing_but_padding_has_no_signal(write: Callable[..., Path]) -> None:
    assert code_of(write(stored=np.full((8, 6), 9, np.uint16), PixelPaddingValue=9)) == "no_signal"


def test_a_scale_that_leaves_no_finite_value_has_no_signal(write: Callable[..., Path]) -> None:
    assert code_of(write(RescaleSlope="1e300", RescaleIntercept=0)) == "no_signal"


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize(
    ("relationship", "sign", "brightest", "darkest"),
    [("LIN", 1, 0, 4095), ("LOG", 1, 0, 4095), ("LIN", -1, 4095, 0), ("LOG", -1, 4095, 0)],
)
def test_raw_detector_values_are_turned_so_that_what_stops_x_rays_is_bright(
    write: Callable[..., Path], relationship: str, sign: int, brightest: int, darkest: int, photometric: str
) -> None:
    path = write(
        stored=FEW,
        PresentationIntentType="FOR PROCESSING",
        PixelIntensityRelationship=relationship,
        PixelIntensityRelationshipSign=sign,
        PhotometricInterpretation=photometric,
        WindowCenter=2,
        WindowWidth=2,
    )

    pixels = pixels_of(path, allow_for_processing=True)

    assert FEW.ravel()[pixels.argmax()] == brightest
    assert FEW.ravel()[pixels.argmin()] == darkest
    assert np.unique(pixels).size == FEW.size  # no window has cut anything off


def test_linear_detector_values_become_logarithms(write: Callable[..., Path]) -> None:
    linear = {
        "PresentationIntentType": "FOR PROCESSING",
        "PixelIntensityRelationship": "LIN",
        "PixelIntensityRelationshipSign": 1,
    }

    # half the intensity is the same step up everywhere: log 2
    pixels = pixels_of(write(stored=np.array([[1023, 511, 255]], np.uint16), **linear), allow_for_processing=True)

    np.testing.assert_allclose(np.diff(pixels[0]), np.log(2), rtol=1e-5)


@pytest.mark.parametrize(("relationship", "sign"), [("LIN", 0), ("DISP", 1), ("", -1)])
def test_raw_values_whose_bright_end_is_unknown_are_refused(
    write: Callable[..., Path], relationship: str, sign: int
) -> None:
    raw = {
        "PresentationIntentType": "FOR PROCESSING",
        "PixelIntensityRelationship": relationship,
        "PixelIntensityRelationshipSign": sign,
    }

    assert code_of(write(**raw), allow_for_processing=True) == "for_processing"
