"""The base of every config: frozen, complete by default, and closed to keys it does not have."""

from typing import Self

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """A part's configuration; each part declares its own beside the code it configures."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    def changed(self, **changes: object) -> Self:
        """Return a copy with other values, checked as a new one is.

        Raises pydantic's ValidationError for an unknown key or a bad value.
        """
        return type(self).model_validate(dict(self) | changes)
