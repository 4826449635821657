"""The run's page: one HTML file that carries its pictures and loads nothing from elsewhere."""

import base64
from collections.abc import Sequence
from pathlib import Path

from system.figures import format as text
from system.figures.curves import froc_figure, loss_figure, pool_figure, reliability_figure
from system.figures.han import embedded_font, han_in
from system.figures.html import render
from system.figures.overlays import colour_bar, outcome_picture, png_of, with_contours, with_map
from system.figures.rows import FrocSeries, Gallery, GalleryItem, MinedItem, PageData, Reliability
from system.files.atomic import PRIVATE, write_text
from system.records import p0_text

GALLERY_HEIGHT_PX = 400
REFRESH_S = 15  # after so long a page of a run that is at work loads itself anew
CONTENTS = {  # anchor -> name, in the order of the page
    "data": "Data and run",
    "sensitivity": "Sensitivity",
    "parts": "Parts",
    "pictures": "Misses and marks",
    "pools": "Pools",
    "mined": "Mined images",
    "labels": "Labels",
    "training": "Training",
    "time": "Time",
    "settings": "Settings",
}


def write_page(page: PageData, out: Path) -> Path:
    """Write the page to `out` (a file) and return its path; the folder is made.

    Only its owner may read it.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    write_text(out, render_page(page), mode=PRIVATE)  # it quotes reports
    return out


def render_page(page: PageData) -> str:
    """Return the page as HTML."""
    return render("page.html", page=page, **_texts(page), **_pictures(page))


def _texts(page: PageData) -> dict[str, object]:
    """Return what the template needs beside the data and the figures."""
    quoted = han_in([item.sentence for gallery in page.mined for item in gallery.items])
    font = embedded_font(quoted)
    return {
        "font": font,
        "font_lacks": quoted and not font,
        "refresh_s": REFRESH_S,
        "contents": {anchor: name for anchor, name in CONTENTS.items() if _has(page, anchor)},
        "quotes_reports": any(gallery.items for gallery in page.mined),
        "fppi": list(page.headline[0].sensitivity) if page.headline else [],
        "right": {
            (row.round, row.p0, row.quadrant): f"{text.share(row.right)} of {text.number(row.num_images)}"
            for row in page.purity
        },
        "time_span": max((row.began_s + row.seconds for row in page.timeline), default=0.0) or 1.0,
    }


def _has(page: PageData, anchor: str) -> bool:
    """Return whether the page has the part with this anchor."""
    parts: dict[str, object] = {
        "data": page.splits or page.about,
        "sensitivity": page.headline,
        "parts": page.parts,
        "pictures": page.galleries,
        "pools": page.pools,
        "mined": page.mined,
        "labels": page.labels,
        "training": any(training.rows for training in page.trainings),
        "time": page.timeline,
        "settings": True,
    }
    return bool(parts[anchor])


def _pictures(page: PageData) -> dict[str, object]:
    """Return the figures as `data:` URIs, each with a text for people who cannot see it."""
    fppi = [float(x) for x in page.headline[0].sensitivity] if page.headline else []
    losses = loss_figure(page.trainings)
    return {
        "froc": _svg_address(froc_figure(page.froc, fppi=fppi)) if page.froc and fppi else "",
        "froc_alt": _froc_in_words(page),
        "losses": _svg_address(losses) if losses else "",
        "pools": _svg_address(pool_figure(page.epoch_pools)) if page.epoch_pools else "",
        "pools_alt": _pools_in_words(page),
        "reliability": _svg_address(reliability_figure(page.reliability)) if page.reliability else "",
        "reliability_alt": _reliability_in_words(page),
        "colour_bar": _address(png_of(colour_bar(width_px=128, height_px=8)), "image/png"),
        "galleries": [_gallery(gallery) for gallery in page.galleries],
        "mined": [
            {"heading": gallery.heading, "how": gallery.how, "entries": [_mined_entry(item) for item in gallery.items]}
            for gallery in page.mined
        ],
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
        "alt": f"{item.caption}, image {item.image_id}: mammogram, {map_words}{f'; {item.flag}' if item.flag else ''}",
        "caption": item.caption,
        "sentence": item.sentence,
        "flag": item.flag,
        "image_id": item.image_id,
    }


def _gallery(gallery: Gallery) -> dict[str, object]:
    return {
        "heading": gallery.heading,
        "how": gallery.how,
        "entries": [_gallery_entry(item, gallery) for item in gallery.items],
    }


def _gallery_entry(item: GalleryItem, gallery: Gallery) -> dict[str, object]:
    """Return one gallery item's pictures; both maps share one colour scale, so that they can be compared."""
    ceiling = max(float(item.map_before.max()), float(item.map_after.max()))
    marked = "with the outline of the mass" if item.truth.any() else "without a mass"
    picture = outcome_picture(item.image, item.truth, item.marks, height_px=GALLERY_HEIGHT_PX)
    pictures = [(f"mammogram, {marked}, candidates {len(item.marks)}", "image, candidates", picture)]
    maps = [(gallery.after, item.map_after)]
    if gallery.after != gallery.before:
        maps.insert(0, (gallery.before, item.map_before))
    for title, probability in maps:
        drawn = with_map(item.image, item.truth, probability, height_px=GALLERY_HEIGHT_PX, ceiling=ceiling)
        peak = f"{probability.max():.2f}"
        pictures.append((f"map of {title}, highest probability {peak}", f"{title}: up to {peak}", drawn))
    about = f"{gallery.heading}, {item.caption}, image {item.image_id}"
    return {
        "caption": item.caption,
        "note": item.note,
        "image_id": item.image_id,
        "ceiling": f"{ceiling:.2f}",
        "pictures": [
            {"address": _address(png_of(picture), "image/png"), "alt": f"{about}: {alt}", "label": label}
            for alt, label, picture in pictures
        ],
    }


def _svg_address(svg: str) -> str:
    return _address(svg.encode(), "image/svg+xml")


def _address(content: bytes, media_type: str) -> str:
    """Return a `data:` URI."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"
