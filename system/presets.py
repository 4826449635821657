"""Complete configurations by name; each is a function, to be read, called and changed like any other code.

paper        Tang et al. 2021 as it is printed, each key beside its section
recommended  what we put in its place, and why: system/recommendations.py, docs/method.md
workstation, cluster, films, demo follow recommended
"""

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
from system.training.config import AugmentConfig, StrongInBatch, TrainConfig

# Against steps that a rare batch makes too long, and films and machines that differ.
_STEADIER = {"gradient_norm": 5.0, "augment": AugmentConfig(shift=0.05, gain=0.1)}


def paper() -> RunConfig:
    """Return Tang et al. 2021 as it is printed, for four GPUs; what it leaves open is in docs/method.md.

    Its test set is another than its annotated patients (4.1), so the source must name the patients that test.
    """
    return RunConfig(
        ingest=IngestConfig(
            imaging=ImagingConfig(height_px=1024, width_px=800),  # 4.2
            # 4.1: training and validation 10 : 1 by patient; the weak patients are those without masks
            split=SplitConfig(strong=10 / 11, weak=0, validation=1 / 11, test=0, draw="by_count"),
        ),
        reports=ReportConfig(encoder="hfl/chinese-roberta-wwm-ext", num_folds=3),  # 3.2
        net=NetConfig(backbone="hrnet_w48", pretrained=True),  # 3.1, 4.2
        loss=LossConfig(
            alpha=0.25,  # 4.2, eq. 5
            gamma=2.0,
            class_strong=0.3,  # 4.2, eq. 6: λ1, λ2, λ3
            mask_weak=0.6,
            class_weak=0.2,
            mask_labels="soft",  # 3.3 (3), table 4
            report_labels="soft",
        ),
        stage1=TrainConfig(  # 4.2, as the next
            num_epochs=50,
            batch_size=24,
            negatives_per_positive=5,
            learning_rate=1e-4,
            plan="step",
            decay_every_epochs=10,
            decay_factor=0.2,
        ),
        rounds=RoundsConfig(
            num_rounds=2,
            p0=P0Schedule(start=0.95, step=0.1, every_epochs=5),
            train=TrainConfig(num_epochs=15, learning_rate=1e-4, plan="constant", class_factor=10.0),
            epoch_of_stage1=2.0,  # from the hours in 4.2
        ),
        # 3.3 (1): M_b = Dense CRF(M_p), at even odds, all of it
        infer=InferConfig(refine=RefineConfig(mask_threshold=0.5, min_candidate_px=1)),
        froc=FrocConfig(iou=0.2, fppi=(0.1, 0.2, 0.5, 1.0)),  # 4.3
        resources=Resources(
            train=TrainResources(num_workers=4, cpus=8, gpus=1, loader_workers=6),
            infer=InferResources(num_predictors=4, predictor_gpus=0.5, calls_at_once=2),
            reports=ReportResources(fit_gpus=0.5, labeler_gpus=0.5),
        ),
    )


def recommended() -> RunConfig:
    """Return what we recommend in place of the paper's settings; system/recommendations.py says why, key by key."""
    base = paper()
    rounds = base.rounds
    return base.changed(
        ingest=base.ingest.changed(split=SplitConfig(strong=0.75, weak=0, validation=0.10, test=0.15)),
        reports=ReportConfig.recommended(),
        loss=base.loss.changed(class_gradient=0.0, empty_masks=True, report_weights=True),
        stage1=base.stage1.changed(patience_epochs=12, **_STEADIER),
        rounds=rounds.changed(
            train=rounds.train.changed(**_STEADIER),
            strong_in_batch=StrongInBatch(positives=0.5, negatives=0.5),
            fn_in_batch=0.125,
            disputed="review",
            promote="better",
            patience=2,
        ),
        infer=base.infer.changed(
            refine=base.infer.refine.changed(mask_threshold="validation", mask_extent=0.4, min_candidate_px=30)
        ),
        froc=base.froc.changed(candidates="own_peak"),
        choose_candidate_threshold=False,
    )


def cluster() -> RunConfig:
    """Return the recommended settings on a Ray cluster: eight training workers, inference on half GPUs."""
    base = recommended()
    resources = base.resources.changed(
        cluster=ClusterResources(address="auto"),
        train=base.resources.train.changed(num_workers=8),
        infer=base.resources.infer.changed(num_predictors=8),
        reports=base.resources.reports.changed(fit_gpus=1.0, num_labelers=4),
    )
    return base.changed(resources=resources)


def workstation() -> RunConfig:
    """Return the recommended settings on one GPU: a smaller backbone, half the size of image."""
    base = recommended()
    resources = base.resources.changed(
        cluster=ClusterResources(address="local"),
        train=base.resources.train.changed(num_workers=1, cpus=4),
        infer=base.resources.infer.changed(num_predictors=1),
        reports=base.resources.reports.changed(fits_at_once=2),
    )
    return base.changed(
        ingest=base.ingest.changed(imaging=ImagingConfig(height_px=512, width_px=416)),
        net=NetConfig(backbone="hrnet_w18"),
        infer=base.infer.changed(refine=base.infer.refine.changed(params=CrfParams().scaled(0.5))),
        resources=resources,
    )


def films() -> RunConfig:
    """Return what a few dozen scanned films and two cores without a GPU allow: mini-MIAS, for one.

    A small backbone that knows photographs (`mammoloop weights convert`, docs/use.md), its first blocks frozen, learns
    the films in 80 steps. All views are MLO of one size of film, so they are mirrored up and down alone.
    """
    base, rounds = recommended(), recommended().rounds
    train = TrainConfig(
        num_epochs=4,
        steps_per_epoch=20,
        batch_size=6,
        negatives_per_positive=2,
        learning_rate=1e-3,
        backbone_factor=0.3,
        weight_decay=1e-4,
        plan="cosine",
        warmup_steps=20,
        ema_decay=0.98,
        gradient_norm=5.0,
        augment=AugmentConfig(flip_horizontal=0.0, scale=0.15, gamma=0.3),
    )
    return base.changed(
        ingest=IngestConfig(
            imaging=ImagingConfig(height_px=256, width_px=224),
            split=SplitConfig(strong=0.25, weak=0.15, validation=0.10, test=0.50, draw="by_count"),
        ),
        reports=ReportConfig.small_encoder(labels="rules"),  # dozens of reports fine-tune no encoder
        net=NetConfig(
            backbone="tf_efficientnet_lite0",
            weights="efficientnet_lite0.safetensors",
            decoder_width=64,
            input_mean=0.5,
            input_sd=0.5,
            frozen_blocks=2,
            prior=0.02,
        ),
        loss=base.loss.changed(alpha=0.75, gamma=1.0, mask_weak=1.0, mask_labels="hard"),
        stage1=train,
        rounds=rounds.changed(
            p0=P0Schedule(start=0.85, step=0.05, every_epochs=1),
            train=train.changed(class_factor=1.0),
        ),
        infer=base.infer.changed(
            flip_average="vertical",
            batch_pairs=8,
            refine=base.infer.refine.changed(
                mask_threshold="report_negatives", params=CrfParams().scaled(0.25), min_candidate_px=8
            ),
        ),
        froc=base.froc.changed(min_lesion_px=8, min_candidate_px=8),
        resources=_ON_TWO_CORES,
    )


def demo() -> DemoConfig:
    """Return what two cores without a GPU finish in minutes, on synthetic exams.

    Beside what it recommends for all, it differs from the paper where a few hundred steps from random weights ask for
    it: a small backbone and small images, a confident loss (alpha 0.75, gamma 1), binary pseudo masks (table 4's hard
    variant; soft ones fade when maps are faint), a moving average of the weights, and p0 falling each epoch from where
    encoders fine-tuned on a few hundred reports begin to be sure. The smallest mass covers two cells of the map, so
    that masks and not resolution decide what is found. The image-level branch, whose gradient moves no mask
    (loss.class_gradient), would take half of a round's training here, and is left out.
    """
    base = recommended()
    train = TrainConfig(
        num_epochs=3,
        steps_per_epoch=40,
        learning_rate=2e-3,
        plan="cosine",
        warmup_steps=10,
        ema_decay=0.98,
        **_STEADIER,
    )
    settings = base.changed(
        strong_share=0.25,
        ingest=IngestConfig(
            imaging=ImagingConfig(height_px=128, width_px=96),
            split=SplitConfig(strong=0.33, weak=0.33, validation=0.08, test=0.26, draw="by_count"),
        ),
        reports=ReportConfig.small_encoder(),
        net=NetConfig(backbone="hrnet_w18_small", pretrained=False, prior=0.02),
        loss=base.loss.changed(alpha=0.75, gamma=1.0, mask_weak=1.0, mask_labels="hard"),
        stage1=train.changed(num_epochs=6, patience_epochs=2),
        rounds=base.rounds.changed(
            p0=P0Schedule(start=0.85, step=0.05, every_epochs=1),
            train=train.changed(learning_rate=1e-3, class_factor=0.0),
        ),
        infer=base.infer.changed(
            batch_pairs=16,
            refine=base.infer.refine.changed(params=CrfParams().scaled(0.125), min_candidate_px=8),
        ),
        froc=base.froc.changed(min_lesion_px=8, min_candidate_px=8),
        resources=_ON_TWO_CORES,
    )
    exams = ExamsConfig(
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
    )
    return DemoConfig(**dict(settings), demo=exams)


_ON_TWO_CORES = Resources(
    cluster=ClusterResources(address="local", logical_cpus=4, object_store_bytes=512 * 1024**2),
    train=TrainResources(cpus=2, gpus=0, cache_images=4000),
    # Two readers suffice, and each process takes seconds to start.
    infer=InferResources(predictor_cpus=2.0, decode_cpus=1.0),
    reports=ReportResources(fits_at_once=2),
)

PRESETS: dict[str, Callable[[], RunConfig]] = {
    "demo": demo,
    "films": films,
    "workstation": workstation,
    "recommended": recommended,
    "paper": paper,
    "cluster": cluster,
}
