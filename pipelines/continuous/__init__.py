"""Continuous retraining: catching up with what has come, the gate's evidence, and the watcher."""
