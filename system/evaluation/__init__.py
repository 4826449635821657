"""Maps of a run held against the truth, and what follows from that: thresholds on validation, FROC, parts, comparison.

maps_of_run.py          the maps of held-out images beside their truth, one at a time
examine_run.py          from these maps to candidates, lesions, outcomes and the FROC
read_back.py            what a finished evaluation has kept
explain_image.py        why one image was judged and pooled as it was
thresholds.py           both thresholds of a model, chosen on validation
mask_threshold.py       from which probability on a map is a mask
candidate_threshold.py  from which probability on a candidate begins
"""
