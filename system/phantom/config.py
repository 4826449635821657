"""Difficulty, size and variety of the synthetic exams."""

from typing import Self

from pydantic import Field, model_validator

from system.settings import Settings


class PhantomConfig(Settings):
    """Settings of the synthetic archive; the same settings and seed give the same bytes."""

    height_px: int = Field(default=320, ge=64, le=4096, description="rows of every image")
    width_px: int = Field(default=256, ge=48, le=4096, description="columns of every image")
    field_height_mm: float = Field(
        default=200.0, ge=100, le=400, description="height that the rows cover; it gives the pixel spacing"
    )

    mass_share: float = Field(default=0.5, ge=0, le=1, description="share of patients with a mass")
    second_mass_share: float = Field(
        default=0.1, ge=0, le=1, description="share of patients with a mass who have a second one, in either breast"
    )
    one_view_share: float = Field(
        default=0.15, ge=0, le=1, description="share of masses visible in only one of the two views"
    )
    contrast_low: float = Field(
        default=0.12, ge=0, le=1, description="a mass's added brightness at its centre, share of full scale"
    )
    contrast_high: float = Field(default=0.35, ge=0, le=1, description="upper end of that range")
    diameter_mm_low: float = Field(default=5.0, ge=2, le=60, description="smallest mass")
    diameter_mm_high: float = Field(default=30.0, ge=2, le=60, description="largest mass")

    num_distractors_low: int = Field(
        default=1, ge=0, le=20, description="smallest number of glandular clumps that resemble a mass, per patient"
    )
    num_distractors_high: int = Field(default=4, ge=0, le=20, description="largest number of them")
    bilateral_share: float = Field(
        default=0.7, ge=0, le=1, description="share of the clumps that appear in both breasts"
    )
    calcification_share: float = Field(default=0.2, ge=0, le=1, description="share of breasts with calcifications")
    lymph_node_share: float = Field(
        default=0.2, ge=0, le=1, description="share of breasts with a lymph node in the MLO view's axilla"
    )
    symmetry: float = Field(
        default=0.8, ge=0, le=1, description="share of the coarse tissue's power that both breasts have in common"
    )

    wrong_report_share: float = Field(
        default=0.05, ge=0, le=1, description="share of reports that omit, invent or misplace a mass"
    )
    sideless_share: float = Field(default=0.01, ge=0, le=1, description="share of reports that do not name the breast")
    chinese_share: float = Field(
        default=0.5, ge=0, le=1, description="share of reports in Chinese; the rest are English"
    )
    jpeg2000_share: float = Field(
        default=0.25, ge=0, le=1, description="share of files compressed with lossless JPEG 2000"
    )
    monochrome1_share: float = Field(default=0.2, ge=0, le=1, description="share of exams stored as MONOCHROME1")
    marker_share: float = Field(
        default=0.1, ge=0, le=1, description="share of files with a side marker burnt into the air"
    )

    @model_validator(mode="after")
    def _check_ranges(self) -> Self:
        for name in ("contrast", "diameter_mm", "num_distractors"):
            low, high = getattr(self, f"{name}_low"), getattr(self, f"{name}_high")
            if low > high:
                raise ValueError(f"{name}_low is {low}, above {name}_high = {high}; swap them")
        return self

    @property
    def spacing_mm(self) -> float:
        """Distance between neighbouring pixel centres, both ways."""
        return self.field_height_mm / self.height_px
