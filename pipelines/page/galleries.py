"""The pictures of test images on a run's page: what the shown system misses, marks for nothing, and judges anew."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import pyarrow.compute as pc

from system.archive import Archive
from system.archive.delta import one_of
from system.evaluation.maps_of_run import HeldOutImage, held_out_images
from system.evaluation.misses import Errors, MissedLesion, errors_of, not_in
from system.evaluation.read_back import EvaluationTables, read_back
from system.figures import format as text
from system.figures.rows import Gallery, GalleryItem
from system.metrics import FrocConfig
from system.records import Box, Split
from system.run.systems import SUPERVISED, System

NUM_MISSED, NUM_WRONG, NUM_CHANGED = 6, 6, 4  # images


def galleries(supervised: System, shown: System, archive: Archive, *, rules: FrocConfig) -> list[Gallery]:
    """Return the shown system's errors at one operating point, and the images on which it changed its mind most.

    supervised: what it is compared with, which may be itself
    """
    pair = _Pair(supervised, shown, rules)
    chosen = [pair.missed(), pair.wrong(), *([] if pair.alone else [pair.changed()])]
    items = _items({image_id for each in chosen for image_id in each.notes}, pair, archive)
    return [
        Gallery(
            each.heading,
            each.how,
            [replace(items[image_id], note=note) for image_id, note in each.notes.items()],
            after=shown.title,
        )
        for each in chosen
    ]


@dataclass(frozen=True)
class _Chosen:
    """The images of one gallery."""

    heading: str
    how: str
    notes: Mapping[str, str]  # image_id -> why it is shown


@dataclass(frozen=True)
class _Pair:
    """The system that is shown, beside the supervised one."""

    supervised: System
    shown: System
    rules: FrocConfig

    @property
    def alone(self) -> bool:
        """Whether the supervised system itself is shown."""
        return self.shown.title == SUPERVISED

    @cached_property
    def before(self) -> Errors:
        return errors_of(self.supervised.froc(), config=self.rules)

    @cached_property
    def after(self) -> Errors:
        return errors_of(self.shown.froc(), config=self.rules)

    @cached_property
    def tables(self) -> EvaluationTables:
        return read_back(self.shown.froc())

    def missed(self) -> _Chosen:
        """Return images with a lesion that is missed, the largest first."""
        missed = self.after.missed
        also = {(each.image_id, each.lesion) for each in self.before.missed}
        notes: dict[str, str] = {}
        for each in missed:
            found = "" if self.alone or (each.image_id, each.lesion) in also else "; the supervised model finds it"
            notes.setdefault(each.image_id, f"{_size(each)}: {each.why}{found}.")
        kept = dict(list(notes.items())[:NUM_MISSED])
        how = (
            f"{self._point()}, {text.number(len(missed))} of {text.number(self.after.num_lesions)} lesions are missed. "
            f"Shown: the {len(kept)} images with the largest of them."
        )
        return _Chosen(
            f"Missed by {self.shown.title}", how if missed else f"{self._point()}, no lesion is missed.", kept
        )

    def wrong(self) -> _Chosen:
        """Return images with a false positive, the surest first; new ones, where the supervised system is another."""
        false = self.after.false_positives
        of_these, new = false, ""
        if not self.alone:
            of_these, new = not_in(false, self.before.false_positives), "new "
        notes: dict[str, str] = {}
        for each in of_these:
            notes.setdefault(each.image_id, f"{new}false positive of score {text.share(each.score)}.".capitalize())
        kept = dict(list(notes.items())[:NUM_WRONG])
        rest = f", {text.number(len(of_these))} of them where the supervised model marks nothing at its own point"
        shown = f" Shown: the {len(kept)} images with the surest of them." if kept else ""
        count = (
            f"{text.number(len(false))} candidates are false positives{'' if self.alone else rest}"
            if false
            else "no candidate is false"
        )
        how = f"{self._point()}, {count}.{shown}"
        return _Chosen(f"{new}false positives of {self.shown.title}".capitalize(), how, kept)

    def changed(self) -> _Chosen:
        """Return images with a mass on which the map's peak moved most."""
        before, after = (_peaks(read_back(system.froc())) for system in (self.supervised, self.shown))
        ranked = sorted(after, key=lambda image_id: (-abs(after[image_id] - before[image_id]), image_id))[:NUM_CHANGED]
        how = "The images with a mass of which the map's highest probability moved most, up or down."
        return _Chosen(f"Judged anew by {self.shown.title}", how, dict.fromkeys(ranked, ""))

    def marks(self, image_id: str) -> list[tuple[Box, str, float]]:
        """Return the shown system's candidates that count at the point: box, outcome, score."""
        counted = (pc.field("image_id") == image_id) & (pc.field("score") >= self.after.point.threshold)
        return [
            ((row["x0"], row["y0"], row["x1"], row["y1"]), row["outcome"], row["score"])
            for row in self.tables.candidates.filter(counted).to_pylist()
        ]

    def _point(self) -> str:
        point = self.after.point
        counts = f"candidates of {self.shown.title} from a score of {text.share(point.threshold)} on"
        if math.isinf(point.threshold):
            counts = f"no candidate of {self.shown.title} counts there"
        return (
            f"At {point.allowed_fppi:g} false positives per image, the operating point nearest to 0.5 ({counts}; "
            f"sensitivity {text.share(point.sensitivity)})"
        )


def _size(lesion: MissedLesion) -> str:
    return f"Lesion of {lesion.diameter_mm:.0f} mm" if lesion.diameter_mm else f"Lesion of {lesion.area_px} px"


def _peaks(kept: EvaluationTables) -> dict[str, float]:
    """Return the highest probability of each image with a lesion."""
    rows = kept.images.filter(pc.field("num_lesions") > 0)
    return dict(zip(rows["image_id"].to_pylist(), rows["peak"].to_pylist(), strict=True))


def _items(image_ids: Iterable[str], pair: _Pair, archive: Archive) -> dict[str, GalleryItem]:
    wanted = set(image_ids)
    before, after = (_held_out(system, archive, wanted) for system in (pair.supervised, pair.shown))
    columns = ["image_id", "side", "view"]
    rows = archive.table("images", columns=columns, where=one_of("image_id", sorted(wanted))).to_pylist()
    return {
        row["image_id"]: GalleryItem(
            image=archive.pixels(after[row["image_id"]].pixel_sha),
            truth=after[row["image_id"]].truth,
            map_before=before[row["image_id"]].probability,
            map_after=after[row["image_id"]].probability,
            caption=f"{row['side']} {row['view']}",
            image_id=row["image_id"],
            marks=pair.marks(row["image_id"]),
        )
        for row in rows
    }


def _held_out(system: System, archive: Archive, wanted: set[str]) -> dict[str, HeldOutImage]:
    images = held_out_images(system.held_out, archive=archive, split=Split.TEST, only=wanted)
    return {image.image_id: image for image in images}
