"""Findings in forms that other programs read; pixels are those of the source image. May import imaging, records and settings.

findings.py  one image and its candidates, in source pixels
coco.py      COCO JSON
csv_out.py   CSV, safe to open in a spreadsheet
"""

from system.exchange.coco import as_coco
from system.exchange.csv_out import write_csv
from system.exchange.findings import Finding, ImageFindings, to_source

__all__ = ["Finding", "ImageFindings", "as_coco", "to_source", "write_csv"]
