"""Benchmarks: in-process dispatch beside the peers, and one worker under load."""
