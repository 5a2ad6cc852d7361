"""The bench: each phase and the whole, measured beside what they are compared with.

`make bench`, or `python -m tests.bench --help`. How to read it: docs/performance.md.
"""
