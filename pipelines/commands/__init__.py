"""The commands of `mammoloop`; heavy modules are imported inside them, so that `--help` answers at once."""
