"""The stages in the order data flows, one file each; Ray is used here and in actors/, and nowhere below.

ingest → label → train → infer → mine → retrain → evaluate, tied together by selftrain. Behind them: workers/ runs
inside Ray's processes, experiments/ does many runs, tools/ serves people, page/ shows a run, cli/ is the command
line, one file per command.
"""
