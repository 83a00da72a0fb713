"""The suite of `make bench ARGS=core`: what parts of a request cost, beside Starlette.

The same source text is measured on both: a case takes all names from a `Kit`, which holds one of the
two libraries. `cases/` has one module a subject, `coverage.py` says which row measures which
`# PERF:` comment of the framework.
"""
