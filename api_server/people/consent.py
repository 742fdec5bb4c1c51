"""The consent of a person: kept and shown as it came, but for its end, after which the person is not searched."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from sqlalchemy import func, or_

from api_server.database.schema import Person
from whodex.errors import FailedPreconditionError
from whodex.v1 import error_reason_pb2, person_pb2

# A query may find these people.
IS_CURRENT = or_(Person.consent_expire_time.is_(None), Person.consent_expire_time > func.now())
HAS_EXPIRED = func.coalesce(Person.consent_expire_time <= func.now(), False).label("consent_expired")


def consent_columns(consent: person_pb2.Consent | None) -> dict[str, Any]:
    """The columns of a consent; None: nothing is recorded."""
    ends = consent is not None and consent.HasField("expire_time")
    return {
        "consent": None if consent is None else consent.SerializeToString(),
        "consent_expire_time": consent.expire_time.ToDatetime(UTC) if consent is not None and ends else None,
    }


def expired(display_name: str) -> FailedPreconditionError:
    """The answer to a search for somebody whose consent is over."""
    return FailedPreconditionError(
        f"The consent of {display_name!r} has expired: renew it by UpdatePerson, or delete the person.",
        reason=error_reason_pb2.ERROR_REASON_CONSENT_EXPIRED,
    )
