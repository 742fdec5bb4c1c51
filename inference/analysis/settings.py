from __future__ import annotations

from pathlib import Path

from whodex.runtime.settings import Address, RotatingSecret
from whodex.runtime.tls import MeshSettings


class AnalysisSettings(MeshSettings):
    """What face analysis is told by its environment.

    Attributes:
        analysis_listen: where FaceAnalysisService listens.
        internal_token: the credential of the internal services.
        triton_address: where Triton's gRPC is.
        triton_ca: PEM; who signs the certificate of Triton; None: Triton speaks plaintext.
    """

    analysis_listen: Address
    internal_token: RotatingSecret
    triton_address: Address
    triton_ca: Path | None = None
