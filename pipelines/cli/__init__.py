"""The command line: one file per command, named as the command; main.py puts them together.

Heavy modules are imported inside the commands, so that `mammoloop --help` answers at once.
"""
