"""`make fuzz`: fuzzes every target for a while, or one of them for long.

What libFuzzer has found interesting stays in `build/fuzz/TARGET/corpus` and is begun with the next time. What a parser
should not have raised is printed, and its input kept as `build/fuzz/TARGET/crash-*`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import atheris

ROOT = Path("build/fuzz")
# Of one input; the sandbox is what limits decoders in production.
TIMEOUT_SECONDS = 20
MEMORY_MIB = 3072


def main() -> None:
    """Each target runs in a process of its own: libFuzzer ends its process."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=main.__doc__)
    parser.add_argument("target", nargs="?", help="one of them; all when left out")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--seed", type=int, default=0, help="of the mutations; 0: another one each time")
    arguments = parser.parse_args()
    if arguments.target:
        fuzz(arguments.target, arguments.seconds, arguments.seed)
    sys.exit(fuzz_all(arguments.seconds, arguments.seed))


def fuzz_all(seconds: int, seed: int) -> int:
    """Fuzzes one target after the other; returns how many had a finding."""
    from tests.fuzz.targets import TARGETS  # noqa: PLC0415 - not before a single target is instrumented

    failed = []
    for name in TARGETS:
        command = [sys.executable, "-m", "tests.fuzz", name, f"--seconds={seconds}", f"--seed={seed}"]
        if subprocess.run(command, check=False).returncode != 0:
            failed.append(name)
    print(f"fuzzed {len(TARGETS)} targets for {seconds} s each; findings in: {', '.join(failed) or 'none'}")  # noqa: T201
    return len(failed)


def fuzz(name: str, seconds: int, seed: int) -> None:
    """Fuzzes one target, and ends the process: with 0 when nothing was found."""
    with atheris.instrument_imports(include=["api_server", "indexer", "inference", "whodex", "PIL"]):
        from tests.fuzz.targets import TARGETS  # noqa: PLC0415 - instrumented while it is imported
    target = TARGETS[name]
    folder = ROOT / name
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, content in enumerate(target.seeds()):
        (corpus / f"seed-{number}").write_bytes(content)

    def parse(data: bytes) -> None:
        with suppress(*target.refuses):
            target.parse(data)

    options = [
        f"-max_total_time={seconds}",
        f"-max_len={target.max_bytes}",
        f"-timeout={TIMEOUT_SECONDS}",
        f"-rss_limit_mb={MEMORY_MIB}",
        f"-artifact_prefix={folder}/",
        "-print_final_stats=1",
        f"-seed={seed}",
        str(corpus),
    ]
    print(f"fuzzing {name}", flush=True)  # noqa: T201
    atheris.Setup([sys.argv[0], *options], parse)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
