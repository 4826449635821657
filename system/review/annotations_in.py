"""Read what an annotation tool wrote, in whichever of the known forms, and the answers that were given in it."""

import json
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from system.errors import Mistakes, UserError
from system.mining import VERDICTS
from system.review.annotations import DrawnFile
from system.review.coco_in import of_coco
from system.review.cvat_in import read_cvat
from system.review.label_studio_in import read_label_studio
from system.review.pictures import find_picture
from system.review.sheet import Judgement


def read_drawn(path: Path, *, mistakes: Mistakes) -> DrawnFile:
    """Return the content of a COCO JSON, a JSON of Label Studio, or an XML of CVAT for images.

    What belongs to nothing is added to the mistakes. Raises UserError for any other file.
    """
    data = path.read_bytes()
    if zipfile.is_zipfile(path):
        raise UserError(f"{path.name} is a ZIP: unpack it, and give the file of annotations in it")
    if data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return read_cvat(data, path, mistakes=mistakes)
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path.name} is no COCO file ({error}): export it as COCO JSON") from None
    if isinstance(content, list) and content:
        return read_label_studio(content, path, mistakes=mistakes)
    return of_coco(content, path, mistakes=mistakes)


def answered(lines: Sequence[Judgement], drawn: DrawnFile, *, sheet: str, mistakes: Mistakes) -> list[Judgement]:
    """Return a sheet's lines with the verdicts that were given in the tool; one that contradicts them is a mistake."""
    keys = [line.key for line in lines]
    answers: dict[str, str] = {}
    for name, answer in drawn.answers.items():
        key = find_picture(name, list(dict.fromkeys(keys)))
        if not key:
            mistakes.add(f"{drawn.name}: {answer[:20]!r} is the answer for {name[-60:]!r}, which is none of {sheet}")
        elif answer in VERDICTS:
            answers[key] = answer
        elif answer:
            mistakes.add(f"{drawn.name}: {name[-60:]!r}: expected one of {sorted(VERDICTS)}, found {answer[:20]!r}")
    for line in lines:
        if line.verdict and answers.get(line.key, line.verdict) != line.verdict:
            mistakes.add(
                f"{sheet} line {line.line}: the verdict is {line.verdict!r}, in {drawn.name} it is "
                f"{answers[line.key]!r}: keep one of them"
            )
    return [line if line.verdict else replace(line, verdict=answers.get(line.key, "")) for line in lines]
