"""The run's page: one HTML file that carries its pictures and asks no other host for anything."""

import base64
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from system.figures import format as text
from system.figures.curves import froc_figure, loss_figure
from system.figures.overlays import png_of, with_map, with_truth
from system.figures.report import FrocSeries, GalleryItem, RunReport

GALLERY_HEIGHT_PX = 320


def write_page(report: RunReport, out: Path) -> Path:
    """Write the page to `out` (a file) and return its path; the folder is made."""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(render_page(report), encoding="utf8")
    return out


def render_page(report: RunReport) -> str:
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
    return environment.from_string(template).render(report=report, **_pictures(report))


def _pictures(report: RunReport) -> dict[str, Any]:
    """Return the figures as data addresses, each with the words that stand for it."""
    fppi = [float(x) for x in report.headline[0].sensitivity] if report.headline else []
    losses = loss_figure(report.epochs)
    return {
        "fppi": list(report.headline[0].sensitivity) if report.headline else [],
        "froc": _svg_address(froc_figure(report.froc, fppi=fppi)) if report.froc and fppi else "",
        "froc_alt": _froc_in_words(report),
        "losses": _svg_address(losses) if losses else "",
        "galleries": {heading: [_gallery_entry(item) for item in items] for heading, items in report.galleries.items() if items},
    }


def _froc_in_words(report: RunReport) -> str:
    """Return the FROC figure for readers who do not see it."""
    means = "; ".join(f"{row.title}: mean {text.share(row.mean)}" for row in report.headline)
    return f"FROC curves, sensitivity against false positives per image. {means}. {_ends_in_words([s for s in report.froc if not s.recut])}"


def _ends_in_words(series: list[FrocSeries]) -> str:
    ends = "; ".join(f"{one.title} at {max(one.fppi, default=0.0):.2f}" for one in series)
    return f"The curves end, in false positives per image: {ends}."


def _gallery_entry(item: GalleryItem) -> dict[str, Any]:
    """Return one gallery item's three pictures; both maps share one colour scale, so that they can be compared."""
    ceiling = max(float(item.map_before.max()), float(item.map_after.max()))
    before, after = (
        with_map(item.image, item.truth, one, height_px=GALLERY_HEIGHT_PX, ceiling=ceiling) for one in (item.map_before, item.map_after)
    )
    marked = "with the outline of the mass" if item.truth.any() else "without a mass"
    pictures = {
        f"mammogram, {marked}": ("image and truth", with_truth(item.image, item.truth, height_px=GALLERY_HEIGHT_PX)),
        f"map before the rounds, highest probability {item.map_before.max():.2f}": (f"before, up to {item.map_before.max():.2f}", before),
        f"map after the rounds, highest probability {item.map_after.max():.2f}": (f"after, up to {item.map_after.max():.2f}", after),
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


def _address(content: bytes, kind: str) -> str:
    """Return a data address: the content itself."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
