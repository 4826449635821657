"""The base of every config: frozen, complete by default, and deaf to keys it does not know."""

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """A part's configuration; each part declares its own beside the code it configures."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)
