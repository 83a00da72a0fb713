"""Durable jobs: work that is done although the process that began it was killed.

`store` is what requests use, `worker` the process that does the work, `demo` the job to copy.
"""
