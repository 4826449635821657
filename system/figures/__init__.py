"""The results of a run to look at: tables for the terminal, curves, overlays, and one self-contained page.

rows.py            the plain rows that tables and page are made of
result_sentence.py what a run brought, in one sentence
cautions.py        what a reader should be warned of
format.py          numbers as text, the same on the terminal and on the page
console.py         where tables are printed
tables.py          rich tables
curves.py          FROC, losses, pools, calibration (matplotlib)
overlays.py        mammograms with truth, candidates and maps drawn over them
han.py             Chinese characters for readers without a Chinese font
page.py            the run's page
films.py           mammograms on pages with a dark ground
review_page.py     what a radiologist looks at in a review
worklist_page.py   the studies of a prediction
templates/         the pages' Jinja2 templates and their style sheet

The package itself imports nothing, so that only what draws loads matplotlib.
"""
