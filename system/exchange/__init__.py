"""Candidates in forms that other programs read; pixels are those of the source image.

candidates.py  one image and its candidates, in source pixels
coco.py        COCO JSON
label_studio.py   tasks and interface of Label Studio
cvat.py        "CVAT for images 1.1"
"""

from system.exchange.candidates import ImageCandidates, SourceCandidate, to_source
from system.exchange.coco import CANDIDATE, MASS, Category, as_coco
from system.exchange.cvat import as_cvat, cvat_labels
from system.exchange.label_studio import Beside, as_label_studio, interface

__all__ = [
    "CANDIDATE",
    "MASS",
    "Beside",
    "Category",
    "ImageCandidates",
    "SourceCandidate",
    "as_coco",
    "as_cvat",
    "as_label_studio",
    "cvat_labels",
    "interface",
    "to_source",
]
