"""The command line of ``python -m inference.triton``."""

import argparse
import sys
from pathlib import Path

from inference.models.errors import ModelError
from inference.triton import server
from inference.triton.errors import TritonEnvironmentError


def main(arguments: list[str] | None = None) -> None:
    """Become tritonserver, or say in one line why not."""
    try:
        server.run(_options(arguments))
    except (ModelError, TritonEnvironmentError) as error:
        sys.exit(f"triton: {error}")


def _options(arguments: list[str] | None) -> server.ServerOptions:
    parser = argparse.ArgumentParser(
        prog="python -m inference.triton", description="Serve the face models with NVIDIA Triton."
    )
    parser.add_argument("--repository", type=Path, required=True, help="directory to generate the model repository in")
    parser.add_argument("--grpc-port", type=int, required=True)
    parser.add_argument("--http-port", type=int, help="no HTTP without it")
    parser.add_argument("--metrics-port", type=int, help="no metrics without it")
    return server.ServerOptions(**vars(parser.parse_args(arguments)))
