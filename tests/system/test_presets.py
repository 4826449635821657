import pytest

from system.config import DemoConfig, RunConfig
from system.presets import PRESETS
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


def test_the_cluster_runs_the_papers_method() -> None:
    paper, cluster = PRESETS["paper"](), PRESETS["cluster"]()
    for part in ("ingest", "net", "loss", "stage1", "rounds", "froc", "method", "strong_share"):
        assert getattr(cluster, part) == getattr(paper, part)


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
