"""What a run is done on, in words: processors, memory, and the GPUs that Ray has found. Needs a running Ray."""

import os
import platform
from pathlib import Path

import ray

_GIB = 2**30
_ACCELERATOR = "accelerator_type:"  # in the resources of a node, as Ray names what it found there


def hardware() -> str:
    """Return the hardware of the driver's machine and of Ray's nodes; no name of a machine."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _GIB
    here = f"{_processor()}, {os.cpu_count() or 1} cores, {memory:.0f} GiB"
    resources = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return f"{here}; {_gpus(resources)}" + (f" on {len(resources)} nodes" if len(resources) > 1 else "")


def _gpus(resources: list[dict[str, float]]) -> str:
    count = sum(found.get("GPU", 0.0) for found in resources)
    kinds = sorted({name.removeprefix(_ACCELERATOR) for found in resources for name in found if _ACCELERATOR in name})
    if not count:
        return "no GPU"
    return f"{count:g} GPU{'' if count == 1 else 's'}" + (f" ({', '.join(kinds)})" if kinds else "")


def _processor() -> str:
    """Return the processor's name as the kernel has it, else the architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf8").splitlines()
    except OSError:
        return platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
