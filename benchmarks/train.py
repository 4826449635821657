"""Images trained on per second: our loop, a bare PyTorch loop on tensors in memory, and our data loader alone.

python benchmarks/train.py                                            # 2 cores: the demo's network
python benchmarks/train.py --backbone hrnet_w48 --size 1024x832 --batch 24 --loader-workers 8 --steps 40    # a GPU

Ours reads from an archive, augments, checks for NaN and counts; the bare loop does forward, backward and Adam's
step. On a CPU the network has one thread, so that the loader's process has a core of its own.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from torch.utils.flop_counter import FlopCounterMode

from pipelines.workers.live import NowFile
from pipelines.workers.train_loop import Worker
from system.archive import Archive
from system.archive.tables import SCHEMAS
from system.imaging import ImagingConfig
from system.losses import LossConfig
from system.methods import METHODS, Batch
from system.nets import NetConfig
from system.records import Split, image_key
from system.resources import TrainResources
from system.training.config import TrainConfig
from system.training.epoch import Learner, resolve_precision, run_epoch
from system.training.job import TrainJob
from system.training.plan import epoch_index, plan_epoch
from system.watchdog import StallLimit, Watchdog

NUM_PATIENTS = 12
PEAK_TFLOPS = {"H100": 989.0, "H200": 989.0, "A100": 312.0, "L40S": 362.0, "L4": 121.0}
"""Dense bf16 as the makers state them, by the word of the name that torch gives; the SXM forms of H100 and H200."""


def main() -> None:
    """Print the three rates of each repeat and the medians of their ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="hrnet_w18_small")
    parser.add_argument("--size", default="320x256", help="rows x columns of a view")
    parser.add_argument("--batch", type=int, default=12)
    parser.add_argument("--steps", type=int, default=8, help="measured steps a repeat")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--loader-workers", type=int, default=1)
    parser.add_argument("--compile", action="store_true", help="torch.compile the network, in both loops")
    args = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cpu":
        torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        height, width = map(int, args.size.split("x"))
        job, worker = prepare(Path(folder), args, size=(height, width), device=device)
        rows = [one_repeat(job, worker, steps=args.steps) for _ in range(args.repeats)]
        bare, loop, loader = (statistics.median(rates) for rates in zip(*rows, strict=True))
        against_bare = statistics.median(ours / theirs for theirs, ours, _ in rows)
        print(f"medians: bare {bare:.2f}, ours {loop:.2f}, loader alone {loader:.1f} images/s")
        loader_ratio = statistics.median(read / theirs for theirs, _, read in rows)
        print(f"ours / bare {against_bare:.3f} (target 0.95)   loader / network {loader_ratio:.1f} (target 3)")
        if device.type == "cuda":
            print_gpu(worker, next(iter(read(job, worker, 1))), images_per_s=loop)


def prepare(
    folder: Path, args: argparse.Namespace, *, size: tuple[int, int], device: torch.device
) -> tuple[TrainJob, Worker]:
    """Return a job of stage 1 on a made-up archive and what trains it."""
    archive = write_archive(folder, size=size)
    train = TrainConfig(
        num_epochs=1000,
        plan="constant",
        batch_size=args.batch,
        steps_per_epoch=1,
        compile=args.compile,
    )
    net = NetConfig(backbone=args.backbone, pretrained=False)
    job = TrainJob(
        name="benchmark",
        archive_uri=archive.uri,
        archive_versions=archive.versions(),
        method="btv",
        net=net,
        train=train,
        loss=LossConfig(),
        strong_share=1.0,
        seed=0,
    )
    method = METHODS[job.method]
    model = method.build(net).train().to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    groups = method.parameter_groups(model, learning_rate=train.learning_rate, class_factor=0.0)
    if train.compile:
        model.compile()
    optimizer = torch.optim.AdamW(groups, weight_decay=train.weight_decay)
    learner = Learner(method, model, optimizer, None, train, job.loss, device)
    precision = resolve_precision(train.precision, device, trained=model)
    print(
        f"{args.backbone}, {size[0]}x{size[1]}, batch {args.batch}, {precision}, {device}, "
        f"{args.loader_workers} loader processes"
    )
    resources = TrainResources(loader_workers=args.loader_workers)
    watch = Watchdog(StallLimit(resources.stall_s, os.devnull), who="the benchmark")
    return job, Worker(folder, job, resources, archive, learner, watch, rank=0, num_workers=1, now=NowFile(folder))


def write_archive(folder: Path, *, size: tuple[int, int]) -> Archive:
    """Write views with the noise of film, which is what makes a PNG slow to read, and a mass in each left breast."""
    archive = Archive.create(str(folder / "archive"), imaging=ImagingConfig(height_px=size[0], width_px=size[1]))
    rng, images, masks = np.random.default_rng(0), [], []
    for patient in range(NUM_PATIENTS):
        for side in "LR":
            pixels = np.zeros(size, np.uint16)
            pixels[:, : size[1] * 2 // 3] = rng.normal(30000, 600, (size[0], size[1] * 2 // 3)).astype(np.uint16)
            mask = np.zeros(size, bool)
            mask[40:80, 40:80] = side == "L"
            name = f"{patient}{side}"
            row = {
                "image_id": name,
                "image_key": image_key(name),
                "patient_id": str(patient),
                "study_id": str(patient),
                "side": side,
            }
            row |= {
                "view": "MLO",
                "rows": size[0],
                "cols": size[1],
                "spacing_mm": 0.0,
                "geometry": "",
                "source": "benchmark",
            }
            images.append(row | {"split": Split.STRONG, "pixel_sha": archive.put_pixels(pixels)})
            masks.append(
                {
                    "image_id": name,
                    "mask_sha": archive.put_pixels(mask),
                    "num_lesions": int(mask.any()),
                    "area_px": int(mask.sum()),
                }
            )
    archive.upsert("images", pa.Table.from_pylist(images, schema=SCHEMAS["images"]))
    archive.upsert("masks", pa.Table.from_pylist(masks, schema=SCHEMAS["masks"]))
    return archive


def one_repeat(job: TrainJob, worker: Worker, *, steps: int) -> tuple[float, float, float]:
    """Return images a second of the bare loop, of ours, and of the loader alone; each after two steps to warm up."""
    learner = worker.learner
    batches = list(read(job, worker, 2))
    bare = rate(lambda count: [bare_step(learner, batches[at % 2]) for at in range(count)], job, steps=steps)
    ours = rate(
        lambda count: run_epoch(learner, read(job, worker, count), epoch=0, steps_per_epoch=count), job, steps=steps
    )
    many = 4 * steps
    loader = rate(lambda count: list(read(job, worker, count)), job, steps=many)
    print(
        f"bare {bare:.2f}, ours {ours:.2f}, loader alone {loader:.1f} images/s; "
        f"ratios {ours / bare:.3f}, {loader / bare:.1f}"
    )
    return bare, ours, loader


def rate(work: Callable[[int], object], job: TrainJob, *, steps: int) -> float:
    """Return images a second between a short and a long piece of work: what it takes to start is in both."""
    seconds = []
    for count in (2, 2 + steps):
        start = time.perf_counter()
        work(count)
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return steps * job.train.batch_size / (seconds[1] - seconds[0])


def read(job: TrainJob, worker: Worker, steps: int) -> Iterator[Batch]:
    """Give `steps` batches as a training worker gets them."""
    longer = job.changed(train=job.train.changed(steps_per_epoch=steps))
    index = epoch_index(longer, 0, images=worker.archive.table("images"), masks=worker.archive.table("masks"))
    return worker.read(index, list(plan_epoch(longer, index, 0).batches()), epoch=0, first_step=0)


def bare_step(learner: Learner, batch: Batch) -> None:
    """Take a step with nothing but PyTorch."""
    dtype = resolve_precision(learner.config.precision, learner.device, trained=learner.model)
    learner.optimizer.zero_grad(set_to_none=True)
    with torch.autocast(learner.device.type, dtype=dtype, enabled=dtype is not torch.float32):
        loss = learner.method.losses(learner.model, batch, config=learner.loss, classify=False).total
    loss.backward()
    learner.optimizer.step()


def print_gpu(worker: Worker, batch: Batch, *, images_per_s: float) -> None:
    """Print what the GPU computed a second, and its share of the maker's peak."""
    with FlopCounterMode(display=False) as counter:
        bare_step(worker.learner, batch)
    tflops = counter.get_total_flops() / len(batch.main) * images_per_s / 1e12
    name = torch.cuda.get_device_name()
    peak = next((value for key, value in PEAK_TFLOPS.items() if key in name.split()), None)
    share = f"{tflops / peak:.1%} of its {peak:.0f} TFLOP/s in bf16" if peak else "its peak is not in our table"
    print(
        f"{name}: {tflops:.1f} TFLOP/s, {share}; "
        f"most memory at once {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB"
    )


if __name__ == "__main__":
    main()
