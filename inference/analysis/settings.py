from __future__ import annotations

from whodex.runtime.settings import Address, Secret, Settings


class AnalysisSettings(Settings):
    """What face analysis is told by its environment.

    Attributes:
        analysis_listen: where FaceAnalysisService listens.
        internal_token: the credential of the internal services.
        triton_address: where Triton's gRPC is.
    """

    analysis_listen: Address
    internal_token: Secret
    triton_address: Address
