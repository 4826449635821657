"""A self-training run on disk: stages with typed results, and the folder that holds them.

folder.py   RunFolder: labels, archive, systems and rounds of a run as attributes; its settings and its lock
stage.py    one stage: attempts, the manifest that makes it count as done
results.py  what each stage came to, one record a stage
code.py     which sources made it

The package itself imports nothing: workers take code.py without the rest.
"""
