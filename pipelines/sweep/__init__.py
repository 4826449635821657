"""A sweep: many trials, each with other settings, tried one after another or side by side, ranked on validation.

inputs.py    what the trials start from, checked before anything is started
places.py    where a trial lies, and what it left there
perform.py   what a trial does, of each kind
masks.py     trials of kind refine: masks of stored maps
study.py     the memory of the sweep: an Optuna study
search.py    what is tried next, and what is stopped early: Ray Tune's OptunaSearch on that study
tuning.py    Ray Tune around the search
watching.py  how a trial's beginning, reports and end reach the next two
progress.py  for people: a live table, a line of the log for each trial
tracking.py  for TensorBoard and MLflow
warm.py      --warm-start: what an earlier sweep knows
measured.py  a trial's counts per patient and its curve, to compare settings
confirm.py   --confirm: the best settings with fresh seeds
final.py     --final: the winner's numbers on test, once
results.py   what was found: read back, and written as CSV, JSON, best.yaml and page
run.py       the whole of it
"""
