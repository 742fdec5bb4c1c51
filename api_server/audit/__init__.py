"""The audit log: who did what, chained by hashes, one chain for each library."""

from api_server.audit.log import SYSTEM, append, read_head
from api_server.audit.searches import AuditedSearch, audited

__all__ = ["SYSTEM", "AuditedSearch", "append", "audited", "read_head"]
