"""Measures the system against its bounds: `python -m tests.benchmarks`."""
