"""The composition root of `python -m inference.analysis`."""

from __future__ import annotations

import asyncio
import socket
import sys
from contextlib import closing

from inference.analysis.picture import AnalyzedPicture, analyze_picture
from inference.analysis.servicers.face_analysis import FaceAnalysisServicer
from inference.analysis.settings import AnalysisSettings
from inference.analysis.triton_threads import TritonThreads
from inference.faces.analyzer import FaceAnalyzer
from inference.proto import decoder_host_to_proto
from inference.sandbox.decoder import Decoder
from inference.sandbox.errors import SandboxError
from inference.triton.client import DETECTOR, EMBEDDER, Priority, TritonClient
from inference.triton.face_models import TritonFaceModels
from whodex.runtime.credentials import internal_credential
from whodex.runtime.log import configure_logging
from whodex.runtime.server import Listener, Service, serve
from whodex.runtime.settings import load_settings
from whodex.v1 import face_analysis_service_pb2
from whodex.v1.decoder_pb2 import DecoderHost
from whodex.v1.face_analysis_service_pb2_grpc import add_FaceAnalysisServiceServicer_to_server

SERVICE_NAME = face_analysis_service_pb2.DESCRIPTOR.services_by_name["FaceAnalysisService"].full_name


def main() -> None:
    """Serves until SIGTERM or SIGINT."""
    configure_logging("analysis")
    settings = load_settings(AnalysisSettings)
    with closing(Decoder()) as decoder:
        try:
            host = decoder_host_to_proto(socket.gethostname(), decoder.check())
        except SandboxError as error:
            sys.exit(f"analysis does not start: {error}")
        asyncio.run(_run(settings, decoder, host))


async def _run(settings: AnalysisSettings, decoder: Decoder, host: DecoderHost) -> None:
    async with TritonThreads(settings.triton_address, settings.triton_ca) as threads:
        await serve([listener(settings, threads, decoder, host)])


def listener(settings: AnalysisSettings, threads: TritonThreads, decoder: Decoder, host: DecoderHost) -> Listener:
    """FaceAnalysisService for the other services; SERVING while Triton passes the models' golden vectors."""

    async def analyze(data: bytes, *, every_face: bool) -> AnalyzedPicture:
        return await threads.run(
            lambda client: analyze_picture(decoder, _analyzer(client), data, every_face=every_face)
        )

    service = Service(
        SERVICE_NAME,
        add_FaceAnalysisServiceServicer_to_server,
        FaceAnalysisServicer(analyze, EMBEDDER.space, host),
        [threads.check],
    )
    return Listener(
        settings.analysis_listen,
        [service],
        internal_credential(settings.internal_token),
        tls=settings.mesh,
        allow_plaintext=settings.allow_plaintext,
    )


def _analyzer(client: TritonClient) -> FaceAnalyzer:
    return FaceAnalyzer(TritonFaceModels(client, Priority.INTERACTIVE), DETECTOR.input.sizes)
