"""Inference ahead of a round: weak images are looked at as they arrive, so that the round finds it done.

```
RUN/ahead/MODEL/part_001 …      predictions of the model of this name; the round takes them over (maps_kept.py)
```
"""

from dataclasses import dataclass
from itertools import count
from pathlib import Path

from system.run.results import InferResult
from system.run.stage import Stage


@dataclass(frozen=True)
class Ahead:
    """What one model has looked at ahead."""

    run: Path
    model: str  # its name, System.model_name

    @property
    def folder(self) -> Path:
        """Where its inferences lie."""
        return self.run / "ahead" / self.model

    def parts(self) -> list[Stage[InferResult]]:
        """Return the inferences that are finished, in order."""
        found: list[Stage[InferResult]] = []
        while (following := self._part(len(found) + 1)).finished:
            found.append(following)
        return found

    def next(self) -> Stage[InferResult]:
        """Return the inference to do: the first that is not finished."""
        return next(part for number in count(1) if not (part := self._part(number)).finished)

    def _part(self, number: int) -> Stage[InferResult]:
        return Stage(self.run, f"ahead/{self.model}/part_{number:03d}", InferResult)
