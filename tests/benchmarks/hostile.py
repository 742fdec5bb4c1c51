"""Hostile media: what share of the files is survived as it should be, and what the worst of them cost."""

from __future__ import annotations

import tempfile
from pathlib import Path

from inference.sandbox.decoder import Limits
from inference.sandbox.errors import SandboxError
from inference.sandbox.lockdown import MAX_MEMORY_BYTES
from tests.benchmarks.report import Row
from tests.hostile import hostile_files
from tests.hostile.canary import canary
from tests.hostile.trial import Outcome, trials

ROWS = ("hostile_media_survived",)
# Until a child that took too long is gone.
GRACE_SECONDS = 5


def measure() -> list[Row]:
    """Tries every file in the sandbox, with the limits of production."""
    files, limits = hostile_files(), Limits()
    most_seconds = limits.photo_seconds + limits.stall_seconds + GRACE_SECONDS
    outcomes: list[Outcome] = []
    failed: list[str] = []
    with tempfile.TemporaryDirectory() as folder, canary(Path(folder)) as watched, trials(limits) as sandbox:
        for file in files:
            try:
                outcome = sandbox.run(file, watched.bait)
            except SandboxError:
                failed.append(file.name)
                continue
            outcomes.append(outcome)
            within = outcome.seconds < most_seconds and outcome.peak_bytes < MAX_MEMORY_BYTES
            if outcome.reason not in file.outcomes or not within or watched.heard():
                failed.append(file.name)
    share = 1 - len(failed) / len(files)
    worst_seconds = max(outcome.seconds for outcome in outcomes)
    worst_mib = max(outcome.peak_bytes for outcome in outcomes) >> 20
    note = f"{len(files)} files, the slowest {worst_seconds:.1f} s, the largest decoder {worst_mib} MiB"
    if failed:
        note += f"; not survived: {', '.join(failed)}"
    return [Row("hostile_media_survived", share, "share", target="1.0", ok=not failed, note=note)]
