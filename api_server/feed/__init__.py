"""Every change of an embedding, in the order of commits.

Writers call `record_changes` as the last step of their transaction; the indexer follows through EmbeddingFeedService;
callers of the public API hold a position as an opaque consistency token.
"""

from api_server.feed.changes import Change, read_position, record_changes
from api_server.feed.position import FeedPosition, make_consistency_token, parse_consistency_token

__all__ = [
    "Change",
    "FeedPosition",
    "make_consistency_token",
    "parse_consistency_token",
    "read_position",
    "record_changes",
]
