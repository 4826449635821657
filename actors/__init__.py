"""Plain classes that hold state between messages, or models between batches; pipelines/ makes them remote."""
