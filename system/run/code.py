"""A digest of the sources that made a result."""

import hashlib
from pathlib import Path

PACKAGES = ("system", "actors", "pipelines", "tune_spaces")


def code_digest() -> str:
    """Return a digest of our own sources.

    Manifests keep it, and a cluster is refused whose nodes run other sources.
    """
    root = Path(__file__).resolve().parent.parent.parent
    digest = hashlib.sha256()
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            digest.update(str(path.relative_to(root)).encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
