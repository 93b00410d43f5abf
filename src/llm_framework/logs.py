"""Loggers whose records hold no key, and say which request they are of. Handlers, levels and propagation are the
user's; we install none."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from . import redaction

request_id: ContextVar[str] = ContextVar("llm_framework_request_id", default="")
"""The id of the request that is worked on here, "" for none. It goes along into threads and tasks."""

# What the packages beneath us print of our requests when their loggers are set to DEBUG. A filter holds for one logger
# and not for those below it, so each is named.
_DEPENDENCIES = (
    "httpx", "httpcore.connection", "httpcore.http11", "httpcore.http2", "httpcore.proxy", "httpcore.socks",
    "httpx2", "httpcore2.connection", "httpcore2.http11", "httpcore2.http2", "httpcore2.proxy", "httpcore2.socks",
    "openai", "openai._base_client", "openai._response", "openai._legacy_response",
    "anthropic", "anthropic._base_client", "anthropic._response", "anthropic._legacy_response",
    "google_genai", "google_genai._api_client", "google_genai.models",
)  # fmt: skip


def get_logger(name: str) -> logging.Logger:
    """The logger of that name; what it is given is redacted before any handler sees it."""
    logger = logging.getLogger(name)
    logger.addFilter(_filter)  # once: a filter that is there already is not added again
    return logger


def watch_dependencies() -> None:
    """Redact what the HTTP libraries and the providers' SDKs log. Called when the first key is known."""
    for name in _DEPENDENCIES:
        get_logger(name)


@contextmanager
def of_request(id: str) -> Iterator[None]:
    """What is logged inside is of that request."""
    token = request_id.set(id)
    try:
        yield
    finally:
        request_id.reset(token)


class _KeyFilter(logging.Filter):
    """Lets every record through, without the keys in it, and with the request's id: as `request_id` of the record, and
    before the text where that does not hold it."""

    def filter(self, record: logging.LogRecord) -> bool:
        id = request_id.get()
        if not hasattr(record, "request_id"):  # a library beneath us may have given the record one of its own
            record.request_id = id
        try:
            text = record.getMessage()
        except Exception:  # a format that does not fit its arguments: logging will print both
            record.args = redaction.redact_value(record.args)
            return True
        cleaned = redaction.redact(text)
        if id and id not in cleaned:
            cleaned = f"{id}: {cleaned}"
        if cleaned != text:
            record.msg, record.args = cleaned, None
        if record.exc_info and record.exc_info[1] is not None:
            self._hide_in_traceback(record, record.exc_info[1])
        return True

    @staticmethod
    def _hide_in_traceback(record: logging.LogRecord, error: BaseException) -> None:
        cleaned = redaction.clean(error)
        record.exc_info = type(cleaned), cleaned, error.__traceback__
        text = "".join(traceback.format_exception(cleaned)).rstrip("\n")
        hidden = redaction.redact(text)
        if hidden != text:  # a line of the program itself holds the key: formatters take the text that stands here
            record.exc_text = hidden


_filter = _KeyFilter()
