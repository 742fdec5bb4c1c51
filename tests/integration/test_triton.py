"""The real Triton with the real models, on a server of its own: some of these tests kill parts of it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pytest
import tritonclient.grpc
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException

from inference.models import golden
from inference.triton.client import DETECTOR, EMBEDDER, Priority, TritonClient
from inference.triton.errors import TritonOverloadedError, TritonUnavailableError
from inference.triton.server import shared_memory_prefix
from whodex.stack.ports import LOOPBACK, claimed_ports

pytestmark = pytest.mark.integration

START_SECONDS = 60


@dataclass(frozen=True)
class RunningTriton:
    """A Triton of these tests alone.

    Attributes:
        process: tritonserver.
        address: of its gRPC endpoint.
    """

    process: psutil.Popen
    address: str

    def stub(self, model: str) -> psutil.Process:
        """The process in which a model lives."""
        (found,) = [
            child
            for child in self.process.children()
            if child.status() != psutil.STATUS_ZOMBIE and f"/{model}/1/model.py" in " ".join(child.cmdline())
        ]
        return found


def start(repository: Path) -> RunningTriton:
    with claimed_ports(["triton"]) as ports:
        return start_at(repository, ports["triton"])


def start_at(repository: Path, port: int) -> RunningTriton:
    log = repository.with_suffix(".log")
    command = [sys.executable, "-m", "inference.triton", "--repository", str(repository), "--grpc-port", str(port)]
    with log.open("w") as output:
        process = psutil.Popen(command, stdout=output, stderr=output)
    triton = RunningTriton(process, f"{LOOPBACK}:{port}")
    client = TritonClient(triton.address)
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            client.check_golden()
        except TritonUnavailableError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        else:
            client.close()
            return triton


def stop(triton: RunningTriton) -> None:
    triton.process.terminate()
    assert triton.process.wait(timeout=30) == 0


@pytest.fixture(scope="module")
def triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningTriton]:
    running = start(tmp_path_factory.mktemp("triton") / "repository")
    yield running
    running.process.terminate()
    running.process.wait(timeout=30)


@pytest.fixture
def client(triton: RunningTriton) -> Iterator[TritonClient]:
    made = TritonClient(triton.address)
    yield made
    made.close()


def noise(count: int, width: int, height: int) -> NDArray[np.uint8]:
    return np.random.default_rng(count).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def cosines(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return np.asarray((first * second).sum(axis=1) / lengths)


def test_swapped_channels_do_not_pass_for_the_golden_picture(client: TritonClient):
    """What the golden vectors are for: RGB where BGR belongs still looks like a face."""
    swapped = np.ascontiguousarray(golden.golden_input(EMBEDDER)[..., ::-1])
    embedding = client.embed(swapped)
    assert cosines(embedding, golden.golden_output(EMBEDDER)[None])[0] < 0.9
    with pytest.raises(golden.GoldenMismatchError):
        golden.check(EMBEDDER, embedding)
    detections = client.detect(np.ascontiguousarray(golden.golden_input(DETECTOR)[..., ::-1]))
    with pytest.raises(golden.GoldenMismatchError):
        golden.check(DETECTOR, detections[0][None])


@pytest.mark.parametrize("size", DETECTOR.input.sizes)
def test_a_face_is_found_at_its_place_on_every_canvas(client: TritonClient, size: tuple[int, int]):
    """Moved by whole strides, it is found at the same place up to the edges' influence."""
    picture = golden.golden_input(DETECTOR)[0]
    width, height = size
    canvas = np.full((1, height, width, 3), picture[0, 0], np.uint8)
    left, top = (width - 256) // 32 * 32, (height - 256) // 32 * 32
    canvas[0, top : top + 256, left : left + 256] = picture
    (found,) = client.detect(canvas)
    expected = golden.golden_output(DETECTOR) + np.tile([left, top], 8)[:15].astype(np.float32)
    (face,) = [row for row in found if np.abs(np.delete(row, 4)[:4] - expected[:4]).max() < 12]
    assert face[4] > 0.8


def test_a_batch_is_answered_like_its_images_one_by_one(client: TritonClient):
    crops = noise(7, 112, 112)
    single = np.concatenate([client.embed(crops[[index]]) for index in range(7)])
    assert cosines(client.embed(crops), single).min() > 0.999


def test_more_images_than_triton_takes_at_once_come_back_in_order(client: TritonClient):
    crops = noise(70, 112, 112)
    answers = client.embed(crops)
    assert answers.shape == (70, 512)
    assert cosines(answers[[0, 31, 32, 69]], client.embed(crops[[0, 31, 32, 69]])).min() > 0.999


def test_callers_that_send_one_crop_each_share_batches(client: TritonClient):
    crops = noise(32, 112, 112)
    before = batches(client, "arcface")
    with ThreadPoolExecutor(max_workers=32) as callers:
        answers = list(callers.map(lambda index: client.embed(crops[[index]])[0], range(32)))
    assert cosines(np.array(answers), client.embed(crops)).min() > 0.999
    assert batches(client, "arcface") - before < 32


def batches(client: TritonClient, model: str) -> int:
    connection = tritonclient.grpc.InferenceServerClient(client._address)
    statistics = connection.get_inference_statistics(model)
    connection.close()
    return int(statistics.model_stats[0].execution_count)


def test_an_image_of_a_size_that_is_not_served_is_refused_by_triton_too(triton: RunningTriton):
    connection = tritonclient.grpc.InferenceServerClient(triton.address)
    tensor = tritonclient.grpc.InferInput("images_bgr", [1, 100, 100, 3], "UINT8")
    tensor.set_data_from_numpy(noise(1, 100, 100))
    with pytest.raises(InferenceServerException, match="100x100 are not served") as caught:
        connection.infer("face_detector", [tensor])
    assert caught.value.status() == "StatusCode.INVALID_ARGUMENT"
    connection.close()


def test_a_full_queue_refuses_at_once_and_answers_the_others(client: TritonClient):
    crops = noise(8, 112, 112)
    with ThreadPoolExecutor(max_workers=120) as callers:
        calls = [callers.submit(client.embed, crops, priority=Priority.INTERACTIVE) for _ in range(120)]
    failures = [call.exception() for call in calls if call.exception()]
    assert 0 < len(failures) < 100
    assert {type(failure) for failure in failures} == {TritonOverloadedError}


def test_a_query_overtakes_the_frames_of_a_video(client: TritonClient):
    crops = noise(8, 112, 112)
    with ThreadPoolExecutor(max_workers=65) as callers:
        calls = {callers.submit(client.embed, crops, priority=Priority.VIDEO): "frame" for _ in range(64)}
        time.sleep(0.2)
        calls[callers.submit(client.embed, crops, priority=Priority.INTERACTIVE)] = "query"
        order = [calls[call] for call in as_completed(calls)]
    assert order.index("query") < 48


@pytest.mark.parametrize("model", ["arcface", "face_detector"])
def test_a_dead_model_is_seen_though_triton_says_ready_and_comes_back(triton: RunningTriton, model: str):
    client = TritonClient(triton.address)
    stub = triton.stub(model)
    stub.kill()
    psutil.wait_procs([stub], timeout=2)
    connection = tritonclient.grpc.InferenceServerClient(triton.address)
    assert connection.is_server_ready()
    assert connection.is_model_ready(model)
    connection.close()
    with pytest.raises(TritonUnavailableError, match=model):
        client.check_golden()
    client.check_golden()
    client.close()


def test_a_child_of_a_process_that_has_used_the_client_can_use_it(triton: RunningTriton):
    """Celery forks its workers; a channel that crosses a fork never answers."""
    program = f"""
import os
from inference.triton.client import TritonClient
client = TritonClient("{triton.address}", deadline_seconds=10)
client.check_golden()
if not (child := os.fork()):
    client.check_golden()
    os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def regions(repository: Path) -> list[str]:
    return [path.name for path in Path("/dev/shm").glob(f"{shared_memory_prefix(repository)}*")]  # noqa: S108


def test_it_stops_when_asked_and_leaves_nothing(tmp_path: Path):
    repository = tmp_path / "repository"
    triton = start(repository)
    stubs = triton.process.children()
    assert len(regions(repository)) == len(stubs) == 2
    stop(triton)
    assert [stub for stub in stubs if stub.is_running()] == []
    assert regions(repository) == []


def test_what_a_killed_server_left_is_removed_by_the_next(tmp_path: Path):
    repository = tmp_path / "repository"
    killed = start(repository)
    for process in (*killed.process.children(), killed.process):
        process.kill()
    killed.process.wait()
    left = set(regions(repository))
    assert left
    running = start(repository)
    assert not left & set(regions(repository))
    stop(running)
