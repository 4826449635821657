"""Whether a JPEG 2000 or HTJ2K codestream holds all of its packets (ITU-T T.800 annex B, T.814 annex B).

A decoder takes packets that are missing at a tile's end for empty ones: the picture is blurred or half black, without a
word. Here the headers of all packets are read, no coefficient: each gives the length of its packet, so the packets that
the picture's size and coding demand must fill the tile's data exactly.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from system.imaging.jpeg2000_tiles import Style, Tile, tiles_of
from system.imaging.refused import ImageRefused

SOP, SOP_BYTES, EPH = b"\xff\x91", 6, b"\xff\x92"
BYPASS, TERMINATE_ALL, HIGH_THROUGHPUT = 1, 4, 64  # bits of the block style
UNKNOWN = 1 << 30  # of a tag tree's node: larger than any value
UNBROKEN = 1 << 30  # passes of a segment that only ends with its block
FIRST_LENGTH_BITS = 3  # B.10.7.1


def check_packets(frame: bytes) -> None:
    """Refuse a codestream of one component of which packets or tiles are missing.

    Raises ImageRefused truncated, transfer_syntax; struct.error, IndexError or ValueError for a broken marker segment.
    """
    for tile in tiles_of(frame):
        _check_tile(tile)


def _check_tile(tile: Tile) -> None:
    data = b"".join(tile.parts)
    precincts = list(_precincts(tile))
    if tile.style.num_layers * len(precincts) > len(data):  # a packet has at least one byte
        raise ImageRefused("truncated", "the JPEG 2000 data is too short for the picture's packets")
    place = 0
    try:
        for precinct, layer in _in_order(precincts, tile=tile):
            place = _packet_end(data, place, precinct=precinct, layer=layer, style=tile.style)
    except IndexError:
        place = len(data) + 1
    if place != len(data):
        found = "end early" if place > len(data) else "do not fill their tile"
        raise ImageRefused("truncated", f"the packets of the JPEG 2000 data {found}")


@dataclass(slots=True)
class _Block:
    """One code-block, as far as the headers have told."""

    length_bits: int = FIRST_LENGTH_BITS
    num_passes: int = 0


class _TagTree:
    """A tag tree (B.10.2): the least value of every four nodes is coded above them."""

    def __init__(self, width: int, height: int) -> None:
        self.sizes = [(width, height)]
        while self.sizes[-1] != (1, 1):
            across, down = self.sizes[-1]
            self.sizes.append((-(-across // 2), -(-down // 2)))
        self.values = [[UNKNOWN] * (across * down) for across, down in self.sizes]
        self.least = [[0] * (across * down) for across, down in self.sizes]

    def is_below(self, bits: "_Bits", *, x: int, y: int, limit: int) -> bool:
        """Return whether a leaf's value is below the limit, after as many bits as that takes."""
        least = 0
        for level in range(len(self.sizes) - 1, -1, -1):
            node = (y >> level) * self.sizes[level][0] + (x >> level)
            values, known = self.values[level], self.least[level]
            least = max(least, known[node])
            while least < limit and least < values[node]:
                if bits.read():
                    values[node] = least
                else:
                    least += 1
            known[node] = least
        return self.values[0][y * self.sizes[0][0] + x] < limit


@dataclass(slots=True)
class _Band:
    """The code-blocks of one precinct in one sub-band."""

    across: int
    down: int
    included: _TagTree = field(init=False)
    zero_planes: _TagTree = field(init=False)
    blocks: list[_Block] = field(init=False)

    def __post_init__(self) -> None:
        self.included = _TagTree(self.across, self.down)
        self.zero_planes = _TagTree(self.across, self.down)
        self.blocks = [_Block() for _ in range(self.across * self.down)]


@dataclass(slots=True)
class _Precinct:
    resolution: int
    x: int  # on the reference grid, where its packets are due in position order
    y: int
    sizes: list[tuple[int, int]]  # code-blocks across and down in each sub-band that has some
    bands: list[_Band] = field(default_factory=list)  # made when the first packet that is not empty comes


def _precincts(tile: Tile) -> Iterator[_Precinct]:
    """Give the precincts of a tile, by resolution, then row by row (B.5 to B.7)."""
    style = tile.style
    for resolution in range(style.num_levels + 1):
        shift = style.num_levels - resolution
        x0, y0, x1, y1 = (_divided(edge, shift) for edge in (tile.x0, tile.y0, tile.x1, tile.y1))
        across, down = style.precincts[resolution]
        if x0 >= x1 or y0 >= y1:
            continue
        for row in range(y0 >> down, _divided(y1, down)):
            for col in range(x0 >> across, _divided(x1, across)):
                yield _Precinct(
                    resolution,
                    x=max(tile.x0, col << across + shift),
                    y=max(tile.y0, row << down + shift),
                    sizes=list(_block_counts(tile, resolution=resolution, col=col, row=row)),
                )


def _block_counts(tile: Tile, *, resolution: int, col: int, row: int) -> Iterator[tuple[int, int]]:
    """Give the code-blocks across and down of one precinct in each of its resolution's sub-bands (B.5, B.7)."""
    style = tile.style
    across, down = style.precincts[resolution]
    level = style.num_levels if not resolution else style.num_levels - resolution + 1
    half = int(resolution > 0)
    for right, below in [(0, 0)] if not resolution else [(1, 0), (0, 1), (1, 1)]:
        counts = [
            _blocks_between(
                max(_band_edge(start, level, odd), index << size - half),
                min(_band_edge(end, level, odd), index + 1 << size - half),
                min(block, size - half),
            )
            for start, end, odd, index, size, block in (
                (tile.x0, tile.x1, right, col, across, style.block_width),
                (tile.y0, tile.y1, below, row, down, style.block_height),
            )
        ]
        if all(counts):
            yield counts[0], counts[1]


def _band_edge(edge: int, level: int, odd: int) -> int:
    """Return an edge of a tile in a sub-band (equation B-15)."""
    return _divided(edge - (odd << level - 1 if level else 0), level)


def _blocks_between(start: int, end: int, exponent: int) -> int:
    return _divided(end, exponent) - (start >> exponent) if start < end else 0


def _divided(number: int, exponent: int) -> int:
    """Return the number divided by a power of two, rounded up."""
    return -(-number >> exponent)


def _in_order(precincts: list[_Precinct], *, tile: Tile) -> Iterator[tuple[_Precinct, int]]:
    """Give the packets in the order of the codestream (B.12): precinct and layer."""
    numbered = list(enumerate(precincts))
    layers, resolutions = tile.style.num_layers, tile.style.num_levels + 1
    ranges = [
        (entry.first_resolution, entry.end_resolution, entry.end_layer, entry.order) for entry in tile.progressions
    ] or [(0, resolutions, layers, tile.style.progression)]
    done: set[tuple[int, int]] = set()
    for first, end, end_layer, order in ranges:
        chosen = [
            (_key(order, number, precinct, layer), number, layer)
            for number, precinct in numbered
            if first <= precinct.resolution < end
            for layer in range(min(end_layer, layers))
            if (number, layer) not in done
        ]
        for _, number, layer in sorted(chosen):
            yield precincts[number], layer
        done.update((number, layer) for _, number, layer in chosen)


def _key(order: int, number: int, precinct: _Precinct, layer: int) -> tuple[int, ...]:
    """Return what packets are sorted by; `number` counts precincts by resolution, then row by row."""
    match order:
        case 0:
            return layer, number
        case 1:
            return precinct.resolution, layer, number
        case 2:
            return number, layer
        case _:  # by position; with one component, 3 and 4 are the same
            return precinct.y, precinct.x, number, layer


def _packet_end(data: bytes, place: int, *, precinct: _Precinct, layer: int, style: Style) -> int:
    """Return where the packet at a place ends. Raises IndexError where its header does not end."""
    if style.has_sop and data[place : place + 2] == SOP:
        place += SOP_BYTES
    bits = _Bits(data, place)
    length = 0
    if bits.read():
        precinct.bands = precinct.bands or [_Band(across, down) for across, down in precinct.sizes]
        length = sum(_band_bytes(bits, band, layer=layer, style=style) for band in precinct.bands)
    place = bits.end()
    if style.has_eph and data[place : place + 2] == EPH:
        place += len(EPH)
    return place + length


def _band_bytes(bits: "_Bits", band: _Band, *, layer: int, style: Style) -> int:
    """Return how many bytes a packet holds of a sub-band's code-blocks (B.10.3 to B.10.7)."""
    total = 0
    for number, block in enumerate(band.blocks):
        y, x = divmod(number, band.across)
        if block.num_passes:
            is_in = bits.read()
        elif is_in := band.included.is_below(bits, x=x, y=y, limit=layer + 1):
            planes = 1
            while not band.zero_planes.is_below(bits, x=x, y=y, limit=planes):
                planes += 1
        if is_in:
            total += _block_bytes(bits, block, block_style=style.block_style)
    return total


def _block_bytes(bits: "_Bits", block: _Block, *, block_style: int) -> int:
    """Return how many bytes a packet holds of a code-block: one length for each of its segments (B.10.7)."""
    left = _num_passes(bits)
    while bits.read():
        block.length_bits += 1
    total = 0
    while left:
        passes = min(left, _room(block.num_passes, block_style=block_style))
        total += bits.number(block.length_bits + passes.bit_length() - 1)
        block.num_passes += passes
        left -= passes
    return total


def _num_passes(bits: "_Bits") -> int:
    """Return the number of coding passes (table B.4)."""
    for first, width in ((1, 0), (2, 0), (3, 2), (6, 5), (37, 7)):
        if first < 3:
            if not bits.read():
                return first
        elif (more := bits.number(width)) < (1 << width) - 1 or first == 37:
            return first + more
    raise AssertionError("the last row of the table returns")


def _room(num_passes: int, *, block_style: int) -> int:
    """Return how many passes a segment takes up after so many passes of its block (D.4.2, D.6; T.814 B.2)."""
    if block_style & TERMINATE_ALL:
        return 1
    if block_style & HIGH_THROUGHPUT:
        return 1 if num_passes == 0 else UNBROKEN
    if block_style & BYPASS:
        return 10 - num_passes if num_passes < 10 else (2, 1, 1)[(num_passes - 10) % 3]
    return UNBROKEN


class _Bits:
    """The bits of a packet header; a bit 0 is stuffed behind each byte 0xFF (B.10.1)."""

    def __init__(self, data: bytes, place: int) -> None:
        self.data, self.place = data, place
        self.byte, self.left = 0, 0

    def read(self) -> int:
        """Return one bit. Raises IndexError at the data's end."""
        if not self.left:
            self.left = 7 if self.byte == 0xFF else 8
            self.byte = self.data[self.place]
            self.place += 1
        self.left -= 1
        return self.byte >> self.left & 1

    def number(self, width: int) -> int:
        """Return the next bits as a number."""
        found = 0
        for _ in range(width):
            found = found << 1 | self.read()
        return found

    def end(self) -> int:
        """Return the place of the byte after the header."""
        return self.place + (self.byte == 0xFF)
