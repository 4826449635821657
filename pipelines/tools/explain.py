"""Explain one image of a run: tables for the terminal, and a picture with truth and candidates. Needs no Ray."""

from pathlib import Path

import numpy as np
from rich.console import Console

from pipelines.selftrain import evaluate_on
from system.archive import Archive
from system.archive.delta import one_of
from system.evaluation.explain_image import (
    Explanation,
    ImageFacts,
    RoundAnswer,
    SystemAnswer,
    explain_image,
)
from system.figures import format as text
from system.figures.console import console, two_columns
from system.figures.overlays import outcome_picture, png_of
from system.figures.table import Table
from system.files.atomic import PRIVATE, write_bytes
from system.files.json_out import write_json
from system.records import Split, p0_text
from system.run.folder import RunFolder

PICTURE_HEIGHT_PX = 640


def run(
    folder: Path, image_id: str, *, archive_uri: str = "", picture: Path | None = None, json_file: Path | None = None
) -> Explanation:
    """Print why an image was judged and pooled as it was, and draw it.

    picture: PNG, by default explain/IMAGE.png in the run's folder. Of a held-out image it shows the last system's
    candidates. Raises UserError for an image that the run's archive does not have, NotFinished for a run that has not
    come to its archive.
    """
    here = RunFolder(folder.resolve())
    config, archive = here.config(), here.archive(uri=archive_uri)
    split = _split_of(image_id, archive)
    if split in (Split.TEST, Split.VALIDATION):
        for system in here.systems():
            evaluate_on(system, Split(split), archive=here.measured_archive(uri=archive.uri), config=config)
    found = explain_image(here, image_id, archive=archive, config=config)
    screen = console(json_file=json_file)
    _show(found, screen)
    target = picture or here.picture_of(found.image.image_id)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(target, png_of(_draw(found, archive)))
    screen.print(f"picture: {target}")
    if json_file:
        write_json(json_file, found, mode=PRIVATE)  # it quotes the report
    return found


def _split_of(image_id: str, archive: Archive) -> str:
    rows = archive.table("images", columns=["split"], where=one_of("image_id", [image_id])).to_pylist()
    return rows[0]["split"] if rows else ""


def _draw(found: Explanation, archive: Archive) -> np.ndarray:
    image = archive.pixels(found.image.pixel_sha)
    masks = archive.table("masks", columns=["mask_sha"], where=one_of("image_id", [found.image.image_id])).to_pylist()
    sha = masks[0]["mask_sha"] if masks else ""
    truth = archive.pixels(sha) > 0 if sha else np.zeros(image.shape, dtype=bool)
    marked = [
        (candidate.box_px, candidate.outcome, candidate.score)
        for candidate in (found.systems[-1].candidates if found.systems else ())
    ]
    return outcome_picture(image, truth, marked, height_px=PICTURE_HEIGHT_PX)


def _show(found: Explanation, screen: Console) -> None:
    screen.print(_image_table(found.image))
    for system in found.systems:
        screen.print(_system_table(system))
        for lesion in system.lesions:
            outcome = "missed" if np.isnan(lesion.found_at) else f"found at {lesion.found_at:.3f}"
            screen.print(f"lesion {lesion.lesion}, {lesion.area_px} px: {outcome}")
        if specks := found.image.num_lesions - len(system.lesions):
            screen.print(f"{specks} more annotated, of fewer than {system.min_lesion_px} px: too small to count")
    for this in found.rounds:
        screen.print(_round_table(this))
        if this.outlined:
            screen.print("a radiologist outlined a mass in it: from this round on it trains as an annotated image")
    if not found.systems and not found.rounds:
        screen.print(_nothing_of(found.image.split))


def _nothing_of(split: str) -> str:
    """Return why a run has nothing to show of an image."""
    if split in (Split.TEST, Split.VALIDATION):
        return f"an image of split {split}; the run has no system yet that is trained and measured"
    if split == Split.WEAK:
        return f"an image of split {split}; the run has no round yet whose pools are frozen"
    return f"an image of split {split} is not inferred: it trains as it is annotated"


def _image_table(image: ImageFacts) -> Table:
    rows = {
        "image": image.image_id,
        "breast and view": f"{image.side} {image.view}",
        "split": image.split,
        "source": image.source,
        "annotated lesions": image.num_lesions,
        "p_mass by the report": text.share(image.p_mass),
        "report on this breast": image.sentence or "no report",
        "verdicts": ", ".join(image.verdicts) or "none",
    }
    return two_columns("Image", rows)


def _system_table(system: SystemAnswer) -> Table:
    title = (
        f"{system.title}: candidates from {system.begin} on, "
        f"of at least {system.min_candidate_px} px; "
        f"masks from {system.mask_threshold:.3g} on"
    )
    table = Table(title)
    for heading in ("score", "outcome", "why", "box x0 y0 x1 y1", "px"):
        table.add_column(heading, right=heading == "px")
    for found in system.candidates:
        box = " ".join(map(str, found.box_px))
        table.add_row(f"{found.score:.3f}", found.outcome, found.why, box, str(found.area_px))
    if not system.candidates:
        reason = "the map stays below where candidates begin, or its components are too small"
        table.add_row("–", "none", "the image could not be read" if system.error else reason, "–", "–")
    return table


def _round_table(this: RoundAnswer) -> Table:
    seen = this.error or f"score {text.share(this.score)}, {'a mask' if this.has_mask else 'no mask'}"
    title = f"round {this.number}, seen by {this.model} (masks from {this.mask_threshold:.3g} on): {seen}"
    table = Table(title)
    for heading in ("p0", "p_mass", "report", "quadrant", "trains"):
        table.add_column(heading)
    for pool in this.pools:
        trains = "yes" if pool.trains else "no"
        quadrant = f"{pool.quadrant}, disputed" if pool.disputed else pool.quadrant
        table.add_row(p0_text(pool.p0), text.share(pool.p_mass), str(pool.report), quadrant, trains)
    return table
