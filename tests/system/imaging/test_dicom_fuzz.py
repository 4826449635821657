"""Files with bytes changed at random are read or refused, never anything else.

The environment variable MAMMOLOOP_FUZZ_EXAMPLES is the number of files of each transfer syntax.
"""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, JPEG2000Lossless, RLELossless

from system.imaging import DicomConfig, ImageRefused, read_dicom

NUM_EXAMPLES = int(os.environ.get("MAMMOLOOP_FUZZ_EXAMPLES", "200"))
CAPS = DicomConfig(allow_for_processing=True, max_pixels=1_000_000, max_inflated_bytes=1_000_000)
CODES = {
    "not_dicom",
    "truncated",
    "no_pixels",
    "transfer_syntax",
    "pixel_size",
    "too_large",
    "multiframe",
    "modality",
    "view",
    "for_processing",
    "missing_id",
    "unreadable",
    "no_signal",
}
SYNTAXES = [ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, RLELossless, JPEG2000Lossless]


@pytest.fixture(scope="module")
def originals(make: Callable[..., Dataset], tmp_path_factory: pytest.TempPathFactory) -> dict[UID, bytes]:
    """Return a small valid file of each syntax, as bytes."""
    path = tmp_path_factory.mktemp("originals") / "a.dcm"
    stored = np.random.default_rng(0).integers(0, 4096, (32, 32)).astype(np.uint16)
    files = {}
    for syntax in SYNTAXES:
        dataset = make(
            stored=stored,
            WindowCenter=[2000, 1000],
            WindowWidth=[1000, 50],
            PixelPaddingValue=0,
            SpecificCharacterSet="GB18030",
        )
        if syntax.is_encapsulated:
            dataset.compress(syntax, generate_instance_uid=False)
        else:
            dataset.file_meta.TransferSyntaxUID = syntax
        dataset.save_as(path, enforce_file_format=True)
        files[syntax] = path.read_bytes()
    return files


@pytest.mark.parametrize("syntax", SYNTAXES)
@settings(max_examples=NUM_EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_mutated_file_is_read_or_refused_with_a_known_code(
    originals: dict[UID, bytes], tmp_path: Path, syntax: UID, data: st.DataObject
) -> None:
    content = bytearray(originals[syntax])
    start = data.draw(st.sampled_from([0, 128, len(content) - 200]))
    places = data.draw(st.lists(st.tuples(st.integers(start, len(content) - 1), st.integers(0, 255)), max_size=8))
    for place, value in places:
        content[place] = value
    cut = data.draw(st.integers(0, len(content) // 4))
    path = tmp_path / "a.dcm"
    path.write_bytes(content[: len(content) - cut] if data.draw(st.booleans()) else content)

    code, pixels = _outcome(path)

    assert code in CODES or np.isfinite(pixels).all()


def _outcome(path: Path) -> tuple[str, np.ndarray]:
    """Return the code of a refused file, or the pixels of one that was read."""
    try:
        return "", read_dicom(path, config=CAPS).pixels
    except ImageRefused as refused:
        return refused.code, np.zeros(0)
