"""Tell what a radiologist drew in an annotation tool from what the network proposed, and find the image of each.

A COCO file holds both: `review export` writes the network's candidates as annotations of a category of their own, and a
radiologist outlines masses beside them. Tools drop scores and renumber annotations, so the two are told apart by the
category's name and by the places of the exported candidates. What may be a radiologist's is used or refused.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from system.errors import Mistakes, UserError
from system.exchange.coco import CANDIDATE, MASS
from system.imaging import Geometry
from system.records import Box
from system.review.annotations import Annotation, DrawnFile
from system.review.outlines import Edges, box_of, from_box, in_view, outline_of, parts_of
from system.review.pictures import find_picture
from system.review.sheet import MAX_PX, Judgement

SAME_PLACE_PX = 1.01  # tools that cut x, y, width and height to whole numbers move each by less
FULL = 0.9  # share of its box from which on an outline is the box itself: an ellipse fills 0.79 of it
NETWORK = "candidate of the network"
_EXPORT_IS_MISSING = "put the exported candidates.coco.json beside the sheet, which tells them apart"

Mask = NDArray[np.bool_]
"""Of one picture: [rows, cols]."""


@dataclass(frozen=True, slots=True)
class Proposed:
    """The network's candidates as they were exported."""

    boxes: Mapping[str, Sequence[Edges]]  # by picture, all exported ones
    as_masses: bool  # exported in the category of masses, as the first versions did

    @classmethod
    def read(cls, export: DrawnFile, *, mistakes: Mistakes) -> "Proposed":
        """Return the candidates of an exported file."""
        boxes: dict[str, list[Edges]] = {picture: [] for picture in export.pictures}
        categories = set()
        for each in export.annotations:
            if not each.scored and each.category != CANDIDATE.name:
                continue
            try:
                box = box_of(each.content, shape=each.image.shape or (MAX_PX, MAX_PX))
            except UserError as error:
                mistakes.add(f"{export.name}: {each.label}: {error}")
                continue
            boxes[each.image.name].append(box)
            categories.add(each.category)
        return cls(boxes, as_masses=MASS.name in categories)


@dataclass(frozen=True, slots=True)
class Drawn:
    """What a COCO file adds to the sheet."""

    masks: dict[str, Mask] = field(default_factory=dict)  # by picture: the union of the outlines, in the archive's view
    left_out: dict[str, int] = field(default_factory=dict)  # what is no outline of theirs -> annotations


@dataclass(frozen=True, slots=True)
class Sheet:
    """The lines that an annotation tool's file belongs to."""

    name: str  # of the file
    lines: Mapping[str, Sequence[Judgement]]  # by picture, those without a verdict too; several masses, several lines
    frames: Mapping[str, Geometry]  # by picture: from its pixels to the archive's view

    def shape(self, picture: str) -> tuple[int, int]:
        """Return a picture's rows and columns."""
        return self.frames[picture].source_rows, self.frames[picture].source_cols

    def boxes(self, picture: str) -> list[tuple[Judgement, Box]]:
        """Return the lines with a box on a picture, and the boxes."""
        return [(line, line.box_px) for line in self.lines[picture] if line.box_px]


def drawn_on(sheet: Sheet, coco: DrawnFile, *, proposed: Proposed | None, mistakes: Mistakes) -> Drawn:
    """Return the outlines by picture, in the archive's views.

    Each annotation that may be a radiologist's and cannot be used is a mistake.

    proposed: None = the exported file is not known
    """
    if coco.categories and not coco.categories & {MASS.name, CANDIDATE.name}:
        names = sorted(coco.categories)[:10]
        raise UserError(f"{coco.name} has the categories {names}: outline masses in one that is called {MASS.name!r}")
    sorter = _Sorter(sheet, coco, proposed, told_by_scores=any(each.scored for each in coco.annotations))
    left_out: Counter[str] = Counter()
    masks: dict[str, Mask] = {}
    for annotation in coco.annotations:
        if annotation.category not in ("", MASS.name, CANDIDATE.name):
            left_out[annotation.category] += 1
            continue
        try:
            outline = sorter.outline(annotation)
        except UserError as error:
            mistakes.add(f"{coco.name}: {annotation.label}: {error}")
            continue
        if outline is None:
            left_out[NETWORK] += 1
        else:
            picture, mask = outline
            masks[picture] = masks[picture] | mask if picture in masks else mask
    _check_boxes(sheet, masks, coco, mistakes=mistakes)
    return Drawn(masks, dict(left_out))


@dataclass(frozen=True, slots=True)
class _Sorter:
    """Sorts the annotations of one file."""

    sheet: Sheet
    coco: DrawnFile
    proposed: Proposed | None
    told_by_scores: bool  # the tool keeps scores: what has none is drawn
    names: dict[str, str] = field(default_factory=dict)  # picture -> the tool's name for it, of those seen

    def outline(self, annotation: Annotation) -> tuple[str, Mask] | None:
        """Return picture and mask of a radiologist's outline, in the archive's view; None for a candidate.

        Raises UserError for one that cannot be used, or may be of either.
        """
        picture = find_picture(annotation.image.name, list(self.sheet.lines))
        if not picture and annotation.category == CANDIDATE.name:
            return None  # of an image that is not in this queue
        self._check_picture(annotation, picture)
        mask = outline_of(annotation.content, shape=self.sheet.shape(picture))
        known = self.proposed.boxes.get(picture) if self.proposed else None
        if self._is_marked(annotation, mask) if known is None else self._is_one_of(annotation, mask, known):
            return None
        _check_verdict(self.sheet.lines[picture][0], self.sheet)
        return picture, in_view(mask, self.sheet.frames[picture])

    @property
    def _lists_candidates(self) -> bool:
        return CANDIDATE.name in self.coco.categories

    def _bears_a_mark(self, annotation: Annotation) -> bool:
        """Return whether category or score are those of a candidate."""
        return annotation.category == CANDIDATE.name or (annotation.scored and not self._lists_candidates)

    def _check_picture(self, annotation: Annotation, picture: str) -> None:
        name, shape = annotation.image.name, annotation.image.shape
        if not picture:
            raise UserError(
                f"its picture {name[-60:]!r} is none of {self.sheet.name}, or may be several: keep the exported names"
            )
        if self.names.setdefault(picture, name) != name:
            raise UserError(f"its picture {name[-60:]!r} and another one are both {picture}: keep one of them")
        if shape and shape != self.sheet.shape(picture):
            (rows, cols), (exported_rows, exported_cols) = shape, self.sheet.shape(picture)
            raise UserError(
                f"its picture has {cols} x {rows} px (width, height), {picture} was exported with {exported_cols} x "
                f"{exported_rows}: annotate the picture as it was exported"
            )

    def _is_one_of(self, annotation: Annotation, mask: Mask, boxes: Sequence[Edges]) -> bool:
        """Return whether an annotation is one of the exported candidates, which nobody has touched."""
        if not any(_has_place_of(box, annotation, mask) for box in boxes):
            return False  # drawn, or a candidate that was corrected
        if self._bears_a_mark(annotation) or (self.proposed is not None and self.proposed.as_masses):
            return True
        if self._lists_candidates:
            return False  # taken over: its category was changed to that of masses
        raise UserError(
            f"it has the place of a candidate of the network, and {self.coco.name} has no category {CANDIDATE.name!r} "
            "which would show that it was taken over: outline the mass, or write its box into the sheet, and delete "
            "this annotation"
        )

    def _is_marked(self, annotation: Annotation, mask: Mask) -> bool:
        """Return whether an annotation is a candidate, where the exported ones are not known."""
        if self._bears_a_mark(annotation):
            if _is_a_box(annotation, mask):
                return True
            raise UserError(f"it may be a candidate that was corrected, or not: {_EXPORT_IS_MISSING}")
        if not parts_of(annotation.content) and not self._lists_candidates and not self.told_by_scores:
            raise UserError(f"it is a box, the radiologist's or the network's: {_EXPORT_IS_MISSING}")
        return False


def _is_a_box(annotation: Annotation, mask: Mask) -> bool:
    """Return whether an annotation is a box, or an outline that fills its box: some tools write boxes so."""
    _, _, width, height = _extent(mask)
    return not parts_of(annotation.content) or bool(mask.sum() >= FULL * width * height)


def _has_place_of(box: Edges, annotation: Annotation, mask: Mask) -> bool:
    """Return whether an annotation is this box."""
    if not _is_a_box(annotation, mask):
        return False
    found = _extent(mask) if parts_of(annotation.content) else box_of(annotation.content, shape=_shape_of(mask))
    return all(abs(one - other) <= SAME_PLACE_PX for one, other in zip(found, box, strict=True))


def _shape_of(mask: Mask) -> tuple[int, int]:
    rows, cols = mask.shape
    return rows, cols


def _extent(mask: Mask) -> Edges:
    """Return the box around a mask that is not empty."""
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return float(cols[0]), float(rows[0]), float(cols[-1] - cols[0] + 1), float(rows[-1] - rows[0] + 1)


def _check_verdict(line: Judgement, sheet: Sheet) -> None:
    if line.verdict != "mass":
        verdict = f"the verdict {line.verdict!r}" if line.verdict else "no verdict"
        raise UserError(
            f"it outlines a mass on {line.picture}, which has {verdict} in {sheet.name} line {line.line}: "
            "write mass there, or answer mass in the tool, or delete the outline"
        )


def _check_boxes(sheet: Sheet, masks: Mapping[str, Mask], coco: DrawnFile, *, mistakes: Mistakes) -> None:
    """Add the boxes of the sheet that no outline on the same picture replaces."""
    for picture, mask in masks.items():
        for line, box in sheet.boxes(picture):
            try:
                of_box = in_view(from_box(box, shape=sheet.shape(picture)), sheet.frames[picture])
            except UserError:
                continue  # it is named with the other boxes that cannot be used
            if not (mask & of_box).any():
                mistakes.add(
                    f"{sheet.name} line {line.line}: {coco.name} has outlines on this picture, but none where the box "
                    "is: outline that mass too, or empty the box"
                )
