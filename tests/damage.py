"""Ways in which a file of a run or an archive gets damaged: cut, emptied, edited by hand, overwritten, removed."""

from collections.abc import Callable
from pathlib import Path

WAYS: dict[str, Callable[[Path], object]] = {
    "gone": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "a list": lambda path: path.write_bytes(b"[]"),
    "null": lambda path: path.write_bytes(b"null"),
    "another object": lambda path: path.write_bytes(b'{"schema_version": [1], "result": 5, "add": 7}'),
    "huge numbers": lambda path: path.write_bytes(b'{"schema_version": 1e999, "result": %s}' % (b"9" * 5000)),
    "deep": lambda path: path.write_bytes(b"[" * 100_000),
    "binary": lambda path: path.write_bytes(bytes(range(256)) * 8),
    "other letters": lambda path: path.write_bytes("密钥".encode("gbk")),
}
