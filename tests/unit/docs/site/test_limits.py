from __future__ import annotations

import pytest
from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pb2 import DescriptorProto

from docs.site.limits import limits_of
from whodex.v1 import embedding_pb2, people_service_pb2, search_service_pb2


def _limits(message: Descriptor, field: str) -> list[str]:
    copied = DescriptorProto()
    message.CopyToProto(copied)
    return limits_of(next(one for one in copied.field if one.name == field))


@pytest.mark.parametrize(
    ("message", "field", "limits"),
    [
        (people_service_pb2.CreatePersonRequest, "display_name", ["not empty", "at most 200 characters"]),
        (people_service_pb2.CreatePersonRequest, "request_id", ["a UUID"]),
        (people_service_pb2.ListPeopleRequest, "page_size", ["at least 0", "at most 1,000"]),
        (people_service_pb2.UpdatePersonRequest, "person", ["required"]),
        (people_service_pb2.ListPeopleResponse, "people", []),
        # The pattern of a resource name says no more than the field's comment.
        (people_service_pb2.GetPersonRequest, "name", []),
        (embedding_pb2.Embedding, "vector", ["at least 4 bytes", "at most 16,384 bytes"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_rules_become_phrases(message, field: str, limits: list[str]):
    assert _limits(message.DESCRIPTOR, field) == limits


def test_a_rule_of_our_own_is_told_in_its_own_words():
    assert _limits(people_service_pb2.UpdatePersonRequest.DESCRIPTOR, "update_mask") == [
        "required",
        "must name display_name, description or consent",
    ]


def test_limits_of_a_list_are_told():
    limits = _limits(search_service_pb2.SearchScenesRequest.DESCRIPTOR, "all_of")
    assert limits == ["not empty", "at most 20 of them", "all different"]
