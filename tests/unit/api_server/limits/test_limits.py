from __future__ import annotations

from api_server.limits.limits import Limits, LimitSettings, changed_overrides
from whodex.v1.library_pb2 import LibraryLimits


def test_every_limit_of_the_contract_has_a_default() -> None:
    defaults = LimitSettings().library_limits
    fields = [field.name for field in LibraryLimits.DESCRIPTOR.fields]
    assert list(Limits.__dataclass_fields__) == fields
    assert all(defaults.to_message().HasField(name) for name in fields)


def test_an_override_stands_in_for_its_default_alone() -> None:
    defaults = LimitSettings().library_limits
    limits = defaults.with_overrides({"people": 3})
    assert (limits.people, limits.stored_bytes) == (3, defaults.stored_bytes)


def test_only_what_the_mask_names_changes() -> None:
    before = {"people": 3, "request_burst": 7}
    message = LibraryLimits(people=4, stored_bytes=5)
    assert changed_overrides(before, message, ["people"]) == {"people": 4, "request_burst": 7}


def test_what_is_named_and_not_set_is_the_default_again() -> None:
    assert changed_overrides({"people": 3}, LibraryLimits(), ["people"]) == {}


def test_nothing_at_all_is_a_limit_too() -> None:
    assert changed_overrides({}, LibraryLimits(people=0), ["people"]) == {"people": 0}
