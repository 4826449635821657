"""The pixel store: PNG files named by the hash of the pixels they hold.

So a file is written once and never changed.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pyarrow import fs

from system.errors import UserError
from system.faults import storage
from system.files.atomic import write_bytes
from system.imaging import decode_png, encode_png


def pixel_sha(array: np.ndarray) -> str:
    """Return the sha256 of an array's dtype, shape and values.

    It is the same on every machine, whichever version of zlib wrote the PNG.
    """
    digest = hashlib.sha256(f"{array.dtype.str} {list(array.shape)} ".encode())
    digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class PixelStore:
    """PNG files `ab/abcd….png` below one folder of a file system."""

    files: fs.FileSystem
    root: str

    def put(self, array: np.ndarray) -> str:
        """Store an array and return its sha; storing it again writes nothing.

        array: [H, W] bool (kept as 0 and 255), uint8 or uint16
        Raises MachineFault where it cannot be stored.
        """
        if array.dtype == np.bool_:
            array = array.astype(np.uint8) * np.uint8(255)
        sha = pixel_sha(array)
        path = self._path(sha)
        with storage(f"pixels of {self.root}", always=True):
            if self.files.get_file_info(path).type is fs.FileType.NotFound:
                self.files.create_dir(path.rsplit("/", 1)[0], recursive=True)
                self._write(path, encode_png(array))
        return sha

    def get(self, sha: str) -> np.ndarray:
        """Return the array stored under a sha: [H, W] uint8 or uint16.

        Raises:
            FileNotFoundError: nothing is stored under this sha.
            UserError: the file is damaged, so that its pixels do not have this sha.
            MachineFault: the storage cannot be read.
        """
        with storage(f"pixels of {self.root}", always=True), self.files.open_input_file(self._path(sha)) as file:
            png = file.read()
        try:
            array = decode_png(png)
        except (OSError, SyntaxError) as error:
            raise UserError(
                f"pixels {sha[:12]}… cannot be decoded: the file is damaged, ingest its source again"
            ) from error
        if (found := pixel_sha(array)) != sha:
            raise UserError(f"pixels {sha[:12]}… hash to {found[:12]}…: the file is damaged, ingest its source again")
        return array

    def _path(self, sha: str) -> str:
        return f"{self.root}/{sha[:2]}/{sha}.png"

    def _write(self, path: str, data: bytes) -> None:
        """Write so that only whole files are ever seen: object stores ensure this themselves, folders need a rename."""
        if not isinstance(self.files, fs.LocalFileSystem):
            with self.files.open_output_stream(path) as stream:
                stream.write(data)
            return
        write_bytes(Path(path), data)  # synced to disk: a row that names this file must not be there without it
