"""A self-training run on disk: stages with typed results, and the folder that holds them.

folder.py       RunFolder: labels, archive, systems and rounds of a run as attributes; its settings and its lock
systems.py      a trained model's stages, and a round's
chapter.py      the rounds that read one state of the archive
going_on.py     whether and how far a run goes on
arrivals.py     what an archive has gained since
progress.py     how far it has come, read at once from the folder, also while it is written
under_way.py    of the training under way: epoch, pace, last checkpoint
plan.py         its stages in order, and how long those to come will take
starts.py       when it was started, and on which hardware
kept_config.py  the settings it keeps, as text
lock.py         the lock that its driver holds
stage.py        one stage: attempts, and the manifest that makes it count as done
stage_words.py  a stage for people: what it does, where, how long it took before
pin.py          which archive the run reads
after_mining.py whether a round trains, by its pools
results.py      the result of each stage, one record per stage
predictions.py  the rows and maps of a finished inference
code.py         a digest of the sources that made a result

The package itself imports nothing, so that workers can import code.py without the rest.
"""
