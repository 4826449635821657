"""Whether this process does one command and ends with it, as `mammoloop` does; a test or a notebook does more."""

from dataclasses import dataclass


@dataclass
class OwnProcess:
    """What is known of this process."""

    ends_with_command: bool = False


OWN = OwnProcess()
