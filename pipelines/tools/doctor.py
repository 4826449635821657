"""Show what this machine lacks for a configuration: packages, Ray, GPUs, weights, disk, shared memory, processors.

Nothing here starts Ray, downloads, or writes.
"""

import importlib.metadata
import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import Requirement

from pipelines import ray_temporary
from system.figures.console import console
from system.figures.layout import wrapped
from system.files.json_out import write_json

if TYPE_CHECKING:
    from system.config import RunConfig

DISTRIBUTION = "mammoloop"
GIB = 1024**3
NEEDED_DISK_BYTES = GIB  # a demo run with its archive takes about a quarter of this
COMFORTABLE_DISK_BYTES = 20 * GIB
COMFORTABLE_SHM_BYTES = 2 * GIB  # a container's default of 64 MiB sends Ray's object store to disk


class Level(StrEnum):
    """How much a check matters."""

    OK = "ok"
    ADVICE = "advice"  # it works, slower or without an option
    MISSING = "missing"  # the configuration cannot run here


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at."""

    subject: str
    level: Level
    found: str
    remedy: str = ""  # what to do; empty where all is well


def run(config: "RunConfig", *, out: Path = Path()) -> list[Check]:
    """Look at everything a run of this configuration needs.

    out: where the run would write; it need not exist
    """
    return [
        *_packages(),
        _ray(),
        _ray_folder(config),
        _processors(),
        _shared_memory(),
        _disk(out),
        _gpus(config),
        *_weights(config),
        check_crf(config),
    ]


def show(config: "RunConfig", *, out: Path = Path(), archive_uri: str = "", json_file: Path | None = None) -> int:
    """Print the checks and return the exit code. archive_uri: an archive to look at too; "" = none."""
    checks, screen = run(config, out=out), console(json_file=json_file)
    if archive_uri:
        from pipelines.tools import doctor_archive  # which needs what the checks above may find missing

        checks += doctor_archive.run(archive_uri, config)
    screen.print(render(checks, width=screen.width))
    if json_file:
        write_json(json_file, checks)
    return exit_code(checks)


def exit_code(checks: list[Check]) -> int:
    """Return 1 when something required is missing, else 0."""
    return int(any(check.level is Level.MISSING for check in checks))


def render(checks: list[Check], *, width: int) -> str:
    """Return the checks as lines for people of at most `width`, what to do below each that wants it."""
    of_subject = max(len(check.subject) for check in checks)
    margin = " " * (8 + 1 + of_subject + 2)
    lines = []
    for check in checks:
        found = f"{check.level.value:<8} {check.subject:<{of_subject}}  {check.found}"
        remedy = f"{margin}→ {check.remedy}" if check.remedy else ""
        for text, indent in ((found, margin), (remedy, f"{margin}  ")):
            lines += wrapped(text, width, indent=indent) if text else []
    return "\n".join(lines)


def check_requirement(requirement: Requirement, *, version: str) -> Check:
    """Hold an installed version against what is required. version: empty = not installed."""
    if not version:
        return Check(
            requirement.name,
            Level.MISSING,
            "not installed",
            f"install {requirement.name}{requirement.specifier}, or run make again",
        )
    if not requirement.specifier.contains(version, prereleases=True):
        remedy = f"install {requirement.name}{requirement.specifier}, or run make again"
        return Check(requirement.name, Level.MISSING, f"{version}, required {requirement.specifier}", remedy)
    return Check(requirement.name, Level.OK, version)


def check_bytes(subject: str, *, free: int, needed: int, comfortable: int, remedy: str) -> Check:
    """Grade an amount of room. free, needed, comfortable: bytes."""
    level = Level.MISSING if free < needed else Level.ADVICE if free < comfortable else Level.OK
    found = f"{free / GIB:.1f} GiB"
    return Check(
        subject,
        level,
        found if level is Level.OK else f"{found}, better {comfortable / GIB:.0f} GiB",
        "" if level is Level.OK else remedy,
    )


def _packages() -> Iterator[Check]:
    """Give one check for Python, and one for each package that is not as required."""
    python = sys.version.split()[0]
    yield Check("python", Level.OK if sys.version_info >= (3, 11) else Level.MISSING, python)
    try:
        texts = importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        yield Check(DISTRIBUTION, Level.ADVICE, "not installed, run from its folder", "pip install --no-deps -e .")
        return
    requirements = [Requirement(text) for text in texts]
    needed = [item for item in requirements if item.marker is None or item.marker.evaluate({"extra": ""})]
    checks = [check_requirement(item, version=_installed(item.name)) for item in needed]
    bad = [check for check in checks if check.level is not Level.OK]
    yield from bad
    yield Check(
        "packages", Level.OK if not bad else Level.MISSING, f"{len(checks) - len(bad)} of {len(checks)} as required"
    )


def _installed(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _ray() -> Check:
    try:
        import ray
    except ImportError as error:
        return Check("ray", Level.MISSING, f"does not import: {error}", "run make again")
    return Check("ray", Level.OK, f"{ray.__version__}, imports")


def _ray_folder(config: "RunConfig") -> Check:
    """Whether Ray's sockets have room, where it is started on this machine."""
    wrong = ray_temporary.mistake() if config.resources.cluster.address == "local" else ""
    if wrong:
        found, _, remedy = wrong.partition(": ")
        return Check("Ray's folder", Level.MISSING, found, remedy)
    return Check("Ray's folder", Level.OK, ray_temporary.folder())


def _processors() -> Check:
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if count < 2:
        return Check(
            "processors",
            Level.ADVICE,
            str(count),
            "expect about twice the demo's time; set resources.cluster.logical_cpus to 4",
        )
    return Check("processors", Level.OK, str(count))


def _shared_memory() -> Check:
    place = Path("/dev/shm")  # noqa: S108 - the kernel's name for it
    if not place.is_dir():
        return Check("shared memory", Level.OK, "this system has no /dev/shm")
    remedy = "in a container mount a larger /dev/shm (docker --shm-size, an emptyDir of medium Memory): "
    remedy += "Ray's object store lives there"
    total = shutil.disk_usage(place).total
    return check_bytes("shared memory", free=total, needed=0, comfortable=COMFORTABLE_SHM_BYTES, remedy=remedy)


def _disk(out: Path) -> Check:
    place = out.absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    remedy = "free some room or name another place with --out"
    return check_bytes("disk", free=free, needed=NEEDED_DISK_BYTES, comfortable=COMFORTABLE_DISK_BYTES, remedy=remedy)


def _gpus(config: "RunConfig") -> Check:
    wanted = config.resources.train.num_workers * config.resources.train.gpus
    try:
        import torch
    except ImportError as error:
        return Check("GPUs", Level.MISSING, f"torch does not import: {error}", "run make again")
    names = (
        [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
        if torch.cuda.is_available()
        else []
    )
    found = f"{len(names)} ({', '.join(sorted(set(names)))})" if names else "none"
    if len(names) >= wanted:
        return Check("GPUs", Level.OK, found)
    if config.resources.cluster.address == "local":
        remedy = "set resources.train.gpus to 0 and the like, choose --preset demo, or go to a machine with GPUs"
        return Check("GPUs", Level.MISSING, f"{found}, training asks for {wanted:g}", remedy)
    return Check(
        "GPUs",
        Level.ADVICE,
        f"{found} here, training asks the cluster for {wanted:g}",
        "the cluster's nodes must have them",
    )


def _weights(config: "RunConfig") -> Iterator[Check]:
    """Give a check for each set of ready-made weights that the configuration wants."""
    if config.net.pretrained:
        weights = config.net.weights
        hub_id = weights.removeprefix("hf-hub:") if weights else _hub_id_of(config.net.backbone)
        local = bool(weights) and not weights.startswith("hf-hub:")
        found = Path(weights).is_file() if local else _in_hub_cache(hub_id)
        yield _grade_weights(
            "network weights", name=weights if local else hub_id, found=found, local=local, setting="net.weights"
        )
    else:
        yield Check("network weights", Level.OK, "none wanted (net.pretrained is false)")
    encoder = config.reports.encoder
    if encoder == "small":
        yield Check("report encoder", Level.OK, "built from the reports")
    else:
        local = Path(encoder).is_dir()
        found = local or _in_hub_cache(encoder)
        yield _grade_weights("report encoder", name=encoder, found=found, local=local, setting="reports.encoder")


def _grade_weights(subject: str, *, name: str, found: bool, local: bool, setting: str) -> Check:
    if found:
        return Check(subject, Level.OK, f"{name} is {'a local path' if local else 'in the hub cache'}")
    if local:
        return Check(subject, Level.MISSING, f"no file at {name}", f"name an existing file in {setting}")
    offline = os.environ.get("HF_HUB_OFFLINE", "") not in {"", "0"}
    remedy = f"it is fetched at the first run; without a network, name a local copy in {setting}"
    return Check(subject, Level.MISSING if offline else Level.ADVICE, f"{name} is not in the hub cache", remedy)


def _hub_id_of(backbone: str) -> str:
    """Return where timm would fetch the backbone's weights, or the bare name where it knows none."""
    try:
        import timm
    except ImportError:
        return backbone
    known = timm.get_pretrained_cfg(backbone, allow_unregistered=True)
    return (known.hf_hub_id or backbone) if known is not None else backbone


def _in_hub_cache(hub_id: str) -> bool:
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        return any(
            repository.repo_id == hub_id and repository.size_on_disk > 0 for repository in scan_cache_dir().repos
        )
    except CacheNotFound:
        return False


def check_crf(config: "RunConfig") -> Check:
    """Look for the package of the CRF's backend."""
    if importlib.util.find_spec("pydensecrf") is not None:
        return Check("pydensecrf", Level.OK, "installed")
    if config.infer.refine.backend == "pydensecrf":
        return Check(
            "pydensecrf",
            Level.MISSING,
            "not installed",
            "pip install 'mammoloop[pydensecrf]' (needs g++), or infer.refine.backend=grid",
        )
    return Check(
        "pydensecrf", Level.OK, f"not installed, not needed: infer.refine.backend is {config.infer.refine.backend}"
    )
