from collections import Counter
from hashlib import sha256
from pathlib import Path

import pytest

from system import recommendations
from system.archive.splits import Patient, assign_splits
from system.config import DemoConfig, RunConfig, differences
from system.presets import PRESETS
from system.records import Split
from system.training.config import TrainConfig


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_a_valid_configuration(name: str) -> None:
    preset = PRESETS[name]()
    assert type(preset).model_validate(preset.model_dump()) == preset
    assert RunConfig.model_validate(preset.of_run().model_dump()) == preset.of_run()


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_can_be_carried_out(name: str) -> None:
    preset = PRESETS[name]()
    imaging = preset.ingest.imaging
    assert imaging.height_px % 32 == imaging.width_px % 32 == 0  # the net's lowest branch has stride 32
    for train in (preset.stage1, preset.rounds.train):
        assert train.batch_size % preset.resources.train.num_workers == 0
        assert train.batch_size % (1 + train.negatives_per_positive) == 0


def test_the_papers_preset_has_the_papers_numbers() -> None:
    paper = PRESETS["paper"]()
    imaging, loss, p0 = paper.ingest.imaging, paper.loss, paper.rounds.p0
    assert (imaging.height_px, imaging.width_px) == (1024, 800)
    assert (paper.net.backbone, paper.net.pretrained) == ("hrnet_w48", True)
    assert (loss.alpha, loss.gamma, loss.class_strong, loss.mask_weak, loss.class_weak) == (0.25, 2, 0.3, 0.6, 0.2)
    assert (loss.mask_labels, loss.report_labels) == ("soft", "soft")
    assert (p0.start, p0.step, p0.every_epochs) == (0.95, 0.1, 5)
    assert (paper.rounds.num_rounds, paper.rounds.train.num_epochs, paper.rounds.train.class_factor) == (2, 15, 10)
    assert paper.strong_share == 1
    assert paper.reports.encoder == "hfl/chinese-roberta-wwm-ext"


def test_both_stages_of_the_paper_train_with_its_batches_and_rates() -> None:
    paper = PRESETS["paper"]()
    for train in (paper.stage1, paper.rounds.train):
        assert (train.batch_size, train.negatives_per_positive, train.learning_rate) == (24, 5, 1e-4)
    first = paper.stage1
    assert (first.num_epochs, first.plan, first.decay_every_epochs, first.decay_factor) == (50, "step", 10, 0.2)
    assert first.class_factor == 0  # stage 1 has no image-level branch


def test_the_cluster_runs_what_is_recommended() -> None:
    recommended, cluster = PRESETS["recommended"](), PRESETS["cluster"]()
    assert differences(recommended, cluster) == []
    assert cluster.ingest == recommended.ingest


@pytest.mark.parametrize("name", ["workstation", "films", "demo"])
def test_small_presets_follow_the_recommended_rounds(name: str) -> None:
    """They differ in size and length alone: what a batch holds, what trains, and what is promoted is the same."""
    preset, recommended = PRESETS[name](), PRESETS["recommended"]()
    for key in ("strong_in_batch", "fn_in_batch", "disputed", "promote", "patience", "control", "num_rounds"):
        assert getattr(preset.rounds, key) == getattr(recommended.rounds, key), key
    for key in ("class_gradient", "empty_masks", "report_weights"):
        assert getattr(preset.loss, key) == getattr(recommended.loss, key), key
    assert preset.froc.candidates == "own_peak"


def test_all_annotated_patients_of_the_paper_train_or_validate() -> None:
    """Tang et al. 2021, section 4.1: 10 to 1; none is weak, and those who test are others."""
    women = [
        Patient(sha256(f"{number}".encode()).hexdigest(), has_mass=number % 3 == 0, has_truth=True)
        for number in range(3753)
    ]
    counts = Counter(assign_splits(women, config=PRESETS["paper"]().ingest.split).values())
    assert counts == {Split.STRONG: 3412, Split.VALIDATION: 341}


def test_an_epoch_of_the_papers_rounds_has_twice_the_steps_of_stage_1() -> None:
    """By the hours of section 4.2, however many weak images are mined."""
    rounds = PRESETS["paper"]().rounds
    assert rounds.train.steps_per_epoch == 0
    assert rounds.steps_per_epoch(of_stage1=150) == 300


def test_the_papers_preset_has_none_of_what_the_paper_does_not_have() -> None:
    paper = PRESETS["paper"]()
    for train in (paper.stage1, paper.rounds.train):
        assert (train.augment.shift, train.augment.gain, train.augment.gamma) == (0, 0, 0)
        assert (train.gradient_norm, train.weight_decay, train.ema_decay, train.patience_epochs) == (0, 0, 0, 0)
    reports, refine, rounds = paper.reports, paper.infer.refine, paper.rounds
    assert (reports.mirrored, reports.calibrated, reports.pooler) == (False, False, False)
    assert (reports.validation_share, reports.max_tokens) == (0, 512)
    assert (refine.backend, refine.mask_threshold, refine.mask_extent, refine.min_candidate_px) == ("grid", 0.5, 0, 1)
    assert (paper.loss.class_gradient, paper.loss.empty_masks, paper.loss.report_weights) == (1, False, False)
    assert (rounds.promote, rounds.disputed, rounds.fn_in_batch) == ("always", "train", None)
    assert (rounds.strong_in_batch.positives, rounds.strong_in_batch.negatives) == (None, None)


def test_every_difference_of_the_recommended_settings_has_its_reason_and_no_other() -> None:
    assert {one.key for one in recommendations.differences()} == set(recommendations.REASONS)
    assert all(one.reason for one in recommendations.differences())


def test_the_page_on_the_method_shows_the_differences_as_they_are() -> None:
    page = (Path(__file__).parents[2] / "docs" / "method.md").read_text(encoding="utf8")
    assert recommendations.as_markdown() in page


def test_the_demo_needs_no_gpu_no_download_and_one_machine() -> None:
    demo = PRESETS["demo"]()
    train, infer, reports = demo.resources.train, demo.resources.infer, demo.resources.reports
    assert (train.gpus, infer.predictor_gpus, reports.fit_gpus, reports.labeler_gpus) == (0, 0, 0, 0)
    assert (demo.net.pretrained, demo.reports.encoder) == (False, "small")
    assert demo.resources.cluster.address == "local"


def test_training_by_default_is_stage_1_of_the_paper() -> None:
    assert PRESETS["paper"]().stage1 == TrainConfig()


@pytest.mark.parametrize("name", PRESETS)
def test_only_the_demo_has_settings_of_synthetic_exams(name: str) -> None:
    assert isinstance(PRESETS[name](), DemoConfig) is (name == "demo")
