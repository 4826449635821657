"""The settings of imaging: which DICOM files are read, and the size of canonical views."""

from pydantic import Field, field_validator

from system.settings import Settings

MIB = 1024**2
COARSEST_STRIDE = 32  # of the networks' branches: each must hold a whole number of cells


class DicomConfig(Settings):
    """Which DICOM files are read, and the limits of their size."""

    allow_for_processing: bool = False  # raw detector values, Presentation Intent Type (0008,0068) FOR PROCESSING
    # of one picture; the largest digital mammography detector has about 20 million
    max_pixels: int = Field(default=60_000_000, ge=1)
    # of the file on disk; 60 million words of 16 bits are 115 MiB
    max_file_bytes: int = Field(default=256 * MIB, ge=1)
    max_inflated_bytes: int = Field(default=256 * MIB, ge=1)  # of a deflated file's header and pixels together


class ImagingConfig(Settings):
    """The size of every canonical view, in multiples of 32 px; it never changes within an archive."""

    height_px: int = Field(default=1024, ge=32, le=8192)
    width_px: int = Field(default=800, ge=32, le=8192)

    @field_validator("height_px", "width_px")
    @classmethod
    def _fits_every_stride(cls, size_px: int) -> int:
        if size_px % COARSEST_STRIDE:
            below = size_px // COARSEST_STRIDE * COARSEST_STRIDE
            raise ValueError(
                f"no network can take it: it is no multiple of {COARSEST_STRIDE}; "
                f"take {below} or {below + COARSEST_STRIDE}"
            )
        return size_px
