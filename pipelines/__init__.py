"""The stages in the order data flows, one file each with one public `run`; Ray is used here and nowhere below.

ingest → label → train → infer → mine → retrain → evaluate, tied together by selftrain.
"""
