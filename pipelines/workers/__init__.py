"""What runs inside Ray's processes, and what the driver follows them with."""
