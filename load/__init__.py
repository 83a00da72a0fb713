"""Load tests of a running service (`python -m load`) and benchmarks (`python -m load.bench`)."""
