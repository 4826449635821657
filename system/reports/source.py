"""Find the encoder that a setting names: on disk, in the hub's cache or on the hub.

Imports neither torch nor transformers.
"""

from pathlib import Path

from system.errors import UserError

SMALL = "small"
_HUB_FILES = ("*.safetensors", "*.json", "vocab.txt")
_HUB_TIMEOUT_S = 5.0


def find_encoder(name: str) -> str:
    """Return "small", or the local folder that holds the named encoder, fetched from the hub where needed and possible.

    Raises UserError when there is no such encoder here, or none in safetensors.
    """
    if name == SMALL:
        return SMALL
    folder = Path(name) if Path(name).is_dir() else _from_hub(name)
    if not (folder / "config.json").exists() or not any(folder.glob("*.safetensors")):
        raise UserError(
            f"reports.encoder: {name} holds no config.json with *.safetensors; weights in other formats are pickles "
            "and are not opened. If you trust them, convert them once with transformers, "
            "AutoModel.from_pretrained(NAME, use_safetensors=False).save_pretrained(FOLDER) and "
            "AutoTokenizer.from_pretrained(NAME).save_pretrained(FOLDER), and set reports.encoder to FOLDER"
        )
    return str(folder)


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
