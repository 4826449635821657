"""Show whether an archive has enough data for a configuration: what trains, what chooses, what measures, what is mined.

Reads the tables alone, no pixels. Nothing here starts Ray or writes.
"""

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc

from pipelines.tools.doctor import Check, Level
from system.archive import Archive
from system.archive.amounts import Amount, amounts
from system.errors import UserError
from system.metrics.expected import surest, wilson
from system.records import Split, p0_text
from system.reports.annotated import NO_FOLD, Reports, plan_training, read_reports
from system.training.samples import keep_share

if TYPE_CHECKING:
    from system.config import RunConfig
    from system.training.config import TrainConfig

WIDE = 0.3  # of a 95 % interval: about 40 cases; the differences between rounds are smaller
_SHARE = 0.7  # a sensitivity to give an interval for


def run(archive_uri: str, config: "RunConfig") -> list[Check]:
    """Look at everything in an archive that a run of this configuration learns from, chooses by or is measured on.

    Raises UserError where there is no archive.
    """
    archive = Archive.open(archive_uri)
    masks = archive.table("masks")
    images = keep_share(archive.table("images"), masks, share=config.strong_share)
    found = amounts(images, masks)
    reports = read_reports(archive.table("reports"), config=config.reports)
    return [
        check_training(found[Split.STRONG], config),
        check_held_out("validation", found[Split.VALIDATION], "models are chosen by them"),
        check_held_out("test", found[Split.TEST], "the result is measured on them"),
        _reports(archive, reports, config),
        _weak(archive, found[Split.WEAK], reports),
        *_sure(archive, config),
    ]


def check_training(strong: Amount, config: "RunConfig") -> Check:
    """Hold the outlined masses against the batches and steps that are to show them."""
    subject = "masses that train"
    if not strong.num_lesions:
        remedy = "outline masses of patients in split strong (truth.csv, or `mammoloop review`)"
        return Check(subject, Level.MISSING, f"none outlined in {strong.num_images} images of split strong", remedy)
    found = f"{strong.num_lesions} outlined, in {strong.num_images_with_mass} images of "
    found += f"{strong.num_patients_with_mass} patients"
    places = _positive_places(config.stage1)
    if strong.num_images_with_mass < places:
        remedy = f"outline more, or set stage1.batch_size to at most {config.stage1.batch_size // places}"
        remedy += f" times {strong.num_images_with_mass}, and rounds.train.batch_size likewise"
        return Check(
            subject, Level.ADVICE, f"{found}; a batch has {places} places for them, so it repeats images", remedy
        )
    steps = config.stage1.steps_per_epoch or math.ceil(strong.num_images_with_mass / places)
    shown = steps * places / strong.num_images_with_mass
    epochs = config.stage1.num_epochs
    return Check(subject, Level.OK, f"{found}; Stage 1 shows each {shown:.3g} times an epoch, {epochs} epochs at most")


def _positive_places(train: "TrainConfig") -> int:
    return max(1, round(train.batch_size / (1 + train.negatives_per_positive)))


def check_held_out(split: str, held_out: Amount, use: str) -> Check:
    """Return how wide the interval of a sensitivity will be at so many masses. use: what they are for."""
    subject = f"masses in {split}"
    if not held_out.num_lesions:
        found = f"none in {held_out.num_images} images of {held_out.num_patients} patients, and {use}"
        return Check(subject, Level.MISSING, found, f"give patients with outlined masses to split {split}")
    # Lesions of a patient are found or missed together, so patients are what intervals are taken over.
    low, high = wilson(_SHARE, num_cases=held_out.num_patients_with_mass)
    found = f"{held_out.num_lesions} of {held_out.num_patients_with_mass} patients; a sensitivity of {_SHARE:g} will "
    found += f"have a 95 % interval of about {low:.2f} to {high:.2f}"
    if high - low > WIDE:
        remedy = f"{use}: differences below {(high - low) / 2:.2f} are hard to tell from chance; "
        remedy += f"have more patients with a mass in split {split}"
        return Check(subject, Level.ADVICE, found, remedy)
    return Check(subject, Level.OK, found)


def _reports(archive: Archive, reports: Reports, config: "RunConfig") -> Check:
    """Hold the reports of annotated patients against what the models need, and against p0."""
    subject = "reports that teach"
    try:
        training = plan_training(reports, archive.table("images"), archive.table("masks"), config=config.reports)
    except UserError as error:
        return Check(subject, Level.MISSING, str(error), "annotate more patients who have a report")
    taught = training.folds != NO_FOLD
    truth = training.truth[taught]
    return check_p0(int(taught.sum()), int((truth == 1).sum()), int((truth == 0).sum()), config)


def check_p0(num_reports: int, num_with: int, num_without: int, config: "RunConfig") -> Check:
    """Hold the surest that so few taught breasts let one be against p0. num_with, num_without: breasts, by a mass."""
    subject, start = "reports that teach", config.rounds.p0.start
    found = f"{num_reports}: {num_with} breasts with a mass, {num_without} without"
    limit = surest(min(num_with, num_without))
    if limit < start:
        last = config.rounds.p0.values(config.rounds.train.num_epochs)[-1]
        found += f"; that they are read rightly can be known to {limit:.2f} at best, p0 goes from {p0_text(start)} to "
        found += p0_text(last)
        remedy = "p0 above that may let few reports in: annotate more patients who have a report, or lower "
        return Check(subject, Level.ADVICE, found, f"{remedy}rounds.p0.start")
    return Check(subject, Level.OK, f"{found}; enough for a p0 of {p0_text(start)}")


def _weak(archive: Archive, weak: Amount, reports: Reports) -> Check:
    images = archive.table("images", columns=["study_id", "split"])
    studies = set(images.filter(pc.field("split") == str(Split.WEAK))["study_id"].to_pylist())
    read = set(np.array(reports.studies, dtype=object)[reports.named].tolist())
    found = f"{len(studies & read)} of {len(studies)} weak studies have a report that names a breast "
    found += f"({weak.num_images} images)"
    if not studies & read:
        return Check("reports to mine", Level.MISSING, found, "take reports in with `mammoloop reports`")
    return Check("reports to mine", Level.OK, found)


def _sure(archive: Archive, config: "RunConfig") -> Iterator[Check]:
    """Give how many weak breasts are labelled surely enough for p0, where the archive has labels."""
    images = archive.table("images", columns=["study_id", "side", "split"]).to_pandas().drop_duplicates()
    labels = archive.table("labels", columns=["study_id", "side", "p_mass"]).to_pandas().dropna()
    weak = images[images["split"] == str(Split.WEAK)].merge(labels, on=["study_id", "side"])
    if len(weak):
        values = config.rounds.p0.values(config.rounds.train.num_epochs)
        yield check_sure(weak["p_mass"].to_numpy(), dict.fromkeys(values))


def check_sure(p_mass: np.ndarray, p0: Mapping[float, None]) -> Check:
    """Return how many labels are sure enough at each p0. p_mass: [N], 0 to 1;  p0: from the first to the last."""
    at = {each: int(((p_mass > each) | (p_mass < 1 - each)).sum()) for each in p0}
    found = f"of {len(p_mass)} labelled weak breasts, "
    found += ", ".join(f"{count} at p0 {p0_text(each)}" for each, count in at.items())
    subject = "labels sure enough"
    if not any(at.values()):
        nearest = float(np.maximum(p_mass, 1 - p_mass).max())
        remedy = f"the surest is {nearest:.2f}, so all pools would be empty: lower rounds.p0, or annotate more reports"
        return Check(subject, Level.MISSING, found, remedy)
    return Check(subject, Level.OK, found)
