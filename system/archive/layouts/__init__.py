"""How a source folder is laid out: which files are images, what is known of them, and where the reports are.

layout.py        the interface of a layout, and its records
report_table.py  reports.csv or reports.parquet
dicom.py         DICOM files with a table of reports and, where masses are known, truth.csv and masks/
views.py         DICOM, PNG and PGM files in any arrangement, without reports and without truth
mini_mias.py     the mini-MIAS films in their original form
cbis_ddsm.py     CBIS-DDSM: digitised films, masses and calcifications outlined
inbreast.py      INbreast: full-field images with outlines
vindr_mammo.py   VinDr-Mammo: full-field images with boxes
cmmd.py          CMMD: full-field images, the proven lesion of each breast
"""

from system.archive.layouts.cbis_ddsm import CbisDdsm
from system.archive.layouts.cmmd import Cmmd
from system.archive.layouts.dicom import DicomFolder
from system.archive.layouts.inbreast import InBreast
from system.archive.layouts.layout import Layout, SourceItem, SourceReport
from system.archive.layouts.mini_mias import MiniMias
from system.archive.layouts.views import ViewFolder
from system.archive.layouts.vindr_mammo import VinDrMammo

LAYOUTS: dict[str, Layout] = {
    "dicom": DicomFolder(name="dicom", report_source="hospital"),
    "phantom": DicomFolder(name="phantom", report_source="phantom"),
    "views": ViewFolder(),
    "mini-mias": MiniMias(),
    "cbis-ddsm": CbisDdsm(),
    "inbreast": InBreast(),
    "vindr-mammo": VinDrMammo(),
    "cmmd": Cmmd(),
}

__all__ = ["LAYOUTS", "Layout", "SourceItem", "SourceReport"]
