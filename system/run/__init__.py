"""A self-training run on disk: stages with typed results, and the folder that holds them.

folder.py       RunFolder: labels, archive, systems and rounds of a run as attributes; its settings and its lock
stage.py        one stage: attempts, and the manifest that makes it count as done
pin.py          which archive the run reads
results.py      the result of each stage, one record per stage
predictions.py  the rows and maps of a finished inference
code.py         a digest of the sources that made a result

The package itself imports nothing, so that workers can import code.py without the rest.
"""
