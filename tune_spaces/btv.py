"""The spaces of the bilateral two-view method: numbers of the focal loss, weights of the losses, rates, mining, masks.

Equations and the paper's choices are those of Tang et al. 2021.
"""

from tune_spaces.space import Choice, Range, Setting, Space

ALPHAS, GAMMAS = (0.25, 0.50, 0.75), (1.0, 2.0, 5.0)
"""The nine settings of the soft focal loss that the paper compares; it found alpha 0.25 with gamma 2 best."""

PAPER_CHOICE: Setting = {
    "loss.alpha": 0.25,
    "loss.gamma": 2.0,
    "loss.class_strong": 0.3,  # λ1
    "loss.mask_weak": 0.6,  # λ2
    "loss.class_weak": 0.2,  # λ3
}
"""The settings that the paper chose (eq. 5 and 6)."""

_LOSS = {
    "loss.alpha": Range(0.1, 0.9),
    "loss.gamma": Range(0.5, 5.0),
    "loss.class_strong": Range(0.03, 3.0, log=True),
    "loss.mask_weak": Range(0.06, 6.0, log=True),
    "loss.class_weak": Range(0.02, 2.0, log=True),
}
"""Each weight a decade around the paper's."""

_RETRAINING = {
    "rounds.train.learning_rate": Range(1e-5, 1e-3, log=True),
    "rounds.train.class_factor": Range(1.0, 100.0, log=True),
}
"""The learning rate of a round, and the factor of its image-level branch; the paper has 1e-4 and 10."""

_STAGE1 = {
    "loss.alpha": Range(0.1, 0.9),
    "loss.gamma": Range(0.5, 5.0),
    "stage1.learning_rate": Range(1e-5, 1e-2, log=True),
    "stage1.negatives_per_positive": Range(1, 8, whole=True),
}

_MINING = {
    "rounds.p0.start": Range(0.7, 0.99),
    "rounds.p0.step": Range(0.0, 0.15),
    "rounds.p0.every_epochs": Range(1, 5, whole=True),
    "rounds.train.negatives_per_positive": Range(1, 8, whole=True),
    "infer.refine.mask_threshold": Range(0.05, 0.7),
}
"""How sure reports must be, how fast that falls, and from which probability a map is a mask."""

_MASKS = {
    "infer.refine.mask_threshold": Range(0.05, 0.8),
    "infer.refine.mask_extent": Range(0.0, 0.8),
    "infer.refine.params.smoothness_sigma_px": Range(0.3, 5.0, log=True),
    "infer.refine.params.smoothness_weight": Range(0.0, 6.0),
    "infer.refine.params.position_sigma_px": Range(1.0, 20.0, log=True),
    "infer.refine.params.intensity_sigma": Range(12.0, 80.0, log=True),
    "infer.refine.params.appearance_weight": Range(0.0, 6.0),
}
"""The mask threshold, and the two kernels of the dense CRF."""

_TABLE_4 = {
    "loss.mask_labels": Choice(("soft", "hard")),
    "loss.report_labels": Choice(("soft", "hard")),
}

SPACES: dict[str, Space] = {
    "paper_grid": Space({"loss.alpha": Choice(ALPHAS), "loss.gamma": Choice(GAMMAS)}, grid=True),
    "labels": Space(_TABLE_4, grid=True),
    "loss": Space(_LOSS, num_trials=30, first=(PAPER_CHOICE,)),
    "wide": Space(
        _LOSS | _RETRAINING,
        num_trials=60,
        first=({**PAPER_CHOICE, "rounds.train.learning_rate": 1e-4, "rounds.train.class_factor": 10.0},),
    ),
    "stage1": Space(
        _STAGE1,
        num_trials=30,
        first=(
            {
                "loss.alpha": 0.25,
                "loss.gamma": 2.0,
                "stage1.learning_rate": 1e-4,
                "stage1.negatives_per_positive": 5,
            },
        ),
        kind="stage1",
    ),
    "mining": Space(
        _MINING,
        num_trials=20,
        first=(
            {
                "rounds.p0.start": 0.95,
                "rounds.p0.step": 0.1,
                "rounds.p0.every_epochs": 5,
                "rounds.train.negatives_per_positive": 5,
                "infer.refine.mask_threshold": 0.5,
            },
        ),
        kind="loop",
    ),
    "masks": Space(_MASKS, num_trials=200, kind="refine"),
}
