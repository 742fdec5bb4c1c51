"""The client against a gRPC server on the loopback interface that answers what a test says.

The real Triton is in tests/integration/test_triton.py.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import grpc
import numpy as np
import pytest
from numpy.typing import NDArray
from tritonclient.grpc import service_pb2, service_pb2_grpc

from inference.models import golden
from inference.triton.client import DETECTOR, EMBEDDER, Priority, TritonClient
from inference.triton.errors import (
    TritonDeadlineExceededError,
    TritonError,
    TritonGoldenMismatchError,
    TritonInputError,
    TritonOverloadedError,
    TritonTransientError,
    TritonUnavailableError,
)

Infer = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


@dataclass
class ScriptedTriton(service_pb2_grpc.GRPCInferenceServiceServicer):
    """Answers with ``models``, or ends every inference with ``failure``."""

    address: str = ""
    models: dict[str, Infer] = field(default_factory=dict)
    failure: tuple[grpc.StatusCode, str] | None = None
    delay_seconds: float = 0.0
    requests: list[service_pb2.ModelInferRequest] = field(default_factory=list)
    control: list[str] = field(default_factory=list)

    def ModelInfer(self, request, context):  # noqa: N802
        self.requests.append(request)
        time.sleep(self.delay_seconds)
        if self.failure:
            context.abort(*self.failure)
        images = np.frombuffer(request.raw_input_contents[0], np.uint8).reshape(request.inputs[0].shape)
        output = self.models[request.model_name](images)
        described = service_pb2.ModelInferResponse.InferOutputTensor(
            name=request.outputs[0].name, datatype="FP32", shape=output.shape
        )
        return service_pb2.ModelInferResponse(
            model_name=request.model_name, outputs=[described], raw_output_contents=[output.tobytes()]
        )

    def RepositoryModelUnload(self, request, _context):  # noqa: N802
        self.control.append(f"unload {request.model_name}")
        return service_pb2.RepositoryModelUnloadResponse()

    def RepositoryModelLoad(self, request, _context):  # noqa: N802
        self.control.append(f"load {request.model_name}")
        self.failure = None
        return service_pb2.RepositoryModelLoadResponse()


def golden_embeddings(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.tile(golden.golden_output(EMBEDDER), (len(images), 1))


def golden_detections(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.tile(golden.golden_output(DETECTOR), (len(images), 3, 1))


@pytest.fixture
def triton() -> Iterator[ScriptedTriton]:
    scripted = ScriptedTriton(models={"arcface": golden_embeddings, "face_detector": golden_detections})
    server = grpc.server(ThreadPoolExecutor(max_workers=2))
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(scripted, server)
    scripted.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield scripted
    server.stop(grace=None).wait()


@pytest.fixture
def client(triton: ScriptedTriton) -> Iterator[TritonClient]:
    made = TritonClient(triton.address, deadline_seconds=5)
    yield made
    made.close()


def crops(count: int) -> NDArray[np.uint8]:
    return np.zeros((count, 112, 112, 3), np.uint8)


def test_a_large_batch_is_sent_in_pieces_that_triton_takes(triton: ScriptedTriton, client: TritonClient):
    triton.models["arcface"] = lambda images: np.tile(images[:, :1, 0, 0].astype(np.float32), (1, 512))
    batch = crops(70)
    batch[:, 0, 0, 0] = np.arange(70)
    embeddings = client.embed(batch)
    assert embeddings.shape == (70, 512)
    np.testing.assert_array_equal(embeddings[:, 0], np.arange(70))
    assert sorted(request.inputs[0].shape[0] for request in triton.requests) == [6, 32, 32]


def test_a_large_message_is_sent_in_pieces(triton: ScriptedTriton, client: TritonClient):
    assert len(client.detect(np.zeros((7, 640, 640, 3), np.uint8))) == 7
    assert sorted(request.inputs[0].shape[0] for request in triton.requests) == [1, 3, 3]


def test_a_proxy_of_the_environment_is_not_asked(client: TritonClient, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    for name in ("grpc_proxy", "no_proxy", "no_grpc_proxy"):
        monkeypatch.delenv(name, raising=False)
    assert client.embed(crops(1)).shape == (1, 512)


def test_an_empty_batch_is_not_sent(triton: ScriptedTriton, client: TritonClient):
    assert client.embed(crops(0)).shape == (0, 512)
    assert client.detect(np.zeros((0, 256, 256, 3), np.uint8)) == []
    assert triton.requests == []


def test_detections_are_filtered_by_score_and_suppressed(triton: ScriptedTriton, client: TritonClient):
    rows = np.zeros((1, 4, 15), np.float32)
    rows[0, :, :5] = [[0, 0, 9, 9, 0.9], [0, 1, 9, 9, 0.8], [50, 50, 90, 90, 0.7], [100, 100, 110, 110, 0.2]]
    triton.models["face_detector"] = lambda _: rows
    (found,) = client.detect(np.zeros((1, 256, 256, 3), np.uint8))
    np.testing.assert_array_equal(found, rows[0, [0, 2]])
    (certain,) = client.detect(np.zeros((1, 256, 256, 3), np.uint8), min_score=0.85)
    np.testing.assert_array_equal(certain, rows[0, :1])


def test_the_priority_and_the_time_in_the_queue_travel_with_the_request(triton: ScriptedTriton, client: TritonClient):
    client.embed(crops(1), priority=Priority.VIDEO)
    parameters = triton.requests[0].parameters
    assert parameters["priority"].uint64_param == 3
    assert parameters["timeout"].int64_param == 5_000_000


@pytest.mark.parametrize(
    "batch",
    [
        np.zeros((1, 112, 112, 3), np.float32),
        np.zeros((1, 3, 112, 112), np.uint8),
        np.zeros((1, 64, 64, 3), np.uint8),
        np.zeros((112, 112, 3), np.uint8),
    ],
)
def test_a_wrong_batch_is_refused_before_it_is_sent(triton: ScriptedTriton, client: TritonClient, batch):
    with pytest.raises(TritonInputError, match="arcface takes uint8"):
        client.embed(batch)
    assert triton.requests == []


@pytest.mark.parametrize(
    ("code", "message", "expected"),
    [
        (grpc.StatusCode.UNAVAILABLE, "[request id: x] Exceeds maximum queue size", TritonOverloadedError),
        (grpc.StatusCode.UNAVAILABLE, "Request timeout expired", TritonOverloadedError),
        (grpc.StatusCode.UNAVAILABLE, "Request for unknown model: 'arcface' is not found", TritonUnavailableError),
        (grpc.StatusCode.INTERNAL, "Failed to process the request(s)", TritonUnavailableError),
        (grpc.StatusCode.INVALID_ARGUMENT, "unexpected shape for input", TritonInputError),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded", TritonDeadlineExceededError),
    ],
)
def test_what_triton_says_becomes_a_typed_error(
    triton: ScriptedTriton, client: TritonClient, code: grpc.StatusCode, message: str, expected: type[TritonError]
):
    triton.failure = (code, message)
    with pytest.raises(TritonError, match="arcface: ") as caught:
        client.embed(crops(1))
    assert type(caught.value) is expected


def test_a_server_that_is_away_is_a_transient_error():
    with pytest.raises(TritonUnavailableError) as caught:
        TritonClient("127.0.0.1:1", deadline_seconds=5).embed(crops(1))
    assert isinstance(caught.value, TritonTransientError)


def test_the_deadline_ends_a_call(triton: ScriptedTriton):
    triton.delay_seconds = 1.0
    client = TritonClient(triton.address, deadline_seconds=0.2)
    with pytest.raises(TritonDeadlineExceededError):
        client.embed(crops(1))
    client.close()


def test_a_model_whose_process_died_is_loaded_anew(triton: ScriptedTriton, client: TritonClient):
    triton.failure = (grpc.StatusCode.INTERNAL, "Stub process 'arcface_0_0' is not healthy.")
    with pytest.raises(TritonUnavailableError, match="not healthy"):
        client.embed(crops(1))
    assert triton.control == ["unload arcface", "load arcface"]
    client.embed(crops(1))


def test_the_golden_check_passes_what_the_manifests_say(client: TritonClient):
    client.check_golden()


@pytest.mark.parametrize("model", ["arcface", "face_detector"])
def test_the_golden_check_sees_a_model_that_answers_something_else(
    triton: ScriptedTriton, client: TritonClient, model: str
):
    right = triton.models[model]
    triton.models[model] = lambda images: right(images)[..., ::-1].copy()
    with pytest.raises(TritonGoldenMismatchError, match=model):
        client.check_golden()


def test_a_client_that_was_used_before_a_fork_works_after_it(client: TritonClient):
    """The child must not use its parent's channel: it would wait for ever."""
    client._connection, client._connection_pid = object(), -1  # type: ignore[assignment]
    assert client.embed(crops(1)).shape == (1, 512)
