"""SearchService: converts, calls, converts."""

from __future__ import annotations

from typing import Any

from grpc.aio import ServicerContext

from api_server import feed, names
from api_server.access.authorization import authorized_ids
from api_server.audit import audited
from api_server.database.engine import Database
from api_server.feed import FeedPosition
from api_server.search.query_faces import QueryFaces
from api_server.search.scenes import SceneSearch
from whodex.errors import FieldViolation, InvalidArgumentError
from whodex.runtime.interceptors import remaining_seconds
from whodex.runtime.pictures import SUPPORTED_FORMATS
from whodex.v1 import error_reason_pb2
from whodex.v1 import search_service_pb2 as pb
from whodex.v1.audit_pb2 import AUDIT_ACTION_IDENTIFY, AUDIT_ACTION_SEARCH, AUDIT_ACTION_VERIFY
from whodex.v1.search_service_pb2_grpc import SearchServiceServicer

Context = ServicerContext[Any, Any]


class SearchServicer(SearchServiceServicer):
    """Finding people."""

    def __init__(self, database: Database, scenes: SceneSearch, query_faces: QueryFaces) -> None:
        self._database = database
        self._scenes = scenes
        self._query_faces = query_faces

    async def SearchScenes(self, request: pb.SearchScenesRequest, context: Context) -> pb.SearchScenesResponse:
        """Returns every scene in which all of the people appear."""
        (library_id,) = authorized_ids(request.parent, names.LIBRARY)
        people = [authorized_ids(person, names.PERSON) for person in request.all_of]
        for name, (of_library, _) in zip(request.all_of, people, strict=True):
            if of_library != library_id:
                raise names.not_found(name)
        async with audited(self._database, AUDIT_ACTION_SEARCH, library_id, request) as search:
            response = await self._scenes.search(
                library_id,
                [person_id for _, person_id in people],
                request,
                at_least=await self._position(request.consistency_token),
                timeout_seconds=remaining_seconds(context),
            )
            search.result_count = len(response.matches)
        return response

    async def IdentifyFaces(self, request: pb.IdentifyFacesRequest, context: Context) -> pb.IdentifyFacesResponse:
        """Says of each face in a picture who it may be."""
        (library_id,) = authorized_ids(request.parent, names.LIBRARY)
        _require_image("image", request.image)
        async with audited(self._database, AUDIT_ACTION_IDENTIFY, library_id, request) as search:
            at_least = await self._position(request.consistency_token)
            response = await self._query_faces.identify(library_id, request, at_least, remaining_seconds(context))
            search.result_count = sum(len(face.candidates) for face in response.faces)
        return response

    async def VerifyFaces(self, request: pb.VerifyFacesRequest, context: Context) -> pb.VerifyFacesResponse:
        """Says whether two pictures show the same person."""
        (library_id,) = authorized_ids(request.parent, names.LIBRARY)
        _require_image("first_image", request.first_image)
        _require_image("second_image", request.second_image)
        async with audited(self._database, AUDIT_ACTION_VERIFY, library_id, request) as search:
            response = await self._query_faces.verify(request, remaining_seconds(context))
            search.result_count = 1
        return response

    async def _position(self, token: str) -> FeedPosition | None:
        if not token:
            return None
        async with self._database.reads() as session:
            current = await feed.read_position(session)
        return feed.parse_consistency_token(token, epoch=current.epoch)


def _require_image(field: str, image: bytes) -> None:
    if not image:
        raise InvalidArgumentError(
            f"{field} holds no bytes. Send a {SUPPORTED_FORMATS} picture.",
            reason=error_reason_pb2.ERROR_REASON_UPLOAD_EMPTY,
            violations=[FieldViolation(field, "holds no bytes")],
        )
