"""`python -m whodex.runtime.probe localhost:7701`: the health check of a service's container.

It runs beside the service, with its environment: under mutual TLS it proves itself by the service's own certificate,
which therefore has to carry the name `localhost` too.
"""

from __future__ import annotations

import argparse
import sys

import grpc
from grpc_health.v1 import health_pb2

from whodex.runtime.channel import channel_credentials
from whodex.runtime.channel_options import DIRECT
from whodex.runtime.settings import load_settings
from whodex.runtime.tls import MeshSettings, Tls

TIMEOUT_SECONDS = 5.0


def main() -> None:
    """Exit code 0 when all that the server needs is there; else 1 and a line that says what it answered."""
    parser = argparse.ArgumentParser(prog="python -m whodex.runtime.probe", description=main.__doc__)
    parser.add_argument("address", help="host:port of an internal listener")
    problem = find_problem(parser.parse_args().address, load_settings(MeshSettings).mesh)
    if problem is not None:
        sys.exit(problem)


def find_problem(address: str, tls: Tls | None) -> str | None:
    """Asks `grpc.health.v1.Health` for the whole server; None: it is SERVING.

    Args:
        address: host:port.
        tls: what to prove oneself by; None: plaintext.
    """
    with _channel(address, tls) as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        try:
            answer = check(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_SECONDS)
        except grpc.RpcError as error:
            return f"{address}: {error.code().name}: {error.details()}"
    if answer.status == health_pb2.HealthCheckResponse.SERVING:
        return None
    return f"{address}: {health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)}"


def _channel(address: str, tls: Tls | None) -> grpc.Channel:
    if tls is None:
        return grpc.insecure_channel(address, options=[DIRECT])
    return grpc.secure_channel(address, channel_credentials(tls.certificates.current()), options=[DIRECT])


if __name__ == "__main__":
    main()
