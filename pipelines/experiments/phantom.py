"""Write a synthetic archive, its exams spread over the machine's cores."""

import multiprocessing
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pipelines.own_process import kept_from_children
from system.phantom import ExamRows, PhantomConfig, make_exam, write_exam, write_tables

CHUNK_EXAMS = 8  # what a worker makes between two steps of the bar


def run(
    out: Path, *, num_exams: int, seed: int, config: PhantomConfig, num_workers: int = 0, quiet: bool = False
) -> None:
    """Write dicom/, masks/, reports.csv and truth.csv under `out`; num_workers 0 means one per core."""
    workers = min(num_workers or os.cpu_count() or 1, max(1, num_exams // CHUNK_EXAMS))
    chunks = [range(first, min(first + CHUNK_EXAMS, num_exams)) for first in range(0, num_exams, CHUNK_EXAMS)]
    out.mkdir(parents=True, exist_ok=True)
    rows: list[ExamRows] = []
    with _progress(quiet=quiet) as progress, _pool(workers) as pool:
        bar = progress.add_task("phantom exams", total=num_exams)
        with kept_from_children(signal.SIGINT, signal.SIGHUP):
            futures = [pool.submit(_write_chunk, out, chunk, seed, config) for chunk in chunks]
        for future in as_completed(futures):
            made = future.result()
            rows += made
            progress.advance(bar, len(made))
    write_tables(out, rows)


@contextmanager
def _pool(num_workers: int) -> Iterator[ProcessPoolExecutor]:
    """Give processes that end with the block, also where it raises before they are done."""
    with ProcessPoolExecutor(num_workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.kill()
            raise


def _write_chunk(out: Path, indices: range, seed: int, config: PhantomConfig) -> list[ExamRows]:
    return [write_exam(out, make_exam(index, seed, config)) for index in indices]


def _progress(*, quiet: bool) -> Progress:
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    return Progress(*columns, console=Console(stderr=True), disable=quiet)
