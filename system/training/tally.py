"""What an epoch has come to so far."""

from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Tally:
    """Sums over the steps taken; plain numbers, so that a checkpoint in mid-epoch holds them."""

    losses: dict[str, float] = field(default_factory=dict)  # over good steps
    gradient_norm: float = 0.0  # over good steps
    good: int = 0
    bad: int = 0  # skipped, because loss or gradient was not finite
    bad_in_a_row: int = 0
    images: int = 0  # of this worker
    wait_s: float = 0.0  # for data
    duration_s: float = 0.0

    @property
    def steps(self) -> int:
        """Steps taken, good and bad."""
        return self.good + self.bad

    def with_good(self, losses: dict[str, float], *, gradient_norm: float) -> "Tally":
        """Return the tally after a good step."""
        sums = {name: self.losses.get(name, 0.0) + value for name, value in losses.items()}
        return replace(
            self, losses=sums, gradient_norm=self.gradient_norm + gradient_norm, good=self.good + 1, bad_in_a_row=0
        )

    def with_bad(self) -> "Tally":
        """Return the tally after a step that was skipped."""
        return replace(self, bad=self.bad + 1, bad_in_a_row=self.bad_in_a_row + 1)

    def with_work(self, *, images: int, wait_s: float, duration_s: float) -> "Tally":
        """Return the tally with a step's images and times added, in seconds."""
        return replace(
            self, images=self.images + images, wait_s=self.wait_s + wait_s, duration_s=self.duration_s + duration_s
        )
