"""Structured logs: one JSON object per line on standard error, with the correlation id of the call or work item."""

from __future__ import annotations

import logging
import re
import sys
from typing import cast
from uuid import uuid4

import structlog
from structlog.contextvars import bind_contextvars
from structlog.typing import FilteringBoundLogger

CORRELATION_METADATA_KEY = "x-correlation-id"
_CORRELATION_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def configure_logging(service: str) -> None:
    """Sets up structlog and the standard library's logging for this process; `service` is in every line."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    ]
    render: list[structlog.typing.Processor] = [
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(),
    ]
    structlog.configure(
        processors=[*shared, *render],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    # Libraries log through the standard library; their lines look like ours.
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    bind_contextvars(service=service)


def get_logger() -> FilteringBoundLogger:
    """The process's logger: `get_logger().info("photo analysed", photo=name, duration_ms=12)`."""
    return cast("FilteringBoundLogger", structlog.get_logger())


def correlation_id(offered: str | None = None) -> str:
    """The id to use for a call: the caller's if it is well formed, else a new one."""
    if offered and _CORRELATION_ID.fullmatch(offered):
        return offered
    return uuid4().hex


def current_correlation_id() -> str:
    """The id bound to this context, or a new one outside of any call."""
    return correlation_id(structlog.contextvars.get_contextvars().get("correlation_id"))
