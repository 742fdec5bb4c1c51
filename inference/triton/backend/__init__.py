"""The files that Triton itself runs; see `runtime`."""
