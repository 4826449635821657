"""The pictures of mined images on a run's page: what the last round learned from, with the sentence of the report."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from system.archive import Archive
from system.config import RunConfig
from system.figures import format as text
from system.figures.rows import MinedGallery, MinedItem
from system.mining import read_pool
from system.records import Quadrant, Side
from system.reports.annotated import read_reports
from system.reports.rules import read_by_rules, sentence_on
from system.reports.text import Sections
from system.run.folder import RunFolder
from system.run.predictions import read_maps

NUM_SHOWN = 4  # images of each gallery
MOST_READ = 20_000  # images of a pool whose reports are read by the rules; some ten seconds
POOLS = {
    Quadrant.TP: "TP: report and map agree on a mass",
    Quadrant.FP: "FP: a mass on the map, none in the report",
    Quadrant.FN: "FN: a mass in the report, none on the map",
}


@dataclass(frozen=True, slots=True)
class _Member:
    """One image of a pool, with what the archive has of it."""

    image_key: int
    image_id: str
    quadrant: Quadrant
    p_mass: float
    score: float
    study_id: str
    side: str
    view: str
    pixel_sha: str


# What makes an image of a pool a sure one: high p_mass, high score, or both.
_SURE: dict[Quadrant, Callable[[_Member], float]] = {
    Quadrant.TP: lambda member: member.p_mass * member.score,
    Quadrant.FP: lambda member: member.score,
    Quadrant.FN: lambda member: member.p_mass,
}


@dataclass(frozen=True)
class _Chosen:
    """The images of one gallery."""

    heading: str
    how: str
    members: Sequence[_Member]


@dataclass(frozen=True)
class _Reports:
    """The reports of some images, by study."""

    sections: Mapping[str, Sections]

    def sentence(self, member: _Member) -> str:
        """Return the sentence to quote on the image's breast."""
        report = self.sections.get(member.study_id)
        return sentence_on(report, Side(member.side)) if report else "no report"

    def disagreement(self, member: _Member) -> float:
        """Return how far the label is from what the keyword rules read of this breast, 0.5 to 1.

        0 where both are on the same side of 0.5, and where the rules read nothing.
        """
        report = self.sections.get(member.study_id)
        rules = read_by_rules(report)[Side(member.side)] if report else math.nan
        return 0.0 if math.isnan(rules) or (rules > 0.5) == (member.p_mass > 0.5) else abs(rules - member.p_mass)

    def flag(self, member: _Member) -> str:
        """Return in words that rules and label differ; "" where they agree."""
        if not self.disagreement(member):
            return ""
        return f"rules read {'no mass' if member.p_mass > 0.5 else 'a mass'} here, the label is {member.p_mass:.2f}"


def mined(run: RunFolder, archive: Archive, *, config: RunConfig) -> list[MinedGallery]:
    """Return images of the last round's last pool: the surest of each quadrant, and those whose report is in doubt.

    Nothing without a round.
    """
    rounds = run.rounds()
    if not rounds:
        return []
    last = rounds[-1]
    members = _members(read_pool(last.pools.path(last.pools.result().pools[-1].file)), archive)
    chosen = [_surest(members, quadrant) for quadrant in POOLS]
    looked_at = members[:MOST_READ]
    studies = {member.study_id for member in (*looked_at, *(each for part in chosen for each in part.members))}
    reports = _reports(archive, sorted(studies), config=config)
    chosen.append(_in_doubt(looked_at, reports, num_pooled=len(members)))
    maps = read_maps(last.predictions, [member.image_key for part in chosen for member in part.members])
    return [
        MinedGallery(
            part.heading,
            part.how,
            [_item(member, maps.get(member.image_key), reports, archive) for member in part.members],
        )
        for part in chosen
        if part.members
    ]


def _members(pool: pa.Table, archive: Archive) -> list[_Member]:
    """Return the pool's images in its order."""
    kept = ["study_id", "side", "view", "pixel_sha"]
    images = archive.table("images", columns=["image_id", *kept])
    images = images.filter(pc.field("image_id").isin(pool["image_id"].combine_chunks()))
    known = {row.pop("image_id"): row for row in images.to_pylist()}
    rows = pool.select(["image_key", "image_id", "quadrant", "p_mass", "score"]).to_pylist()
    return [_Member(**{**row, **known[row["image_id"]], "quadrant": Quadrant(row["quadrant"])}) for row in rows]


def _surest(members: Sequence[_Member], quadrant: Quadrant) -> _Chosen:
    """Choose the images of a quadrant of which map and report are surest."""
    of_quadrant = [member for member in members if member.quadrant == quadrant]
    shown = sorted(of_quadrant, key=lambda member: (-_SURE[quadrant](member), member.image_key))[:NUM_SHOWN]
    return _Chosen(POOLS[quadrant], f"The surest {len(shown)} of {text.number(len(of_quadrant))}.", shown)


def _in_doubt(looked_at: Sequence[_Member], reports: _Reports, *, num_pooled: int) -> _Chosen:
    """Choose the images whose report the rules read otherwise than the label has it."""
    found = [(by, member) for member in looked_at if (by := reports.disagreement(member))]
    found.sort(key=lambda each: (-each[0], each[1].image_key))
    rest = f" looked at (of {text.number(num_pooled)} in the pool)" if num_pooled > len(looked_at) else ""
    how = (
        f"Of {text.number(len(looked_at))} images{rest} {text.number(len(found))} have a report that keyword rules "
        "read otherwise than the label that was learned from. Shown: the greatest differences. One of both is wrong; a "
        "radiologist can settle it (mammoloop review)."
    )
    return _Chosen("Reports that rules and label read differently", how, [member for _, member in found[:NUM_SHOWN]])


def _reports(archive: Archive, studies: Sequence[str], *, config: RunConfig) -> _Reports:
    reports = archive.table("reports").filter(pc.field("study_id").isin(pa.array(studies, pa.string())))
    read = read_reports(reports, config=config.reports)
    return _Reports(dict(zip(read.studies, read.sections, strict=True)))


def _item(member: _Member, probability: NDArray[np.float32] | None, reports: _Reports, archive: Archive) -> MinedItem:
    return MinedItem(
        image=archive.pixels(member.pixel_sha),
        probability=probability,
        sentence=reports.sentence(member),
        caption=(
            f"{member.side} {member.view}, {member.quadrant.name}, label {member.p_mass:.2f}, map {member.score:.2f}"
        ),
        image_id=member.image_id,
        flag=reports.flag(member),
    )
