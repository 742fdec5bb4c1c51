"""Fuzzing of every parser that meets bytes or texts of strangers, with atheris (libFuzzer for Python)."""
