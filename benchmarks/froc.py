"""`mammoloop froc` at scale: 100,000 images, a million candidates, a thousand resamples of the patients.

python benchmarks/froc.py                                    target: under 20 s from files to result
python benchmarks/froc.py --images 10000 --candidates 100000

Four images a patient, a lesion in a tenth of the images; scores are distinct, so there are as many operating points
as hits.
"""

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import pyarrow as pa
from pyarrow import csv

from system.metrics import BoxRules, FrocConfig, evaluate_boxes, read_boxes

FILES = ("images.csv", "lesions.csv", "candidates.csv")


def main() -> None:
    """Print how long each part takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--candidates", type=int, default=1_000_000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        write(folder, num_images=args.images, num_candidates=args.candidates)
        start = time.perf_counter()
        boxes = read_boxes(*(folder / name for name in FILES))
        read_s = time.perf_counter() - start
        result = evaluate_boxes(boxes, rules=BoxRules(), config=FrocConfig())
        total_s = time.perf_counter() - start
    print(f"{args.images} images, {len(boxes.lesion_image)} lesions, {args.candidates} candidates, 1000 resamples")
    print(
        f"read and checked in {read_s:.1f} s, evaluated in {total_s - read_s:.1f} s: {total_s:.1f} s in all (target 20)"
    )
    print(f"counts {result.counts}; mean sensitivity {result.froc.mean:.4f}, 95 % {result.froc.interval}")
    print(f"highest memory of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


def write(folder: Path, *, num_images: int, num_candidates: int) -> None:
    """Write the three files."""
    rng = np.random.default_rng(0)
    names = np.array([f"image-{number:07d}" for number in range(num_images)])
    patients = [f"patient-{number // 4:06d}" for number in range(num_images)]
    with_lesion = np.flatnonzero(rng.random(num_images) < 0.1)
    truth = _boxes(rng.uniform(0, 2000, (len(with_lesion), 2)), rng.uniform(50, 200, (len(with_lesion), 2)))
    where = rng.integers(0, num_images, num_candidates)
    boxes = _boxes(rng.uniform(0, 2000, (num_candidates, 2)), rng.uniform(50, 200, (num_candidates, 2)))
    found = rng.permutation(num_candidates)[: 8 * len(with_lesion) // 10]  # these lie on a lesion, a little beside it
    target = rng.integers(0, len(with_lesion), len(found))
    where[found] = with_lesion[target]
    boxes[found] = truth[target] + rng.normal(0, 8, (len(found), 4))
    columns = [{"image_id": names, "patient_id": patients}, _columns(names[with_lesion], truth)]
    columns.append({**_columns(names[where], boxes), "score": rng.random(num_candidates)})
    for name, values in zip(FILES, columns, strict=True):
        csv.write_csv(pa.table(values), folder / name)


def _boxes(corner: np.ndarray, size: np.ndarray) -> np.ndarray:
    return np.concatenate([corner, corner + size], axis=1)


def _columns(names: np.ndarray, boxes: np.ndarray) -> dict[str, np.ndarray]:
    return {"image_id": names, **dict(zip(("x0", "y0", "x1", "y1"), boxes.T, strict=True))}


if __name__ == "__main__":
    main()
