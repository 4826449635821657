"""How a source folder becomes an archive."""

import hashlib
from typing import Literal

from pydantic import Field, model_validator

from system.imaging import DicomConfig, ImagingConfig
from system.settings import Settings


class SplitConfig(Settings):
    """The share of patients in each split; the four sum to 1."""

    strong: float = Field(default=0.15, ge=0, le=1)  # pixel masks are used
    weak: float = Field(default=0.55, ge=0, le=1)  # only the report is used
    validation: float = Field(default=0.10, ge=0, le=1)
    test: float = Field(default=0.20, ge=0, le=1)
    # by_hash: each patient alone. The order and the number of ingests do not matter; the shares hold on average.
    # by_count: the patients of one ingest together. The shares hold as nearly as whole numbers can; for small sets that
    # are ingested once.
    draw: Literal["by_hash", "by_count"] = "by_hash"
    # Begin the draw after this share of the patients: with test 0.5, rotate 0 and 0.5 are two folds.
    rotate: float = Field(default=0.0, ge=0, lt=1)
    # Of one Patient ID. One with more is of several people: never held out, like an ID that stands for nobody.
    max_studies: int = Field(default=30, ge=1)  # one a year from 45 to 74
    max_birth_dates: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _sum_to_one(self) -> "SplitConfig":
        total = self.strong + self.weak + self.validation + self.test
        if abs(total - 1) > 1e-6:
            raise ValueError(f"the shares of strong, weak, validation and test sum to {total:g}, expected 1")
        return self


class IngestConfig(Settings):
    """The size of views, the shares of the splits, and how the files are read."""

    imaging: ImagingConfig = ImagingConfig()
    split: SplitConfig = SplitConfig()
    # text that a new archive's key is made of; "" = a random key. For synthetic data only: a config is no secret
    fixed_key: str = ""
    settle_s: float = Field(default=0.0, ge=0)  # a file that was changed later than so many seconds ago waits
    force: bool = False  # read files again that were read before, and replace their images and masks
    dicom: DicomConfig = DicomConfig()
    memory_mib: int = Field(default=3072, ge=256)  # limit for reading one file; more ends that reading, not the job
    timeout_s: float = Field(default=120.0, gt=0)  # limit for reading one file
    files_per_task: int = Field(default=32, ge=1)
    files_per_commit: int = Field(default=2000, ge=1)  # rows of `files` written at once: a killed job reads these again

    def site_key(self) -> bytes:
        """Return the 32 bytes made of `fixed_key`; empty bytes when the key shall be random."""
        return hashlib.sha256(self.fixed_key.encode()).digest() if self.fixed_key else b""
