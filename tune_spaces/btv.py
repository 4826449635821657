"""The spaces of the bilateral two-view method: two numbers of the focal loss, weights of the losses, learning rates.

Equations and the paper's choices are those of Tang et al. 2021.
"""

from itertools import product

from tune_spaces.space import Grid, Range, Search, Setting, Space

ALPHAS, GAMMAS = (0.25, 0.50, 0.75), (1.0, 2.0, 5.0)

PAPER_GRID: tuple[Setting, ...] = tuple(
    {"loss.alpha": alpha, "loss.gamma": gamma} for alpha, gamma in product(ALPHAS, GAMMAS)
)
"""The nine settings of the soft focal loss that the paper compares; it found alpha 0.25 with gamma 2 best."""

PAPER_CHOICE: Setting = {
    "loss.alpha": 0.25,
    "loss.gamma": 2.0,
    "loss.class_strong": 0.3,  # λ1
    "loss.mask_weak": 0.6,  # λ2
    "loss.class_weak": 0.2,  # λ3
}
"""The settings that the paper chose (eq. 5 and 6)."""

LOSS_RANGES = {
    "loss.alpha": Range(0.1, 0.9),
    "loss.gamma": Range(0.5, 5.0),
    "loss.class_strong": Range(0.03, 3.0, log=True),
    "loss.mask_weak": Range(0.06, 6.0, log=True),
    "loss.class_weak": Range(0.02, 2.0, log=True),
}
"""Each weight a decade around the paper's."""

TRAINING_RANGES = {
    "rounds.train.learning_rate": Range(1e-5, 1e-3, log=True),
    "rounds.train.class_factor": Range(1.0, 100.0, log=True),
}
"""The learning rate of a round, and the factor of its image-level branch; the paper has 1e-4 and 10."""

SPACES: dict[str, Space] = {
    "paper_grid": Grid(PAPER_GRID),
    "loss": Search(LOSS_RANGES, num_trials=30, first=(PAPER_CHOICE,)),
    "wide": Search(
        LOSS_RANGES | TRAINING_RANGES,
        num_trials=60,
        first=({**PAPER_CHOICE, "rounds.train.learning_rate": 1e-4, "rounds.train.class_factor": 10.0},),
    ),
}
