"""Complete configurations by name. Each is a function, so that it can be read, called and changed like any other code."""

from collections.abc import Callable

from system.archive import IngestConfig, SplitConfig
from system.config import ClusterConfig, DemoConfig, RunConfig
from system.imaging import ImagingConfig
from system.nets import NetConfig
from system.reports import ReportConfig


def paper() -> RunConfig:
    """Return the settings of seed 000 (METHODS 1), for four GPUs."""
    return RunConfig(cluster=ClusterConfig(num_train_workers=4, train_cpus=8, train_gpus=1))


def cluster() -> RunConfig:
    """Return the paper's settings on a Ray cluster: eight training workers, inference on half GPUs."""
    base = paper()
    return base.model_copy(
        update={
            "infer": base.infer.model_copy(update={"num_predictors": 8, "predictor_gpus": 0.5}),
            "reports": base.reports.model_copy(update={"fit_gpus": 1.0, "num_labelers": 4, "labeler_gpus": 0.5}),
            "cluster": ClusterConfig(address="auto", num_train_workers=8, train_cpus=8, train_gpus=1),
        }
    )


def workstation() -> RunConfig:
    """Return the paper's method on one GPU: a smaller backbone, half the size of image."""
    base = paper()
    train = base.stage1.model_copy(update={"batch_size": 24, "loader_workers": 6})
    return base.model_copy(
        update={
            "ingest": IngestConfig(imaging=ImagingConfig(height_px=512, width_px=416)),
            "net": NetConfig(backbone="hrnet_w18"),
            "stage1": train,
            "infer": base.infer.model_copy(update={"predictor_gpus": 0.5}),
            "reports": base.reports.model_copy(update={"fit_gpus": 0.5, "fits_at_once": 2, "labeler_gpus": 0.5}),
            "cluster": ClusterConfig(address="local", num_train_workers=1, train_cpus=4, train_gpus=1),
        }
    )


def demo() -> RunConfig:
    """Return what two cores without a GPU finish in minutes, on synthetic exams."""
    return RunConfig(
        strong_share=0.25,
        demo=DemoConfig(),
        ingest=IngestConfig(
            imaging=ImagingConfig(height_px=160, width_px=128),
            split=SplitConfig(strong=0.33, weak=0.33, validation=0.08, test=0.26),
        ),
        reports=ReportConfig.small_encoder(),
        net=NetConfig(backbone="hrnet_w18_small", pretrained=False),
        cluster=ClusterConfig(
            address="local", logical_cpus=4, num_train_workers=1, train_cpus=2, train_gpus=0, object_store_bytes=512 * 1024**2
        ),
    )


PRESETS: dict[str, Callable[[], RunConfig]] = {"demo": demo, "workstation": workstation, "paper": paper, "cluster": cluster}
