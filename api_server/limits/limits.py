"""What a library may hold and use: the deployment's defaults, and what the admin has set for it instead."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any

from pydantic import Field

from whodex.runtime.settings import Settings
from whodex.v1.library_pb2 import LibraryLimits

TIB = 1 << 40


@dataclass(frozen=True)
class Limits:
    """The limits of one library; the fields are those of `whodex.v1.LibraryLimits`.

    The first two hold exactly over all instances, the others in each instance of the api_server.
    """

    stored_bytes: int
    people: int
    requests_per_second: float
    request_burst: int
    concurrent_calls: int
    concurrent_streams: int

    def with_overrides(self, overrides: Mapping[str, Any]) -> Limits:
        """The limits of a library, of whose own ones there are `overrides` by field."""
        return replace(self, **overrides)

    def to_message(self) -> LibraryLimits:
        """All of them."""
        return LibraryLimits(**asdict(self))


class LimitSettings(Settings):
    """The defaults. A field `library_max_people` is read from WHODEX_LIBRARY_MAX_PEOPLE.

    Measured on two cores that were busy with other work besides: one instance answers 290 small reads a second, with 16
    callers at once as with 64, who only wait four times as long. So a library gets two thirds of that in the long run,
    and no more calls at once than the others can wait for.
    """

    library_max_stored_bytes: Annotated[int, Field(ge=0)] = TIB
    library_max_people: Annotated[int, Field(ge=0)] = 100_000
    library_requests_per_second: Annotated[float, Field(gt=0)] = 200.0
    library_request_burst: Annotated[int, Field(ge=1)] = 1000
    library_concurrent_calls: Annotated[int, Field(ge=1)] = 64
    library_concurrent_streams: Annotated[int, Field(ge=1)] = 128

    @property
    def library_limits(self) -> Limits:
        """The limits of a library for which the admin has set none."""
        return Limits(
            stored_bytes=self.library_max_stored_bytes,
            people=self.library_max_people,
            requests_per_second=self.library_requests_per_second,
            request_burst=self.library_request_burst,
            concurrent_calls=self.library_concurrent_calls,
            concurrent_streams=self.library_concurrent_streams,
        )


def changed_overrides(overrides: Mapping[str, Any], message: LibraryLimits, paths: Collection[str]) -> dict[str, Any]:
    """Returns the overrides after a change of some fields: the new values, without those that are unset now.

    Args:
        overrides: those before, by field.
        message: holds the new values.
        paths: the fields that change.
    """
    changed = {path: getattr(message, path) for path in paths if message.HasField(path)}  # type: ignore[arg-type]
    kept = {name: value for name, value in overrides.items() if name not in paths}
    return kept | changed
