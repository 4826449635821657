"""What an export of a review writes: pictures, pages, the sheet, and files for annotation tools."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from pipelines.tools.review_import import COCO
from system.archive import Archive
from system.archive.delta import one_of
from system.archive.source_picture import picture_name
from system.exchange import (
    CANDIDATE,
    MASS,
    Beside,
    ImageCandidates,
    as_coco,
    as_cvat,
    as_label_studio,
    cvat_labels,
    interface,
    to_source,
)
from system.figures.films import MarkedBox, side_by_side
from system.figures.overlays import png_of, with_candidates
from system.figures.review_page import Question, ShownView, StudyPage, queue_page, study_page
from system.files.atomic import PRIVATE, write_bytes, write_text
from system.files.csv_out import write_csv
from system.imaging import DisplayConfig, Geometry, Picture, decode_png, encode_png, shown_stored, source_geometry
from system.records import Candidate, Side
from system.reports.annotated import read_reports
from system.reports.config import ReportConfig
from system.reports.rules import sentence_on
from system.review import SHEET
from system.run.predictions import Prediction, read_maps
from system.run.results import InferResult
from system.run.stage import Stage

QUEUE, INDEX = "queue.csv", "index.html"
PICTURES, OVERLAYS, STUDIES = "pictures", "overlays", "studies"
SOURCE_PICTURES = ".source"  # while an export is written
BESIDE_PX = 1024  # rows of the picture with all views of a study
HANGING = [(view, side) for view in ("CC", "MLO") for side in (Side.RIGHT, Side.LEFT)]

Tool = Literal["coco", "label-studio", "cvat"]


@dataclass(frozen=True, slots=True)
class StudyView:
    """One image of a study, as the archive has it."""

    image_id: str
    study_id: str
    side: Side
    view: str
    pixel_sha: str
    geometry: str  # JSON; "" where it is not known
    layout: str

    @property
    def title(self) -> str:
        """Breast and view."""
        return f"{self.side} {self.view}"


@dataclass(frozen=True)
class Queued:
    """One image of the queue."""

    place: int  # from 1
    prediction: Prediction
    p_mass: float  # by the report, 0 to 1; NaN without one
    why: str  # review.Why

    @property
    def picture(self) -> str:
        """The name of its picture."""
        return f"{PICTURES}/{self.place:04d}.png"


@dataclass(frozen=True)
class Queue:
    """The images of an export, and what is shown beside them."""

    chosen: Sequence[Queued]
    studies: Mapping[str, Sequence[StudyView]]  # by study, in the order of the queue; views as they hang
    seen: Mapping[str, Prediction]  # by image, of the round
    sentences: Mapping[tuple[str, Side], str]  # by study and breast; none without a report

    def number(self, study_id: str) -> int:
        """Return the number of a study's page, from 1."""
        return list(self.studies).index(study_id) + 1

    def question(self, queued: Queued) -> Question:
        """Return what the pages tell of an image."""
        seen = queued.prediction
        return Question(
            place=queued.place,
            line=queued.place + 1,
            study=self.number(seen.study_id),
            title=f"{seen.side} {seen.view}",
            why=queued.why,
            p_mass=queued.p_mass,
            score=seen.score,
            sentence=self.sentences.get((seen.study_id, Side(seen.side)), ""),
            picture=queued.picture,
        )


@dataclass(frozen=True)
class Pictures:
    """Where the pictures of images come from."""

    archive: Archive
    folder: Path  # of those read from source files
    display: DisplayConfig

    def of(self, view: StudyView) -> Picture:
        """Return the picture of an image: from its file where that was read, else the view that the archive keeps."""
        path = self.folder / picture_name(view.image_id)
        if not path.is_file():
            return shown_stored(self.archive.pixels(view.pixel_sha), side=view.side, config=self.display)
        known = Geometry.from_json(view.geometry)
        own = source_geometry(known, side=view.side, longest_px=self.display.longest_px)
        return Picture(decode_png(path.read_bytes()), own, from_source=True)


def studies_of(chosen: Sequence[Queued], archive: Archive) -> dict[str, list[StudyView]]:
    """Return all images of the studies of a queue: CC before MLO, right before left, as they hang."""
    wanted = list(dict.fromkeys(queued.prediction.study_id for queued in chosen))
    columns = ["image_id", "study_id", "side", "view", "pixel_sha", "geometry", "source"]
    rows = archive.table("images", columns=columns, where=one_of("study_id", wanted)).to_pylist()
    views = [
        StudyView(
            row["image_id"],
            row["study_id"],
            Side(row["side"]),
            row["view"],
            pixel_sha=row["pixel_sha"],
            geometry=row["geometry"],
            layout=row["source"],
        )
        for row in rows
    ]
    hung = sorted(views, key=lambda view: (HANGING.index((view.view, view.side)), view.image_id))
    return {study: [view for view in hung if view.study_id == study] for study in wanted}


def sentences_of(studies: Sequence[str], archive: Archive, *, config: ReportConfig) -> dict[tuple[str, Side], str]:
    """Return the sentence of each study's report on each breast."""
    read = read_reports(archive.table("reports", where=one_of("study_id", studies)), config=config)
    return {
        (study, side): sentence_on(sections, side)
        for study, sections in zip(read.studies, read.sections, strict=True)
        for side in Side
    }


def write_queue(
    out: Path, queue: Queue, *, pictures: Pictures, stage: Stage[InferResult], tools: Sequence[Tool]
) -> None:
    """Write all of an export, queue.csv last, which shows that all is there. What quotes reports is for the owner."""
    for folder in (PICTURES, OVERLAYS, STUDIES):
        (out / folder).mkdir(parents=True, exist_ok=True)
    placed = {queued.prediction.image_id: queued for queued in queue.chosen}
    geometries: dict[str, Geometry] = {}
    for study, views in queue.studies.items():
        shown = {view.image_id: pictures.of(view) for view in views}
        _write_study(out, queue, study, shown=shown, placed=placed)
        for image_id in placed.keys() & shown.keys():
            write_bytes(out / placed[image_id].picture, encode_png(shown[image_id].pixels))
            geometries[image_id] = shown[image_id].geometry
    _write_overlays(out, queue, stage=stage, archive=pictures.archive)
    images = [_on_picture(queued, geometries[queued.prediction.image_id]) for queued in queue.chosen]
    about = "mammoloop, pictures as they hang; no diagnosis"
    write_text(out / COCO, json.dumps(as_coco(images, description=about, category=CANDIDATE, others=[MASS])))
    _write_for_tools(out, queue, images, tools=tools, model=stage.name)
    questions = [queue.question(queued) for queued in queue.chosen]
    write_text(out / INDEX, queue_page(questions, sheet=QUEUE), mode=PRIVATE)
    lines = [
        _line(queued, queue.question(queued).sentence, geometries[queued.prediction.image_id])
        for queued in queue.chosen
    ]
    shutil.rmtree(pictures.folder, ignore_errors=True)
    write_csv(out / QUEUE, SHEET, lines, mode=PRIVATE)


def _write_study(
    out: Path, queue: Queue, study: str, *, shown: Mapping[str, Picture], placed: Mapping[str, Queued]
) -> None:
    """Write a study's page, and one picture of all its views for annotation tools."""
    number, views = queue.number(study), queue.studies[study]
    page = StudyPage(
        number=number,
        num_studies=len(queue.studies),
        views=[_shown_view(view, queue, shown[view.image_id], placed.get(view.image_id)) for view in views],
        sentences={
            {Side.RIGHT: "Right:", Side.LEFT: "Left:"}[side]: queue.sentences.get((study, side), "")
            for side in (Side.RIGHT, Side.LEFT)
        },
    )
    write_text(out / STUDIES / f"{number:04d}.html", study_page(page), mode=PRIVATE)
    together = side_by_side([shown[view.image_id].pixels for view in views], height_px=BESIDE_PX)
    write_bytes(out / STUDIES / f"{number:04d}.png", encode_png(together))


def _shown_view(view: StudyView, queue: Queue, picture: Picture, queued: Queued | None) -> ShownView:
    seen = queue.seen.get(view.image_id)
    return ShownView(
        title=view.title,
        pixels=picture.pixels,
        boxes=marked(seen.candidates if seen else (), picture),
        from_source=picture.from_source,
        question=queue.question(queued) if queued else None,
    )


def marked(candidates: Sequence[Candidate], picture: Picture) -> list[MarkedBox]:
    """Return the boxes of a view's candidates on its picture."""
    return [
        MarkedBox(*found.box_px, found.score) for found in (to_source(each, picture.geometry) for each in candidates)
    ]


def _write_overlays(out: Path, queue: Queue, *, stage: Stage[InferResult], archive: Archive) -> None:
    """Write each chosen view with the network's map and candidates, in the archive's size, as it hangs."""
    shas = {view.image_id: view.pixel_sha for views in queue.studies.values() for view in views}
    maps = read_maps(stage, [queued.prediction.image_key for queued in queue.chosen])
    no_map = np.zeros((1, 1), np.float32)  # of images without a mask no map is kept
    for queued in queue.chosen:
        seen = queued.prediction
        picture = with_candidates(
            archive.pixels(shas[seen.image_id]),
            maps.get(seen.image_key, no_map),
            seen.candidates,
            mirrored=seen.side == Side.RIGHT,
        )
        write_bytes(out / OVERLAYS / f"{queued.place:04d}.png", png_of(picture))


def _on_picture(queued: Queued, geometry: Geometry) -> ImageCandidates:
    found = tuple(to_source(candidate, geometry) for candidate in queued.prediction.candidates)
    return ImageCandidates(queued.place, queued.picture, geometry.source_rows, geometry.source_cols, found)


def _write_for_tools(
    out: Path, queue: Queue, images: Sequence[ImageCandidates], *, tools: Sequence[Tool], model: str
) -> None:
    if "label-studio" in tools:
        beside = []
        for question in map(queue.question, queue.chosen):
            views = f"{STUDIES}/{question.study:04d}.png"
            beside.append(Beside(f"{question.place}: {question.title}, {question.why}", question.sentence, views))
        tasks = as_label_studio(images, beside, folder=out.resolve().name, model=model)
        write_text(out / "label-studio.json", json.dumps(tasks, ensure_ascii=False), mode=PRIVATE)
        write_text(out / "label-studio.xml", interface())
    if "cvat" in tools:
        write_text(out / "cvat.xml", as_cvat(images))
        write_text(out / "cvat-labels.json", cvat_labels())


def _line(queued: Queued, sentence: str, geometry: Geometry) -> list[str | float]:
    seen = queued.prediction
    p_mass = "" if np.isnan(queued.p_mass) else round(queued.p_mass, 4)
    known = [seen.image_id, queued.picture, seen.study_id, seen.side, seen.view, queued.why]
    return [*known, p_mass, round(seen.score, 4), "", "", "", "", "", sentence, geometry.to_json()]
