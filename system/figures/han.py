"""Chinese on a page whose reader may have no Chinese font: a font cut to the characters that the page uses.

The font is taken where the page is written: from the package of the extra `chinese`, else from a font of the machine
whose licence (SIL Open Font License, Apache) lets a part of it travel in a document.
"""

import base64
import io
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path

FAMILY = "Han of this page"
PACKAGE, FILE = "pylopdf_fonts_zh_cn", "NotoSansSC-Regular.otf"
FREE = (  # files of fonts under a free licence, as distributions name them, the best first
    "NotoSansSC-Regular.otf",
    "NotoSansCJKsc-Regular.otf",
    "NotoSansCJK-Regular.ttc",
    "SourceHanSansSC-Regular.otf",
    "SourceHanSansCN-Regular.otf",
    "DroidSansFallbackFull.ttf",
    "DroidSansFallback.ttf",
)
_SIMPLIFIED = " SC"  # how a collection names its face for simplified Chinese
_HAN_FROM, _HAN_TO = "\u2e80", "\uffef"  # radicals, punctuation, ideographs and full-width forms
_IDEOGRAPHS_BEYOND = "\U00020000"


def han_in(texts: Iterable[str]) -> str:
    """Return the Chinese characters of texts, each once, in order."""
    return "".join(sorted({char for text in texts for char in text if _is_han(char)}))


def _is_han(char: str) -> bool:
    return _HAN_FROM <= char <= _HAN_TO or char >= _IDEOGRAPHS_BEYOND


def embedded_font(characters: str) -> str:
    """Return a WOFF font of these characters as a `data:` URI; "" without characters, or without a font to cut.

    characters: each once
    """
    if not characters:
        return ""
    path = next(_fonts(), None)
    return f"data:font/woff;base64,{base64.b64encode(_cut(path, characters)).decode()}" if path else ""


def _fonts() -> Iterator[Path]:
    """Give the fonts that may be cut, the best first."""
    spec = find_spec(PACKAGE)
    if spec and spec.submodule_search_locations:
        yield Path(spec.submodule_search_locations[0]) / FILE
    from matplotlib.font_manager import findSystemFonts

    here = {Path(found).name: Path(found) for found in findSystemFonts()}
    yield from (here[name] for name in FREE if name in here)


def _cut(path: Path, characters: str) -> bytes:
    """Return the font with the glyphs of these characters alone, as WOFF."""
    from fontTools import subset
    from fontTools.ttLib import TTCollection, TTFont

    number = -1
    if path.suffix == ".ttc":
        with TTCollection(str(path), lazy=True) as faces:
            names = [face["name"].getDebugName(4) or "" for face in faces]
        number = next((place for place, name in enumerate(names) if _SIMPLIFIED in name), 0)
    options = subset.Options(flavor="woff", layout_features=[], hinting=False, notdef_outline=True)
    with TTFont(str(path), fontNumber=number, lazy=True, recalcTimestamp=False) as font:
        cutter = subset.Subsetter(options)
        cutter.populate(text=characters)
        cutter.subset(font)
        font.flavor = "woff"
        file = io.BytesIO()
        font.save(file)
    return file.getvalue()
