"""Records a model's golden output: ``python -m inference.models.record_golden MODEL``.

For a model that is being added, after its accuracy has been measured (``inference.models.calibrate``): what is
recorded is what must never change again, right or wrong.
"""

import sys
from pathlib import Path

import numpy as np

from inference.models import golden
from inference.models.manifest import DetectorManifest, load_manifest
from inference.triton.environment import prepared_environment
from inference.triton.runtimes import answer


def main() -> None:
    """Run the prepared model on ONNX Runtime in float32, and write ``golden.npy`` beside its manifest."""
    manifest = load_manifest(sys.argv[1])
    picture = golden.golden_input(manifest)
    (output,) = answer(prepared_environment(), manifest, "onnxruntime", picture)
    best = output[0] if isinstance(manifest, DetectorManifest) else output
    np.save(Path(str(manifest.directory)) / "golden.npy", best)


if __name__ == "__main__":
    main()
