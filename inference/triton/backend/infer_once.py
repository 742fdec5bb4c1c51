"""Runs one batch through a network, outside Triton: ``infer_once.py RUNTIME MODEL INPUT OUTPUT``.

INPUT and OUTPUT are .npy files. Run with the interpreter of Triton's environment.
"""

import sys
from pathlib import Path

import numpy as np
import runtime  # type: ignore[import-not-found]  # beside this file


def main() -> None:
    """Load, run, save."""
    name, model, source, destination = sys.argv[1:]
    images = np.load(source, allow_pickle=False)
    height, width = images.shape[1:3]
    network = runtime.load(name, Path(model), [(width, height)], [1])
    np.save(destination, network.run(images), allow_pickle=False)


main()
