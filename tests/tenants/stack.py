"""The matrix on a running stack, with everything real in it."""

from __future__ import annotations

from collections.abc import Mapping

from api_server.settings import ServerSettings
from tests.tenants.matrix import Matrix
from tests.tenants.planting import plant
from whodex import Client
from whodex.demo.samples import pull_samples
from whodex.stack import smoke_media
from whodex.stack.parts import service_settings
from whodex.stack.ports import LOOPBACK
from whodex.stack.state import StateDirectory

# The other library's person: the caller's own is somebody else.
OTHERS_PHOTO = smoke_media.PHOTO
OWN_PHOTO = "biden.jpg"


def matrix_on(state: StateDirectory) -> Matrix:
    """Plants two libraries in the stack of a state directory."""
    record = state.record()
    if record is None:
        raise RuntimeError("the stack is not running")
    variables = service_settings(state, record.ports, state.secrets())
    pull_samples()
    owner_url = variables["WHODEX_DATABASE_OWNER_URL"]
    with Client(state_dir=state.root) as admin:
        own, other = (plant(admin, owner_url, photo) for photo in (OWN_PHOTO, OTHERS_PHOTO))
    peers = {
        f"whodex.v1.{service}": f"{LOOPBACK}:{record.ports[port]}"
        for service, port in (("IndexService", "indexer"), ("FaceAnalysisService", "analysis"))
    }
    return Matrix(_beside(variables), owner_url, peers, own, other)


def _beside(variables: Mapping[str, str]) -> ServerSettings:
    """The settings of another api_server of the same deployment."""
    values = {name.removeprefix("WHODEX_").lower(): value for name, value in variables.items() if value}
    return ServerSettings.model_validate(values | {"api_listen": f"{LOOPBACK}:0", "internal_listen": f"{LOOPBACK}:0"})
