"""Names of files as text that everything can show."""

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from system.files.names import is_utf8, readable


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"\xd3\xf1\xff.dcm", r"\xd3\xf1\xff.dcm"),  # GBK
        (b"J\xe9r\xf4me/1.dcm", r"J\xe9r\xf4me/1.dcm"),  # Latin-1
        ("Jérôme 王小明.dcm".encode(), "Jérôme 王小明.dcm"),
        (b"two\nlines\r\x00.dcm", r"two\x0alines\x0d\x00.dcm"),
        (b"\x1b]0;title\x07\x1b[31mred.dcm", r"\x1b]0;title\x07\x1b[31mred.dcm"),
        ("\u202egnp.mcd".encode(), r"\u202egnp.mcd"),
        ("\U000e0041.dcm".encode(), r"\U000e0041.dcm"),
    ],
)
def test_what_cannot_be_seen_is_an_escape_and_all_else_stays(name: bytes, shown: str) -> None:
    assert readable(os.fsdecode(name)) == shown


@given(st.binary(max_size=40))
def test_every_name_can_be_written_as_json_and_as_one_line(name: bytes) -> None:
    shown = readable(os.fsdecode(name))
    assert json.loads(json.dumps(shown, ensure_ascii=False).encode("utf8")) == shown
    assert len(shown.splitlines()) <= 1
    assert is_utf8(shown)


@given(st.binary(max_size=8))
def test_a_name_is_utf8_when_its_bytes_are(name: bytes) -> None:
    try:
        name.decode("utf8")
    except UnicodeDecodeError:
        assert not is_utf8(os.fsdecode(name))
    else:
        assert is_utf8(os.fsdecode(name))
