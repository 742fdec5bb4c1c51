"""Work for the workers: put into a queue of Postgres in the caller's transaction, claimed by lease, finished once."""

from api_server.work.queue import Cancelled, cancel, enqueue

__all__ = ["Cancelled", "cancel", "enqueue"]
