"""`python -m inference.analysis`: the face pipeline as a synchronous call, for query pictures."""
