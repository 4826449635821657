"""Images per second of inference.

(a) the bare network, (b) a plain PyTorch script that also decodes, refines and writes, (c) mammoloop.

python benchmarks/infer.py           two cores: all three on the same pairs, then the memory of few and of many pairs
python benchmarks/infer.py --gpu --size 1024x800 --backbone hrnet_w48 --pairs 400 --batch-pairs 16 --memory 0
python benchmarks/infer.py --bare --gpu …        (a) and (b) alone, where there is no Ray

The network is untrained, its maps stretched so that one pixel in two hundred is a mass: the CRF has its usual work.
"""

import argparse
import itertools
import json
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from system.archive import Archive
from system.imaging import ImagingConfig, canonical_view, encode_png, to_network
from system.methods import METHODS
from system.nets import ModelCard, NetConfig, write_model
from system.phantom import PhantomConfig, make_exam
from system.records import Side, ViewPosition, image_key
from system.refine import CrfParams, InferConfig, RefineConfig, refine_masks, regions
from system.resources import ClusterResources, InferResources
from system.run.results import InferResult
from system.schemas import PAIRS
from system.training.epoch import resolve_precision

DISTINCT_PAIRS = 40  # repeated under other names: what is measured does not depend on what is in them
MASS_SHARE = 0.005  # of the pixels
MASK_THRESHOLD = 0.5
MIB = 1024**2


@dataclass(frozen=True)
class Job:
    """What all three run."""

    archive: Archive
    checkpoint: Path
    config: InferConfig
    resources: InferResources
    device: str
    num_threads: int


def main() -> None:
    """Print the rates, their ratios, and the memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=600)
    parser.add_argument(
        "--memory", type=int, nargs="*", default=[500, 5000], help="numbers of pairs whose memory is compared; 0 = skip"
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--size", default="128x96", help="rows x columns")
    parser.add_argument("--backbone", default="hrnet_w18_small")
    parser.add_argument("--batch-pairs", type=int, default=16)
    parser.add_argument("--threads", type=int, default=2, help="of torch, in the plain script and in the predictor")
    parser.add_argument("--gpu", action="store_true")
    parser.add_argument("--bare", action="store_true", help="without mammoloop's own pipeline, and so without Ray")
    args = parser.parse_args()
    height, width = (int(part) for part in args.size.split("x"))
    with tempfile.TemporaryDirectory() as text:
        job, distinct = prepare(Path(text), args, height=height, width=width)
        pairs = repeated(distinct, args.pairs // args.batch_pairs * args.batch_pairs)
        print(
            f"{args.backbone}, {height} x {width}, {len(pairs)} pairs, "
            f"batches of {args.batch_pairs} pairs, {job.device}"
        )
        if args.bare:
            for _ in range(args.repeats):
                bare, plain = bare_network(job, pairs), plain_script(job, pairs, Path(text))
                print(f"(a) network {bare:.1f} images/s  (b) plain script {plain:.1f}")
            return
        from pipelines.cluster import session

        with session(ClusterResources(address="local", logical_cpus=4, object_store_bytes=512 * MIB)):
            compare(job, pairs, Path(text), repeats=args.repeats)
            print_memory(job, [count for count in args.memory if count], distinct, Path(text))


def compare(job: Job, pairs: pa.Table, folder: Path, *, repeats: int) -> None:
    """Print one line per repeat and the medians of the ratios."""
    ratios: list[tuple[float, float]] = []
    for number in range(repeats):
        bare = bare_network(job, pairs)
        plain = plain_script(job, pairs, folder)
        ours = mammoloop(job, pairs, folder / f"run_{number}")
        rate = ours.images_per_s
        ratios.append((rate / plain, rate / bare))
        print(
            f"(a) network {bare:.1f} images/s  (b) plain script {plain:.1f}  (c) mammoloop {rate:.1f} once started, "
            f"start {ours.start_s:.1f} s, predictors waited {ours.wait_share:.0%}, seconds {ours.seconds}"
        )
    by_plain, by_bare = (statistics.median(column) for column in zip(*ratios, strict=True))
    print(
        f"median of {repeats}: (c) / (b) {by_plain:.2f} (target 0.9 on two cores), "
        f"(c) / (a) {by_bare:.2f} (target 0.8 on a GPU)"
    )


def mammoloop(job: Job, pairs: pa.Table, run: Path) -> InferResult:
    """Return what `mammoloop infer`'s own pipeline came to."""
    from pipelines import infer
    from system.run.stage import Stage

    wanted = infer.InferJob(job.archive.uri, job.checkpoint, job.config, job.resources, MASK_THRESHOLD)
    return infer.for_mining(pairs, wanted, stage=Stage(run, "predictions", InferResult))


@torch.inference_mode()
def bare_network(job: Job, pairs: pa.Table) -> float:
    """Return images/s of the network alone on one batch that lies on the device."""
    torch.set_num_threads(job.num_threads)
    method, batch_pairs = METHODS["btv"], job.config.batch_pairs
    model = method.load(job.checkpoint, job.device)
    _, pixels = next(loader_of(job, pairs.slice(0, batch_pairs), num_workers=0))
    left, right = on_device(pixels, job)
    count, began = max(3, len(pairs) // batch_pairs), 0.0
    with torch.autocast(job.device, dtype=precision(job), enabled=precision(job) is not torch.float32):
        for step in range(count + 2):
            if step == 2:
                wait_for(job)
                began = time.perf_counter()
            method.predict(model, left, right)
        wait_for(job)
    return 2 * batch_pairs * count / (time.perf_counter() - began)


@torch.inference_mode()
def plain_script(job: Job, pairs: pa.Table, folder: Path) -> float:
    """Return images/s of one process and one decoding worker, from the first batch to the last file.

    Their start is left out.
    """
    torch.set_num_threads(job.num_threads)
    method = METHODS["btv"]
    model = method.load(job.checkpoint, job.device)
    refine, began = job.config.refine, 0.0
    for number, (names, pixels) in enumerate(loader_of(job, pairs, num_workers=1)):
        began = began or time.perf_counter()
        left, right = on_device(pixels, job)
        with torch.autocast(job.device, dtype=precision(job), enabled=precision(job) is not torch.float32):
            *logits, p_left, p_right = method.predict(model, left, right)
        maps = torch.sigmoid(torch.cat(logits).float())
        full = functional.interpolate(maps, size=pixels.shape[-2:], mode="bilinear", align_corners=False)[:, 0]
        gray = 255 * torch.cat([left, right])[:, 0].float()
        masks = refine_masks(full, gray, mask_threshold=MASK_THRESHOLD, config=refine).mask
        candidates = regions(
            full.cpu().numpy(),
            candidate_threshold=refine.candidate_threshold,
            min_px=refine.min_candidate_px,
        )
        small, p_images = (255 * maps[:, 0]).round().byte().cpu().numpy(), torch.cat([p_left, p_right]).tolist()
        rows = [
            {
                "image_id": name,
                "p_image": p_image,
                "candidates": json.dumps([asdict(candidate) for candidate in found]),
                "mask_area_px": int(mask.sum()),
                "map_png": encode_png(one) if mask.any() else None,
                "mask_png": encode_png(mask[::4, ::4] * np.uint8(255)) if mask.any() else None,
            }
            for name, p_image, found, mask, one in zip(names, p_images, candidates, masks, small, strict=True)
        ]
        pq.write_table(pa.Table.from_pylist(rows), folder / f"plain_{number}.parquet")
    return 2 * len(pairs) / (time.perf_counter() - began)


class Pairs(Dataset[tuple[list[str], torch.Tensor]]):
    """Batches of decoded pairs: ids, left ones first, and pixels [2, B, H, W] uint16."""

    def __init__(self, job: Job, pairs: pa.Table) -> None:
        self.archive, self.batch_pairs = job.archive, job.config.batch_pairs
        self.rows = pairs.to_pylist()

    def __len__(self) -> int:
        return len(self.rows) // self.batch_pairs

    def __getitem__(self, number: int) -> tuple[list[str], torch.Tensor]:
        rows = self.rows[number * self.batch_pairs : (number + 1) * self.batch_pairs]
        names = [row[f"{side}_id"] for side in ("left", "right") for row in rows]
        return names, torch.from_numpy(
            np.stack([[self.archive.pixels(row[f"{side}_sha"]) for row in rows] for side in ("left", "right")])
        )


def loader_of(job: Job, pairs: pa.Table, *, num_workers: int) -> Iterator[tuple[list[str], torch.Tensor]]:
    """Give the batches of a PyTorch loader."""
    context = "forkserver" if num_workers else None
    yield from DataLoader(Pairs(job, pairs), batch_size=None, num_workers=num_workers, multiprocessing_context=context)


def on_device(pixels: torch.Tensor, job: Job) -> list[torch.Tensor]:
    """Return left and right [B, 1, H, W] float32, 0 to 1."""
    return [
        torch.from_numpy(to_network(side)[:, None]).to(job.device, memory_format=torch.channels_last)
        for side in pixels.numpy()
    ]


def precision(job: Job) -> torch.dtype:
    """Return what the network computes in."""
    return resolve_precision(job.config.precision, torch.device(job.device))


def wait_for(job: Job) -> None:
    """Wait until the device has finished its work."""
    if job.device == "cuda":
        torch.cuda.synchronize()


def prepare(folder: Path, args: argparse.Namespace, *, height: int, width: int) -> tuple[Job, pa.Table]:
    """Make an archive of synthetic views and a checkpoint; returns the job and the distinct pairs."""
    archive = Archive.create(str(folder / "archive"), imaging=ImagingConfig(height_px=height, width_px=width))
    refine = RefineConfig(
        params=CrfParams().scaled(height / 1024), min_candidate_px=max(1, round(30 * (height / 1024) ** 2))
    )
    config = InferConfig(refine=refine, batch_pairs=args.batch_pairs)
    resources = InferResources(
        predictor_cpus=args.threads,
        decode_cpus=1,
        predictor_gpus=float(args.gpu),
        calls_at_once=2 if args.gpu else 1,
    )
    job = Job(archive, folder / "checkpoint", config, resources, "cuda" if args.gpu else "cpu", args.threads)
    pairs = synthetic_pairs(archive)
    write_stretched(job, args.backbone, pairs.slice(0, 8))
    return job, pairs


def synthetic_pairs(archive: Archive) -> pa.Table:
    """Store synthetic views and return their pairs."""
    imaging = archive.imaging
    phantom = PhantomConfig(height_px=imaging.height_px, width_px=imaging.width_px)
    rows = []
    for number in range(DISTINCT_PAIRS):
        views = {view.side: view for view in make_exam(number, 1, phantom).views if view.view is ViewPosition.MLO}
        row: dict[str, Any] = {"view": "MLO"}
        for name, side in (("left", Side.LEFT), ("right", Side.RIGHT)):
            row[f"{name}_sha"] = archive.put_pixels(canonical_view(views[side].pixels, config=imaging)[0])
        rows.append(row)
    return pa.Table.from_pylist(rows)


def repeated(pairs: pa.Table, count: int) -> pa.Table:
    """Return schemas.PAIRS of `count` pairs: those that there are, again and again under other names."""
    rows = []
    for number, row in enumerate(itertools.islice(itertools.cycle(pairs.to_pylist()), count)):
        names = {f"{side}_id": f"{side}{number}" for side in ("left", "right")}
        keys = {f"{side}_key": image_key(names[f"{side}_id"]) for side in ("left", "right")}
        rows.append(
            row | names | keys | {"pair_key": number, "study_id": f"study{number}", "patient_id": f"patient{number}"}
        )
    return pa.Table.from_pylist(rows, schema=PAIRS)


@torch.inference_mode()
def write_stretched(job: Job, backbone: str, pairs: pa.Table) -> None:
    """Write an untrained network whose logits spread by 3 around a threshold that MASS_SHARE of the pixels pass."""
    torch.manual_seed(0)
    method, imaging, net = METHODS["btv"], job.archive.imaging, NetConfig(backbone=backbone, pretrained=False)
    model = method.build(net).eval()
    few = replace(job, device="cpu", config=job.config.changed(batch_pairs=len(pairs)))
    _, pixels = next(loader_of(few, repeated(pairs, len(pairs)), num_workers=0))
    logits = torch.cat(method.predict(model, *on_device(pixels, few))[:2])
    middle, scale = torch.quantile(logits.flatten(), 1 - MASS_SHARE), 3 / logits.std()
    state = model.state_dict()
    state["mask_head.classify.weight"] *= scale
    state["mask_head.classify.bias"] -= middle
    state["mask_head.classify.bias"] *= scale
    card = ModelCard(
        method="btv", net=net.model_dump(), height_px=imaging.height_px, width_px=imaging.width_px, classifies=True
    )
    write_model(job.checkpoint, state, card)


def print_memory(job: Job, counts: list[int], pairs: pa.Table, folder: Path) -> None:
    """Print the highest memory of all processes together while few and while many pairs are inferred."""
    for count in counts:
        run = folder / f"memory_{count}"
        with highest_memory() as seen:
            found = mammoloop(job, repeated(pairs, count), run)
        print(
            f"memory, {count} pairs: {max(seen) / MIB:.0f} MiB at most, "
            f"{statistics.median(seen) / MIB:.0f} MiB mostly, {found.images_per_s:.1f} images/s"
        )
        shutil.rmtree(run)


@contextmanager
def highest_memory(every_s: float = 0.5) -> Iterator[list[int]]:
    """Give a list that grows by the bytes of this process and of all below it (PSS: shared pages count by share)."""
    seen, over = [proportional_bytes()], threading.Event()

    def watch() -> None:
        while not over.wait(every_s):
            seen.append(proportional_bytes())

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def proportional_bytes() -> int:
    """Return the bytes that this process and its descendants hold."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    ours = {os.getpid()}
    while more := {child for child, parent in parents.items() if parent in ours} - ours:
        ours |= more
    total = 0
    for pid in ours:
        with suppress(OSError):
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            total += 1024 * int(next(line for line in rollup.splitlines() if line.startswith("Pss:")).split()[1])
    return total


if __name__ == "__main__":
    main()
