"""`make bench`: every figure of docs/benchmarks.md but the accuracy, which needs a data set."""

from __future__ import annotations

import argparse

from whodex.demo.video import rendered_video

from tests.benchmarks import photos, queries, video
from tests.benchmarks.report import publish
from tests.benchmarks.stack import running_stack


def main() -> None:
    """Runs the parts one after the other, each on the same stack."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=main.__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="of steady state for each throughput")
    seconds: float = parser.parse_args().seconds
    with running_stack() as state:
        publish("photos", photos.measure(state, seconds))
        publish("video", video.measure(state, rendered_video()))
        publish("queries", queries.measure(state))


if __name__ == "__main__":
    main()
