from __future__ import annotations

from collections.abc import Sequence

from whodex.client.connection import Connection
from whodex.client.pages import Pages
from whodex.v1.embedding_pb2 import FalseMatchRate
from whodex.v1.search_service_pb2 import (
    IdentifyFacesRequest,
    IdentifyFacesResponse,
    SceneMatch,
    SearchScenesRequest,
    SearchScenesResponse,
    VerifyFacesRequest,
    VerifyFacesResponse,
)
from whodex.v1.search_service_pb2_grpc import SearchServiceStub

DEFAULT_RATE = FalseMatchRate.FALSE_MATCH_RATE_UNSPECIFIED


class Search:
    """Who is where, and who is this?

    A similarity is a cosine in [-1, 1]; each response carries the threshold that it is compared with, which the false
    match rate names. Every method raises `whodex.errors.WhodexError`.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stub = SearchServiceStub(connection.channel)

    def scenes(
        self,
        all_of: Sequence[str],
        *,
        false_match_rate: FalseMatchRate.ValueType = DEFAULT_RATE,
        page_size: int = 0,
        consistency_token: str = "",
    ) -> Pages[SearchScenesResponse, SceneMatch]:
        """Finds every scene in which all of the people appear, newest video first.

        Args:
            all_of: resource names of 1 to 20 people.
            false_match_rate: names the threshold; the default is one in 1000.
            page_size: 1 to 200 in one response; 0: the server's choice.
            consistency_token: of an earlier response, to see what it stands for.

        Raises:
            FailedPreconditionError: one of the people has no usable photo yet (PERSON_NOT_READY).
        """

        def fetch(page_token: str) -> SearchScenesResponse:
            request = SearchScenesRequest(
                parent=self._connection.library,
                all_of=all_of,
                false_match_rate=false_match_rate,
                page_size=page_size,
                page_token=page_token,
                consistency_token=consistency_token,
            )
            return self._connection.call(self._stub.SearchScenes, request)

        return Pages(fetch, lambda page: page.matches)

    def identify(
        self,
        image: bytes,
        *,
        false_match_rate: FalseMatchRate.ValueType = DEFAULT_RATE,
        max_candidates: int = 0,
        consistency_token: str = "",
    ) -> IdentifyFacesResponse:
        """Finds the faces in a picture, the largest first, each with the people it may be.

        Args:
            image: JPEG, PNG, WebP, HEIC, AVIF, TIFF, BMP or GIF, at most 32 MiB.
            false_match_rate: names the threshold; the default is one in 1000.
            max_candidates: 1 to 100 people per face; 0: the server's choice.
            consistency_token: of an earlier response, to see what it stands for.
        """
        request = IdentifyFacesRequest(
            parent=self._connection.library,
            image=image,
            false_match_rate=false_match_rate,
            max_candidates=max_candidates,
            consistency_token=consistency_token,
        )
        return self._connection.call(self._stub.IdentifyFaces, request)

    def verify(
        self,
        first_image: bytes,
        second_image: bytes,
        *,
        false_match_rate: FalseMatchRate.ValueType = DEFAULT_RATE,
    ) -> VerifyFacesResponse:
        """Says whether two pictures, with one face each, show the same person.

        Args:
            first_image: JPEG, PNG, WebP, HEIC, AVIF, TIFF, BMP or GIF, at most 32 MiB.
            second_image: likewise.
            false_match_rate: names the threshold; the default is one in 1000.

        Raises:
            FailedPreconditionError: a picture shows no face or several (NO_FACE, SEVERAL_FACES).
        """
        request = VerifyFacesRequest(
            parent=self._connection.library,
            first_image=first_image,
            second_image=second_image,
            false_match_rate=false_match_rate,
        )
        return self._connection.call(self._stub.VerifyFaces, request)
