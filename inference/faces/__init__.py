"""The face pipeline as pure functions: decode, detect, measure, align, embed. No I/O, no services."""
