"""`make bench`: every figure of docs/benchmarks.md but the accuracy, which needs a data set."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

from tests.benchmarks import erasure, hostile, photos, queries, tenants, uploads, valid_media, video
from tests.benchmarks.report import RESULTS, Row, publish
from tests.benchmarks.stack import running_stack
from whodex.demo.render import render
from whodex.demo.samples import pull_samples
from whodex.errors import WhodexError

VIDEO = RESULTS / "sample.mp4"


def main() -> None:
    """Runs the parts one after the other, each on the same stack."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=main.__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="of steady state for each throughput")
    parser.add_argument("--seed", type=int, default=10, help="of the rendered video")
    arguments = parser.parse_args()
    pull_samples()
    RESULTS.mkdir(parents=True, exist_ok=True)
    render(VIDEO, seed=arguments.seed)
    _publish("hostile", hostile.measure, hostile.ROWS)
    with running_stack() as state:
        _publish("photos", lambda: photos.measure(state, arguments.seconds), photos.ROWS)
        _publish("video", lambda: video.measure(state, VIDEO), video.ROWS)
        _publish("queries", lambda: queries.measure(state), queries.ROWS)
        _publish("erasure", lambda: erasure.measure(state), erasure.ROWS)
        _publish("valid_media", lambda: valid_media.measure(state), valid_media.ROWS)
        _publish("tenants", lambda: tenants.measure(state), tenants.ROWS)
        _publish("uploads", lambda: uploads.measure(state), uploads.ROWS)


def _publish(name: str, measure: Callable[[], list[Row]], rows: Sequence[str]) -> None:
    """A part that cannot be measured does not hide the others: its rows say why."""
    try:
        publish(name, measure())
    except (RuntimeError, WhodexError) as error:
        publish(name, [Row(row, None, "", ok=False, note=f"not measured: {error}") for row in rows])


if __name__ == "__main__":
    main()
