"""Generates the Python stubs, their types and the descriptor image from the contracts.

The one place that knows how to call protoc: the package build (`hatch_build.py`) and `make proto` both call
`generate`. Nothing that it writes is committed.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import sysconfig
import tempfile
from pathlib import Path

import google.api.http_pb2
from grpc_tools import protoc
from protovalidate._gen.buf.validate.validate_pb import desc as validate_descriptor

PROTO_ROOT = Path(__file__).resolve().parent
GOOGLE_PROTOS = Path(google.api.http_pb2.__file__).resolve().parents[2]
WELL_KNOWN_PROTOS = Path(protoc.__file__).resolve().parent / "_proto"
MYPY_PLUGINS = ("protoc-gen-mypy", "protoc-gen-mypy_grpc")
VALIDATE_PROTO = "buf/validate/validate.proto"


def generate(destination: Path) -> None:
    """Writes the packages `whodex/v1` and `whodex/buf` below `destination`, replacing older ones."""
    for package in ("v1", "buf"):
        shutil.rmtree(destination / "whodex" / package, ignore_errors=True)
    with tempfile.TemporaryDirectory() as scratch:
        output = Path(scratch)
        _run_protoc(
            f"--python_out={output}",
            f"--mypy_out=quiet:{output}",
            f"--grpc_python_out={output}",
            f"--mypy_grpc_out=quiet:{output}",
            *_source_files(),
        )
        _run_protoc(f"--python_out={output}", VALIDATE_PROTO)
        _adopt_validate_package(output)
        shutil.copytree(output / "whodex", destination / "whodex", dirs_exist_ok=True)


def write_image(image: Path) -> None:
    """Writes the contracts' FileDescriptorSet, with imports and comments, for buf and for the docs."""
    image.parent.mkdir(parents=True, exist_ok=True)
    _run_protoc("--include_imports", "--include_source_info", f"--descriptor_set_out={image}", *_source_files())


def _source_files() -> list[str]:
    return sorted(str(path.relative_to(PROTO_ROOT)) for path in (PROTO_ROOT / "whodex").rglob("*.proto"))


def _run_protoc(*arguments: str) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        # protovalidate ships its contract as a descriptor only, not as a .proto file.
        validate_image = Path(scratch) / "validate.binpb"
        descriptor = validate_descriptor().proto.to_binary()
        validate_image.write_bytes(_as_descriptor_set(descriptor))
        command = [
            "protoc",
            f"--proto_path={PROTO_ROOT}",
            f"--proto_path={GOOGLE_PROTOS}",
            f"--proto_path={WELL_KNOWN_PROTOS}",
            f"--descriptor_set_in={validate_image}",
            *(f"--plugin={plugin}={_executable(plugin)}" for plugin in MYPY_PLUGINS),
            *arguments,
        ]
        if protoc.main(command) != 0:
            sys.exit("protoc failed; the lines above name the file and the line")


def _executable(plugin: str) -> str:
    # Beside the interpreter in a virtual environment that is not activated, on the PATH while pip builds.
    found = shutil.which(plugin, path=sysconfig.get_path("scripts")) or shutil.which(plugin)
    return found or sys.exit(f"{plugin} is missing: install the project's build requirements")


def _as_descriptor_set(file_descriptor: bytes) -> bytes:
    from google.protobuf import descriptor_pb2, duration_pb2, timestamp_pb2  # noqa: PLC0415

    image = descriptor_pb2.FileDescriptorSet()
    for module in (descriptor_pb2, duration_pb2, timestamp_pb2):
        module.DESCRIPTOR.CopyToProto(image.file.add())
    image.file.add().ParseFromString(file_descriptor)
    return image.SerializeToString()


def _adopt_validate_package(output: Path) -> None:
    """Moves `buf.validate` below `whodex`: a top-level package `buf` would collide with other SDKs' copies."""
    shutil.move(output / "buf", output / "whodex" / "buf")
    for package in ("", "validate", "../v1"):
        (output / "whodex" / "buf" / package / "__init__.py").touch()
    for stub in (output / "whodex" / "v1").glob("*_pb2.py"):
        text = stub.read_text(encoding="utf-8")
        stub.write_text(text.replace("from buf.validate import", "from whodex.buf.validate import"), encoding="utf-8")


def main() -> None:
    """`python proto/generate.py [--image FILE]`: the stubs into the checkout, or only the image into FILE."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--image", type=Path, help="write the descriptor image here instead of the stubs")
    arguments = parser.parse_args()
    if arguments.image:
        write_image(arguments.image)
    else:
        generate(PROTO_ROOT.parent)


if __name__ == "__main__":
    main()
