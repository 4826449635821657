"""Candidates in forms that other programs read; pixels are those of the source image.

candidates.py  one image and its candidates, in source pixels
coco.py        COCO JSON
"""

from system.exchange.candidates import ImageCandidates, SourceCandidate, to_source
from system.exchange.coco import CANDIDATE, MASS, Category, as_coco

__all__ = ["CANDIDATE", "MASS", "Category", "ImageCandidates", "SourceCandidate", "as_coco", "to_source"]
