from __future__ import annotations

from inference.models.manifest import load_embedder
from inference.proto import space_to_proto
from whodex.v1 import embedding_pb2


def test_the_space_has_a_threshold_for_every_rate_of_the_contract():
    space = space_to_proto(load_embedder())
    assert (space.space, space.dimension) == (load_embedder().space, 512)
    named = set(embedding_pb2.FalseMatchRate.values()) - {embedding_pb2.FALSE_MATCH_RATE_UNSPECIFIED}
    assert {threshold.false_match_rate for threshold in space.thresholds} == named
