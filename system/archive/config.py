"""How a source folder becomes an archive."""

import hashlib

from pydantic import Field

from system.archive.splits import SplitConfig
from system.imaging import ImagingConfig
from system.settings import Settings


class IngestConfig(Settings):
    """The size of views, the shares of the splits, and how ingesting goes about it."""

    imaging: ImagingConfig = ImagingConfig()
    split: SplitConfig = SplitConfig()
    fixed_key: str = ""  # text that a new archive's key is made of; "" = a random key. For synthetic data only: a config is no secret
    overwrite: bool = False  # replace images that are there already, and their masks
    files_per_task: int = Field(default=32, ge=1)

    def site_key(self) -> bytes:
        """Return the 32 bytes made of `fixed_key`; empty when a random key is to be made."""
        return hashlib.sha256(self.fixed_key.encode()).digest() if self.fixed_key else b""
