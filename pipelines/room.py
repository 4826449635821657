"""Whether Ray has room for what a stage asks of it; where it never will have, Ray waits for ever and says nothing."""

import ray
from ray._private import worker as ray_worker

from system.errors import UserError
from system.resources import InferResources, ReportResources, TrainResources


def check_inference(resources: InferResources) -> None:
    """Raise UserError where a cluster that cannot grow never has room for the predictors and a decoding task."""
    predictors, decoding = resources.num_predictors * resources.predictor_cpus, resources.decode_cpus
    asked = f"num_predictors x predictor_cpus = {predictors:g}, and decode_cpus = {decoding:g}"
    _check_cpus("resources.infer", predictors + decoding, asked=asked)


def check_training(resources: TrainResources) -> None:
    """Raise UserError where a cluster that cannot grow never has room for the fewest workers of a training."""
    fewest, name = (
        (resources.min_workers, "min_workers") if resources.min_workers else (resources.num_workers, "num_workers")
    )
    asked = f"{name} x cpus = {fewest} x {resources.cpus:g}"
    _check_cpus("resources.train", fewest * resources.cpus, asked=asked)


def check_labelling(resources: ReportResources) -> None:
    """Raise UserError where a cluster that cannot grow never has room for a fine-tune, or for the labelers."""
    _check_cpus("resources.reports", resources.fit_cpus, asked=f"fit_cpus = {resources.fit_cpus:g}")
    labelers = resources.num_labelers * resources.labeler_cpus
    asked = f"num_labelers x labeler_cpus = {labelers:g}"
    _check_cpus("resources.reports", labelers, asked=asked)


def _check_cpus(settings: str, wanted: float, *, asked: str) -> None:
    """Raise UserError where so many logical CPUs are never free at once.

    Only of a Ray that this process has started: other clusters may get more nodes.
    """
    node = ray_worker._global_node
    if node is None or not node.head:
        return
    found = float(ray.cluster_resources().get("CPU", 0.0))
    if wanted > found:
        raise UserError(
            f"{settings} asks for {wanted:g} logical CPUs at once ({asked}), this machine's Ray has {found:g}: lower "
            "them, or raise resources.cluster.logical_cpus"
        )
