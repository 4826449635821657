"""The run's page: one HTML file that carries its pictures and loads nothing from elsewhere."""

import base64
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from system.figures import format as text
from system.figures.curves import froc_figure, loss_figure, pool_figure, reliability_figure
from system.figures.overlays import png_of, with_contours, with_map, with_truth
from system.figures.rows import FrocSeries, GalleryItem, MinedItem, PageData, Reliability
from system.files.atomic import PRIVATE, write_text
from system.records import p0_text

GALLERY_HEIGHT_PX = 320


def write_page(page: PageData, out: Path) -> Path:
    """Write the page to `out` (a file) and return its path; the folder is made.

    Only its owner may read it.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    write_text(out, render_page(page), mode=PRIVATE)  # it quotes reports
    return out


def render_page(page: PageData) -> str:
    """Return the page as HTML."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {
        "share": text.share,
        "signed": text.signed,
        "interval": text.interval,
        "signed_interval": text.signed_interval,
        "number": text.number,
    }
    template = resources.files("system.figures").joinpath("templates/page.html").read_text(encoding="utf8")
    return environment.from_string(template).render(page=page, **_pictures(page))


def _pictures(page: PageData) -> dict[str, object]:
    """Return the figures as `data:` URIs, each with a text for people who cannot see it."""
    fppi = [float(x) for x in page.headline[0].sensitivity] if page.headline else []
    losses = loss_figure(page.trainings)
    return {
        "fppi": list(page.headline[0].sensitivity) if page.headline else [],
        "froc": _svg_address(froc_figure(page.froc, fppi=fppi)) if page.froc and fppi else "",
        "froc_alt": _froc_in_words(page),
        "losses": _svg_address(losses) if losses else "",
        "pools": _svg_address(pool_figure(page.epoch_pools)) if page.epoch_pools else "",
        "pools_alt": _pools_in_words(page),
        "reliability": _svg_address(reliability_figure(page.reliability)) if page.reliability else "",
        "reliability_alt": _reliability_in_words(page),
        "mined": {heading: [_mined_entry(item) for item in items] for heading, items in page.mined.items() if items},
        "galleries": {
            heading: [_gallery_entry(item) for item in items] for heading, items in page.galleries.items() if items
        },
    }


def _froc_in_words(page: PageData) -> str:
    """Return the FROC figure as text, for people who cannot see it."""
    means = "; ".join(f"{row.title}: mean {text.share(row.mean)}" for row in page.headline)
    return f"FROC curves, sensitivity against false positives per image. {means}. {_ends_in_words(page.froc)}"


def _ends_in_words(series: Sequence[FrocSeries]) -> str:
    ends = "; ".join(f"{one.title} at {max(one.fppi, default=0.0):.2f}" for one in series)
    return f"The curves end, in false positives per image: {ends}."


def _pools_in_words(page: PageData) -> str:
    rows = "; ".join(
        f"round {row.round}, epoch {row.epoch}, p0 {p0_text(row.p0)}: {row.tp}, {row.fp}, {row.fn}"
        for row in page.epoch_pools
    )
    return f"p0 and the pool by epoch, images in TP, FP and FN. {rows}."


def _reliability_in_words(page: PageData) -> str:
    def tenths(one: Reliability) -> str:
        return ", ".join(
            f"{p:.2f}: {share:.2f} of {count}" for p, share, count in zip(one.p_mass, one.share, one.count, strict=True)
        )

    return "Share of breasts with a mass by the probability that the reports give. " + "; ".join(
        f"{one.title}: {tenths(one)}" for one in page.reliability
    )


def _mined_entry(item: MinedItem) -> dict[str, str]:
    """Return one image of a pool with its map's contours."""
    picture = with_contours(item.image, item.probability, height_px=GALLERY_HEIGHT_PX)
    map_words = (
        "without a map"
        if item.probability is None
        else f"contours of the map, highest probability {item.probability.max():.2f}"
    )
    address = _address(png_of(picture), "image/png")
    return {
        "address": address,
        "alt": f"{item.caption}: mammogram, {map_words}",
        "caption": item.caption,
        "sentence": item.sentence,
    }


def _gallery_entry(item: GalleryItem) -> dict[str, str | list[dict[str, str]]]:
    """Return one gallery item's three pictures; both maps share one colour scale, so that they can be compared."""
    ceiling = max(float(item.map_before.max()), float(item.map_after.max()))
    before, after = (
        with_map(item.image, item.truth, one, height_px=GALLERY_HEIGHT_PX, ceiling=ceiling)
        for one in (item.map_before, item.map_after)
    )
    marked = "with the outline of the mass" if item.truth.any() else "without a mass"
    pictures = {
        f"mammogram, {marked}": ("image and truth", with_truth(item.image, item.truth, height_px=GALLERY_HEIGHT_PX)),
        f"map before the rounds, highest probability {item.map_before.max():.2f}": (
            f"before, up to {item.map_before.max():.2f}",
            before,
        ),
        f"map after the rounds, highest probability {item.map_after.max():.2f}": (
            f"after, up to {item.map_after.max():.2f}",
            after,
        ),
    }
    return {
        "caption": item.caption,
        "pictures": [
            {"address": _address(png_of(picture), "image/png"), "alt": f"{item.caption}: {alt}", "label": label}
            for alt, (label, picture) in pictures.items()
        ],
    }


def _svg_address(svg: str) -> str:
    return _address(svg.encode(), "image/svg+xml")


def _address(content: bytes, media_type: str) -> str:
    """Return a `data:` URI."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"
