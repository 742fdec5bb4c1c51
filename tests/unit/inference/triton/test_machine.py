import platform
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from inference.triton.errors import TritonEnvironmentError
from inference.triton.machine import Interpreter, Machine, check_machine, first_embeddable, inspect

FITTING = Machine("Linux", "x86_64", ("glibc", "2.35"), Path("/cache"), 3 * 1024**3)


def test_a_fitting_machine_passes():
    check_machine(FITTING)


@pytest.mark.parametrize(
    ("machine", "message"),
    [
        (replace(FITTING, system="Darwin", processor="arm64"), "this is Darwin on arm64"),
        (replace(FITTING, processor="aarch64"), "this is Linux on aarch64"),
        (replace(FITTING, libc=("glibc", "2.31")), r"glibc 2\.35 or newer.*has glibc 2\.31\."),
        (replace(FITTING, libc=("", "")), r"has another C library\."),
        (replace(FITTING, free_bytes=1024**3), r"2 GB in /cache and 1\.0 GB are free: make room"),
    ],
)
def test_what_is_missing_is_named(machine: Machine, message: str):
    with pytest.raises(TritonEnvironmentError, match=message):
        check_machine(machine)


def test_this_machine_can_be_described(tmp_path: Path):
    here = Machine.here(tmp_path)
    assert (here.system, here.processor) == (platform.system(), platform.machine())
    assert here.free_bytes > 0


def test_this_interpreter_can_be_inspected():
    found = inspect(sys.executable)
    assert found.version == f"{sys.version_info.major}.{sys.version_info.minor}"
    assert found.library.name == f"libpython{found.version}.so.1.0"


def test_the_first_interpreter_with_its_library_is_taken(tmp_path: Path):
    library = tmp_path / "libpython.so"
    library.touch()
    too_new = Interpreter("a", "3.13", library)
    without_library = Interpreter("b", "3.11", tmp_path / "missing.so")
    fitting = Interpreter("c", "3.12", library)
    assert first_embeddable([too_new, without_library, fitting, Interpreter("d", "3.11", library)]) is fitting


def test_no_interpreter_with_a_library_says_what_to_install():
    with pytest.raises(TritonEnvironmentError, match="apt install libpython3"):
        first_embeddable([])
