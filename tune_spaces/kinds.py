"""What a trial of a sweep does, of each kind, and which settings it uses."""

from dataclasses import dataclass

_WHOLE_LOSS = ("loss.",)
_OF_STAGE_1 = (
    *("loss.alpha", "loss.gamma", "loss.class_strong", "loss.class_gradient", "loss.pixel_mean"),
    *("stage1.", "net.", "strong_share", "infer.flip_average"),
)
_OF_A_RETRAINING = (
    *("rounds.train.", "rounds.epoch_of_stage1", "rounds.strong_in_batch.", "rounds.fn_in_batch", "rounds.disputed"),
    *("strong_share", "infer.flip_average"),
)
_OF_MASKS = (
    *("infer.refine.backend", "infer.refine.params.", "infer.refine.mask_threshold", "infer.refine.mask_extent"),
    "infer.refine.min_candidate_px",
)
_OF_ROUNDS = ("rounds.num_rounds", "rounds.p0.", "rounds.promote", "rounds.patience", "weak_share")


@dataclass(frozen=True, slots=True)
class Kind:
    """What a trial does."""

    does: str  # in words
    uses: tuple[str, ...]  # keys of the configuration that change what it comes to; those that end in . with all below
    trains: bool = True

    def uses_key(self, key: str) -> bool:
        """Return whether a setting changes what a trial comes to."""
        return any(key == own or (own.endswith(".") and key.startswith(own)) for own in self.uses)


KINDS: dict[str, Kind] = {
    "stage1": Kind("trains on the annotated images alone", _OF_STAGE_1),
    "retrain": Kind("retrains on the frozen pools of one round", (*_WHOLE_LOSS, *_OF_A_RETRAINING)),
    "loop": Kind(
        "runs whole rounds: infers, mines and retrains",
        (*_WHOLE_LOSS, *_OF_STAGE_1, *_OF_A_RETRAINING, *_OF_MASKS, *_OF_ROUNDS),
    ),
    "refine": Kind("makes masks of stored maps, without a training", _OF_MASKS, trains=False),
}
"""What a trial can be; every kind is judged on the validation patients."""


def kinds_that_use(key: str) -> list[str]:
    """Return the kinds of trial that a setting changes."""
    return [name for name, kind in KINDS.items() if kind.uses_key(key)]


def keeps_stage1(keys: list[str]) -> bool:
    """Return whether Stage 1 is the same whatever these settings are, so that trials can share it."""
    return not any(KINDS["stage1"].uses_key(key) for key in keys)
