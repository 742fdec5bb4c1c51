"""Erasures: what a deletion has begun, and what was removed when it is over."""
