"""The tiles of a JPEG 2000 codestream (ITU-T T.800 annex A and B) and how each is coded; of one component only.

A decoder leaves a tile that is absent black, without a word. Here every tile must be there, and each tile-part must end
where its header puts its end: at the next tile-part or at the end marker.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from system.imaging.refused import ImageRefused

SOT, SOD, EOC = 0xFF90, 0xFF93, b"\xff\xd9"
COD, COC, POC, PPM, PPT = 0xFF52, 0xFF53, 0xFF5F, 0xFF60, 0xFF61
SIZ_PLACE = 4  # of the SIZ segment's length: behind SOC and SIZ
SOT_BYTES = 12
LARGEST_PRECINCT = 15  # exponent where the codestream gives none
MAX_LEVELS = 32  # T.800 table A.15


@dataclass(frozen=True, slots=True)
class Style:
    """COD (T.800 A.6.1), with what COC (A.6.2) changes of it for the component."""

    has_sop: bool  # packets may begin with a marker
    has_eph: bool  # packet headers end with a marker
    progression: int  # 0 to 4, table A.16
    num_layers: int
    num_levels: int  # of the wavelet transform; resolutions are one more
    block_width: int  # exponent
    block_height: int  # exponent
    block_style: int  # table A.19, bits
    precincts: tuple[tuple[int, int], ...]  # exponents across and down of each resolution


@dataclass(frozen=True, slots=True)
class Progression:
    """One entry of POC (A.6.6): a range of packets and their order."""

    first_resolution: int
    end_layer: int
    end_resolution: int
    order: int


@dataclass(slots=True)
class Tile:
    """One tile; x0 <= x < x1 on the reference grid."""

    x0: int
    y0: int
    x1: int
    y1: int
    style: Style
    progressions: list[Progression]  # empty where the order is that of the style throughout
    parts: list[bytes] = field(default_factory=list)  # packets, in the order of the tile-parts


@dataclass(frozen=True, slots=True)
class _Size:
    """SIZ (A.5.1): the picture and its tiles on the reference grid."""

    x1: int
    y1: int
    x0: int
    y0: int
    tile_width: int
    tile_height: int
    tile_x0: int
    tile_y0: int

    @property
    def across(self) -> int:
        return -(-(self.x1 - self.tile_x0) // self.tile_width)

    @property
    def num_tiles(self) -> int:
        return self.across * -(-(self.y1 - self.tile_y0) // self.tile_height)

    def tile(self, number: int, *, style: Style, progressions: list[Progression]) -> Tile:
        """Return a tile without data (B.3)."""
        row, col = divmod(number, self.across)
        left, top = self.tile_x0 + col * self.tile_width, self.tile_y0 + row * self.tile_height
        return Tile(
            x0=max(left, self.x0),
            y0=max(top, self.y0),
            x1=min(left + self.tile_width, self.x1),
            y1=min(top + self.tile_height, self.y1),
            style=style,
            progressions=list(progressions),
        )


def tiles_of(frame: bytes) -> list[Tile]:
    """Return every tile with the data of all its parts.

    Raises ImageRefused truncated for an absent tile and for a part with another length than its header gives;
    transfer_syntax for packet headers that are packed elsewhere (PPM, PPT). Raises struct.error within a marker.
    """
    size = _Size(*struct.unpack_from(">8I", frame, SIZ_PLACE + 4))
    place, segments = _segments(frame, SIZ_PLACE + struct.unpack_from(">H", frame, SIZ_PLACE)[0], end=SOT)
    style, progressions = _coding(segments, before=None)
    if style is None or not size.tile_width or not size.tile_height:
        raise ImageRefused("truncated", "the JPEG 2000 data does not give how it is coded")
    tiles: dict[int, Tile] = {}
    while frame[place : place + 2] != EOC:
        number, end = _tile_part(frame, place)
        place, segments = _segments(frame, place + SOT_BYTES, end=SOD)
        tile_style, more = _coding(segments, before=style)
        if number not in tiles:
            tiles[number] = size.tile(number, style=tile_style or style, progressions=more or progressions)
        elif more:
            tiles[number].progressions.extend(more)
        if not place + 2 <= end <= len(frame) - len(EOC):
            raise ImageRefused("truncated", "a tile-part of the JPEG 2000 data is shorter than its header gives")
        tiles[number].parts.append(frame[place + 2 : end])
        place = end
    if absent := size.num_tiles - len(tiles.keys() & set(range(size.num_tiles))):
        raise ImageRefused("truncated", f"{absent} of {size.num_tiles} tiles of the JPEG 2000 data are missing")
    return list(tiles.values())


def _tile_part(frame: bytes, place: int) -> tuple[int, int]:
    """Return the tile of the tile-part (SOT, A.4.2) at a place, and where it ends."""
    marker, _, number, length = struct.unpack_from(">HHHI", frame, place)
    if marker != SOT:
        raise ImageRefused("truncated", "a tile-part of the JPEG 2000 data does not end where its header puts its end")
    return number, place + length if length else frame.index(EOC, place)  # 0: up to the end marker


def _segments(frame: bytes, place: int, *, end: int) -> tuple[int, list[tuple[int, bytes]]]:
    """Return the place of the marker `end` and the segments before it: marker and content."""
    found: list[tuple[int, bytes]] = []
    while (marker := struct.unpack_from(">H", frame, place)[0]) != end:
        length = struct.unpack_from(">H", frame, place + 2)[0]
        if marker in (PPM, PPT):
            raise ImageRefused("transfer_syntax", "JPEG 2000 with packed packet headers (PPM, PPT) is not read")
        found.append((marker, frame[place + 4 : place + 2 + length]))
        place += 2 + length
    return place, found


def _coding(segments: list[tuple[int, bytes]], *, before: Style | None) -> tuple[Style | None, list[Progression]]:
    """Return the style and the changes of progression after the segments of a header."""
    style = next((_cod(content) for marker, content in segments if marker == COD), before)
    for marker, content in segments:
        if marker == COC and content[0] == 0 and style is not None:
            style = _component(style, content[2:], with_precincts=bool(content[1] & 1))
    return style, [entry for marker, content in segments if marker == POC for entry in _progressions(content)]


def _cod(content: bytes) -> Style:
    flags, order, num_layers, _ = struct.unpack_from(">BBHB", content)
    style = Style(bool(flags & 2), bool(flags & 4), order, num_layers, 0, 0, 0, 0, ())
    return _component(style, content[5:], with_precincts=bool(flags & 1))


def _component(style: Style, content: bytes, *, with_precincts: bool) -> Style:
    """Return the style with the parameters SPcod or SPcoc (table A.15)."""
    num_levels, width, height, block_style, _ = struct.unpack_from(">5B", content)
    if num_levels > MAX_LEVELS:
        raise ImageRefused("truncated", "the JPEG 2000 data has more levels than the standard allows")
    sizes = content[5 : 6 + num_levels] if with_precincts else bytes([LARGEST_PRECINCT * 17] * (num_levels + 1))
    return replace(
        style,
        num_levels=num_levels,
        block_width=width + 2,
        block_height=height + 2,
        block_style=block_style,
        precincts=tuple((size & 15, size >> 4) for size in sizes),
    )


def _progressions(content: bytes) -> Iterator[Progression]:
    """Give the entries of a POC segment of a codestream with fewer than 257 components."""
    for first, _, end_layer, end_resolution, _, order in struct.iter_unpack(">BBHBBB", content):
        yield Progression(first, end_layer, end_resolution, order)
