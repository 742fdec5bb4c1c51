from pathlib import Path

from inference.triton.environment import TritonEnvironment
from inference.triton.server import ServerOptions, remove_shared_memory, server_command

ENVIRONMENT = TritonEnvironment(Path("/cache/env"), Path("/cache/env/site-packages"), Path("/usr/lib"))


def test_every_endpoint_is_on_the_loopback_interface():
    options = ServerOptions(Path("/state/triton"), grpc_port=8001, http_port=8000, metrics_port=8002)
    command = server_command(ENVIRONMENT, options, ["arcface"])
    for endpoint in ("grpc", "http", "metrics"):
        assert f"--{endpoint}-address=127.0.0.1" in command
    assert {"--grpc-port=8001", "--http-port=8000", "--metrics-port=8002"} <= set(command)


def test_endpoints_that_nobody_asked_for_are_off():
    command = server_command(ENVIRONMENT, ServerOptions(Path("/state/triton"), grpc_port=8001), [])
    assert {"--allow-http=false", "--allow-metrics=false"} <= set(command)


def test_only_the_models_named_are_loaded():
    options = ServerOptions(Path("/state/triton"), grpc_port=8001)
    command = server_command(ENVIRONMENT, options, ["arcface", "face_detector"])
    assert "--model-control-mode=explicit" in command
    assert [part for part in command if part.startswith("--load-model")] == [
        "--load-model=arcface",
        "--load-model=face_detector",
    ]


def test_two_repositories_share_no_memory():
    first, second = (
        set(server_command(ENVIRONMENT, ServerOptions(Path(path), grpc_port=8001), [])) for path in ("/a", "/b")
    )
    assert {part.partition("=")[0] for part in first ^ second} == {"--model-repository", "--backend-config"}


def test_what_a_killed_server_left_in_shared_memory_is_removed(tmp_path: Path):
    (tmp_path / "whodex_1_region").touch()
    (tmp_path / "whodex_2_region").touch()
    remove_shared_memory("whodex_1_", directory=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["whodex_2_region"]


def test_tritonserver_sees_its_own_environment_first(monkeypatch):
    monkeypatch.setenv("PATH", "/usr/bin")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    variables = ENVIRONMENT.variables()
    assert variables["PATH"] == "/cache/env/bin:/usr/bin"
    assert variables["LD_LIBRARY_PATH"] == "/cache/env/site-packages/nvidia_pytriton.libs:/usr/lib"
    assert "PYTHONPATH" not in variables
