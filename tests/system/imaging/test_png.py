"""PNG bytes and back."""

import io

import numpy as np
import pytest
from PIL import Image

from system.imaging import decode_png, encode_png


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_an_array_comes_back_as_it_went_in(dtype: type[np.unsignedinteger]) -> None:
    array = np.random.default_rng(0).integers(0, np.iinfo(dtype).max + 1, (7, 11)).astype(dtype)

    back = decode_png(encode_png(array))

    assert back.dtype == dtype
    np.testing.assert_array_equal(back, array)


def test_equal_arrays_give_equal_bytes_whatever_their_memory_layout() -> None:
    array = np.arange(35, dtype=np.uint16).reshape(5, 7)

    assert encode_png(np.asfortranarray(array)) == encode_png(array)


@pytest.mark.parametrize("array", [np.zeros((4, 4), np.float32), np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), bool)])
def test_what_is_not_a_gray_integer_picture_is_refused_with_its_type_and_shape(array: np.ndarray) -> None:
    with pytest.raises(ValueError, match=f"found {array.dtype}"):
        encode_png(array)


def test_a_png_in_colour_is_refused() -> None:
    file = io.BytesIO()
    Image.new("RGB", (3, 3)).save(file, format="PNG")

    with pytest.raises(ValueError, match="mode RGB"):
        decode_png(file.getvalue())
