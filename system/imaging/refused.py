"""The error for an image that cannot be used: its code goes into the quarantine; its detail never has patient data."""


class ImageRefused(ValueError):
    """One image is left out; the job goes on."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail

    def __reduce__(self) -> tuple[type["ImageRefused"], tuple[str, str]]:
        """Return both arguments for pickle, so that the error reaches another process complete."""
        return ImageRefused, (self.code, self.detail)
