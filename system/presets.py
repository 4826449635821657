"""Complete configurations by name; each is a function, to be read, called and changed like any other code."""

from collections.abc import Callable

from system.archive import IngestConfig, SplitConfig
from system.config import DemoConfig, ExamsConfig, RunConfig
from system.imaging import ImagingConfig
from system.losses import LossConfig
from system.metrics import FrocConfig
from system.mining import P0Schedule
from system.nets import NetConfig
from system.phantom import PhantomConfig
from system.refine import CrfParams, InferConfig, RefineConfig
from system.reports import ReportConfig
from system.resources import ClusterResources, InferResources, ReportResources, Resources, TrainResources
from system.rounds import RoundsConfig
from system.training.config import AugmentConfig, TrainConfig


def paper() -> RunConfig:
    """Return the settings of Tang et al. 2021 (docs/method.md), for four GPUs."""
    return RunConfig(
        resources=Resources(
            train=TrainResources(num_workers=4, cpus=8, gpus=1, loader_workers=6),
            infer=InferResources(num_predictors=4, predictor_gpus=0.5, calls_at_once=2),
            reports=ReportResources(fit_gpus=0.5, labeler_gpus=0.5),
        ),
    )


def cluster() -> RunConfig:
    """Return the paper's settings on a Ray cluster: eight training workers, inference on half GPUs."""
    base = paper()
    resources = base.resources.changed(
        cluster=ClusterResources(address="auto"),
        train=base.resources.train.changed(num_workers=8),
        infer=base.resources.infer.changed(num_predictors=8),
        reports=base.resources.reports.changed(fit_gpus=1.0, num_labelers=4),
    )
    return base.changed(resources=resources)


def workstation() -> RunConfig:
    """Return the paper's method on one GPU: a smaller backbone, half the size of image."""
    base = paper()
    resources = base.resources.changed(
        cluster=ClusterResources(address="local"),
        train=base.resources.train.changed(num_workers=1, cpus=4),
        infer=base.resources.infer.changed(num_predictors=1),
        reports=base.resources.reports.changed(fits_at_once=2),
    )
    return base.changed(
        ingest=IngestConfig(imaging=ImagingConfig(height_px=512, width_px=416)),
        net=NetConfig(backbone="hrnet_w18"),
        infer=InferConfig(refine=RefineConfig(params=CrfParams().scaled(0.5))),
        resources=resources,
    )


def demo() -> DemoConfig:
    """Return what two cores without a GPU finish in minutes, on synthetic exams.

    It differs from the paper where a few hundred steps from random weights ask for it: a small backbone and small
    images, a confident loss (alpha 0.75, gamma 1), binary pseudo masks (table 4's hard variant; soft ones fade when
    maps are faint) cut at a share of each candidate's own peak, image-level terms a hundred times lighter (their
    gradients would drown those of the mask term) and empty masks for FP in their place, a moving average of the
    weights, and p0 falling each epoch from where encoders fine-tuned on a few hundred reports begin to be sure. The
    smallest mass covers two cells of the map, so that masks and not resolution decide what is found.
    """
    train = TrainConfig(
        num_epochs=3,
        steps_per_epoch=40,
        learning_rate=2e-3,
        plan="cosine",
        warmup_steps=10,
        ema_decay=0.98,
        gradient_norm=5.0,
        augment=AugmentConfig(shift=0.05, gain=0.1),
    )
    return DemoConfig(
        strong_share=0.25,
        demo=ExamsConfig(
            num_exams=640,
            seed=1,
            phantom=PhantomConfig(
                height_px=256,
                width_px=192,
                contrast_low=0.28,
                contrast_high=0.55,
                diameter_mm_low=15.0,
                diameter_mm_high=35.0,
                num_distractors_low=1,
                num_distractors_high=3,
            ),
            split=SplitConfig(strong=0.05, weak=0.56, validation=0.12, test=0.27, draw="by_count"),
        ),
        ingest=IngestConfig(
            imaging=ImagingConfig(height_px=128, width_px=96),
            split=SplitConfig(strong=0.33, weak=0.33, validation=0.08, test=0.26, draw="by_count"),
        ),
        reports=ReportConfig.small_encoder(),
        net=NetConfig(backbone="hrnet_w18_small", pretrained=False, prior=0.02),
        loss=LossConfig(
            alpha=0.75,
            gamma=1.0,
            class_strong=0.003,
            class_weak=0.002,
            mask_weak=1.0,
            mask_labels="hard",
            empty_masks=True,
        ),
        stage1=train,
        rounds=RoundsConfig(
            num_rounds=2,
            p0=P0Schedule(start=0.85, step=0.05, every_epochs=1),
            train=train.changed(learning_rate=1e-3, class_factor=1.0),
        ),
        infer=InferConfig(
            batch_pairs=16,
            refine=RefineConfig(params=CrfParams().scaled(0.125), mask_extent=0.4, min_candidate_px=8),
        ),
        froc=FrocConfig(min_lesion_px=8, min_candidate_px=8),
        resources=Resources(
            cluster=ClusterResources(address="local", logical_cpus=4, object_store_bytes=512 * 1024**2),
            train=TrainResources(cpus=2, gpus=0, cache_images=4000),
            # Two readers suffice, and each process takes seconds to start.
            infer=InferResources(predictor_cpus=2.0, decode_cpus=1.0),
            reports=ReportResources(fits_at_once=2),
        ),
    )


PRESETS: dict[str, Callable[[], RunConfig]] = {
    "demo": demo,
    "workstation": workstation,
    "paper": paper,
    "cluster": cluster,
}
