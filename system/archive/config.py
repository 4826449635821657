"""How a source folder becomes an archive."""

import hashlib

from pydantic import Field

from system.archive.splits import SplitConfig
from system.imaging import DicomConfig, ImagingConfig
from system.settings import Settings


class IngestConfig(Settings):
    """The size of views, the shares of the splits, and how the files are read."""

    imaging: ImagingConfig = ImagingConfig()
    split: SplitConfig = SplitConfig()
    # text that a new archive's key is made of; "" = a random key. For synthetic data only: a config is no secret
    fixed_key: str = ""
    force: bool = False  # read files again that were read before, and replace their images and masks
    dicom: DicomConfig = DicomConfig()
    memory_mib: int = Field(default=3072, ge=256)  # limit for reading one file; more ends that reading, not the job
    timeout_s: float = Field(default=120.0, gt=0)  # limit for reading one file
    files_per_task: int = Field(default=32, ge=1)
    files_per_commit: int = Field(default=2000, ge=1)  # rows of `files` written at once: a killed job reads these again

    def site_key(self) -> bytes:
        """Return the 32 bytes made of `fixed_key`; empty bytes when the key shall be random."""
        return hashlib.sha256(self.fixed_key.encode()).digest() if self.fixed_key else b""
