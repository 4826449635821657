"""From tables to a trained checkpoint: sample index, batch sampler, augmentation, one epoch, checkpoints."""
