"""The composition root of `python -m inference.analysis`."""

from __future__ import annotations

import asyncio

from inference.analysis.picture import AnalyzedPicture, analyze_picture
from inference.analysis.servicers.face_analysis import FaceAnalysisServicer
from inference.analysis.settings import AnalysisSettings
from inference.analysis.triton_threads import TritonThreads
from inference.faces.analyzer import FaceAnalyzer
from inference.triton.client import DETECTOR, EMBEDDER, Priority, TritonClient
from inference.triton.face_models import TritonFaceModels
from whodex.runtime.credentials import internal_credential
from whodex.runtime.log import configure_logging
from whodex.runtime.server import Listener, Service, serve
from whodex.runtime.settings import load_settings
from whodex.v1 import face_analysis_service_pb2
from whodex.v1.face_analysis_service_pb2_grpc import add_FaceAnalysisServiceServicer_to_server

SERVICE_NAME = face_analysis_service_pb2.DESCRIPTOR.services_by_name["FaceAnalysisService"].full_name


def main() -> None:
    """Serves until SIGTERM or SIGINT."""
    configure_logging("analysis")
    asyncio.run(_run(load_settings(AnalysisSettings)))


async def _run(settings: AnalysisSettings) -> None:
    async with TritonThreads(settings.triton_address, settings.triton_ca) as threads:
        await serve([listener(settings, threads)])


def listener(settings: AnalysisSettings, threads: TritonThreads) -> Listener:
    """FaceAnalysisService for the other services; SERVING while Triton passes the models' golden vectors."""

    async def analyze(data: bytes) -> AnalyzedPicture:
        return await threads.run(lambda client: analyze_picture(_analyzer(client), data))

    service = Service(
        SERVICE_NAME,
        add_FaceAnalysisServiceServicer_to_server,
        FaceAnalysisServicer(analyze, EMBEDDER.space),
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
