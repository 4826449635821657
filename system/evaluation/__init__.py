"""The maps of a run compared with the truth: thresholds on validation, FROC, groups, explanations of single images.

maps_of_run.py          the maps of held-out images with their truth, one at a time
examine_run.py          from these maps to candidates, lesions, outcomes and the FROC
read_back.py            the tables and the report of a finished evaluation
explain_image.py        why one image was judged and pooled as it was
threshold_grid.py       the candidates at each threshold of a grid, without the pixels
thresholds.py           both thresholds of a model, chosen on validation
mask_threshold.py       the probability from which a map is a mask
report_negatives.py     the same, from reports that say no mass instead of masks
candidate_threshold.py  the probability from which a candidate begins
"""
