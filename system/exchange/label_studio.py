"""Label Studio: tasks with the candidates as predictions, and the labeling interface for them.

Format: labelstud.io/guide/predictions, labelstud.io/tags. Places are in percent of the picture, from its top left
corner. Pictures are local files: `d` is their path below LOCAL_FILES_DOCUMENT_ROOT (labelstud.io/guide/storage).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from system.exchange.candidates import ImageCandidates
from system.exchange.coco import CANDIDATE, MASS

PICTURE, BOXES, OUTLINES, VERDICT = "picture", "box", "outline", "verdict"  # tags of the interface
ANSWERS = ("mass", "no mass", "unsure")


@dataclass(frozen=True, slots=True)
class Beside:
    """What is shown beside a picture."""

    title: str  # breast, view and why it was chosen
    sentence: str  # of the report, on this breast
    views: str  # file with all views of the study


def as_label_studio(
    images: Sequence[ImageCandidates], beside: Sequence[Beside], *, folder: str, model: str
) -> list[dict[str, Any]]:
    """Return one task an image.

    folder: of the pictures' names, below the document root;  model: name of the version
    """
    return [
        {
            "id": image.image_id,
            "data": {
                "image": _address(f"{folder}/{image.file}"),
                "views": _address(f"{folder}/{shown.views}"),
                "title": shown.title,
                "sentence": shown.sentence,
            },
            "predictions": [
                {
                    "model_version": model,
                    "score": max((candidate.score for candidate in image.candidates), default=0.0),
                    "result": _boxes(image),
                }
            ],
        }
        for image, shown in zip(images, beside, strict=True)
    ]


def _address(path: str) -> str:
    return f"/data/local-files/?d={quote(path)}"


def _boxes(image: ImageCandidates) -> list[Mapping[str, Any]]:
    across, down = 100 / image.cols, 100 / image.rows
    return [
        {
            "id": f"candidate-{image.image_id}-{number}",
            "type": "rectanglelabels",
            "from_name": BOXES,
            "to_name": PICTURE,
            "original_width": image.cols,
            "original_height": image.rows,
            "image_rotation": 0,
            "score": round(candidate.score, 6),
            "value": {
                "x": x0 * across,
                "y": y0 * down,
                "width": (x1 - x0) * across,
                "height": (y1 - y0) * down,
                "rotation": 0,
                "rectanglelabels": [CANDIDATE.name],
            },
        }
        for number, candidate in enumerate(image.candidates, start=1)
        for x0, y0, x1, y1 in [candidate.box_px]
    ]


def interface() -> str:
    """Return the labeling interface: the picture with brightness and contrast, boxes, outlines, and three answers."""
    keys = "".join(f'<Choice value="{answer}" hotkey="{key}"/>' for key, answer in enumerate(ANSWERS, start=1))
    return f"""<View>
  <Header value="$title"/>
  <Text name="sentence" value="$sentence"/>
  <Choices name="{VERDICT}" toName="{PICTURE}" choice="single" showInline="true">{keys}</Choices>
  <RectangleLabels name="{BOXES}" toName="{PICTURE}" canRotate="false" strokeWidth="2" opacity="0">
    <Label value="{MASS.name}" background="#ffd60a"/><Label value="{CANDIDATE.name}" background="#3fa7ff"/>
  </RectangleLabels>
  <PolygonLabels name="{OUTLINES}" toName="{PICTURE}" strokeWidth="2" opacity="0">
    <Label value="{MASS.name}" background="#ffd60a"/>
  </PolygonLabels>
  <Image name="{PICTURE}" value="$image" zoom="true" zoomControl="true" brightnessControl="true"
         contrastControl="true" rotateControl="false" maxWidth="100%"/>
  <Image name="views" value="$views" zoom="true" zoomControl="true" maxWidth="100%"/>
</View>
"""
