"""Chinese on a page: which characters need a font, and the font that is cut to them."""

import base64
import io
from pathlib import Path

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTFont

from system.figures import han
from system.figures.han import embedded_font, han_in

LONG_AGO_S = 3_000_000_000  # since 1904, as fonts count: in 1999


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["Left breast, 3 mm: é – “mass”"], ""),
        (["左乳肿块。", "右乳肿块，"], "。乳右块左肿，"),
        (["３ｃｍ", "𠮷"], "３ｃｍ𠮷"),  # full-width, and beyond the first plane
        ([], ""),
    ],
)
def test_what_needs_a_chinese_font(texts: list[str], expected: str) -> None:
    assert han_in(texts) == expected


def make_font(path: Path, characters: str) -> Path:
    """Write a font with a square for each character."""
    pen = TTGlyphPen(None)
    for place in ((0, 0), (0, 500), (500, 500), (500, 0)):
        (pen.moveTo if place == (0, 0) else pen.lineTo)(place)
    pen.closePath()
    glyph = pen.glyph()
    names = [".notdef", *(f"uni{ord(char):04X}" for char in characters)]
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap({ord(char): f"uni{ord(char):04X}" for char in characters})
    builder.setupGlyf(dict.fromkeys(names, glyph))
    builder.setupHorizontalMetrics(dict.fromkeys(names, (600, 0)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Squares", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    builder.updateHead(modified=LONG_AGO_S)
    builder.font.recalcTimestamp = False
    builder.save(str(path))
    return path


@pytest.fixture
def font(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only font of the machine."""
    path = make_font(tmp_path / "NotoSansSC-Regular.otf", "左右乳肿块大小")
    monkeypatch.setattr("matplotlib.font_manager.findSystemFonts", lambda: [str(path)])
    monkeypatch.setattr(han, "PACKAGE", "no_such_package_of_fonts")
    return path


def test_the_font_has_the_pages_characters_and_no_other(font: Path) -> None:
    address = embedded_font("乳块")
    with TTFont(io.BytesIO(base64.b64decode(address.removeprefix("data:font/woff;base64,")))) as cut:
        assert cut.flavor == "woff"
        assert set(cut.getBestCmap() or {}) == {ord("乳"), ord("块")}


def test_the_same_characters_give_the_same_bytes(font: Path) -> None:
    address = embedded_font("乳块")
    assert embedded_font("乳块") == address
    with TTFont(io.BytesIO(base64.b64decode(address.removeprefix("data:font/woff;base64,")))) as cut:
        assert cut["head"].modified == LONG_AGO_S  # not the time at which it was cut


def test_a_page_without_chinese_carries_no_font(font: Path) -> None:
    assert embedded_font("") == ""


def test_the_font_of_the_package_comes_first(font: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "made_fonts"
    package.mkdir()
    (package / "__init__.py").touch()
    make_font(package / han.FILE, "乳")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(han, "PACKAGE", "made_fonts")
    assert next(han._fonts()).parent == package


def test_a_font_whose_licence_is_not_known_to_allow_it_is_not_carried_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_font(tmp_path / "SimHei.ttf", "乳")
    monkeypatch.setattr("matplotlib.font_manager.findSystemFonts", lambda: [str(path)])
    monkeypatch.setattr(han, "PACKAGE", "no_such_package_of_fonts")
    assert embedded_font("乳") == ""
