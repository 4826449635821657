"""Files and objects, written and read in one way: whole or not at all, and CSV with its mistakes named by line.

atomic.py   files that appear whole, survive a power cut, or are created by one writer alone
bucket.py   objects of a bucket, put on a condition
csv_in.py   CSV files that others wrote
csv_out.py  CSV that is safe to open in a spreadsheet
names.py    names of files that every program can show
parquet.py  one Parquet file, whatever its folder is called
json_in.py  records from JSON, with what is wrong in them named
retries.py  what failed for a moment only, done again
json_out.py plain values and records as JSON
"""
