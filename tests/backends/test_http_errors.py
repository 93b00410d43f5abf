"""What a provider's refusal becomes, without a server."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from email.utils import formatdate
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_framework import errors
from llm_framework.backends.protocols.http_errors import (
    MAX_BODY,
    MAX_SHOWN,
    error_of,
    from_json,
    read_body,
    retry_after,
)
from llm_framework.errors import LLMFrameworkError
from llm_framework.secrets import remember

KEY = "sk-0123456789abcdefghijklmnopqrstuvwxyz"


def refusal(status: int, body: Any = "", headers: Mapping[str, str] | None = None) -> Any:
    content = body if isinstance(body, (str, bytes)) else json.dumps(body)
    return error_of(status, read_body(content), who="acme", model="m", headers=httpx.Headers(headers))


# ----------------------------------------------------------------------------------------------------------- the facts
@pytest.mark.parametrize(
    ("body", "headers", "code", "request_id"),
    [
        ({"error": {"message": "m", "type": "t", "code": "c"}}, {"x-request-id": "req_1"}, "c", "req_1"),
        ({"error": {"message": "m", "type": "overloaded"}, "request_id": "req_2"}, {}, "overloaded", "req_2"),
        ({"error": {"code": 429, "status": "EXHAUSTED"}}, {"X-Goog-Request-Id": "g"}, "EXHAUSTED", "g"),
        ({"error": {"message": "m", "code": 429}}, {"request-id": "req_3"}, "429", "req_3"),
        ({"detail": "m"}, {"apim-request-id": "az"}, None, "az"),
        ("<html><body>no</body></html>", {"cf-ray": "8f-FRA"}, None, "8f-FRA"),
        ("", {}, None, None),
    ],
)  # fmt: skip
def test_code_and_request_id(body: Any, headers: dict[str, str], code: str | None, request_id: str | None) -> None:
    """The provider's code and its id of the request are kept, whichever way it tells them."""
    error = refusal(429, body, headers)
    assert (error.code, error.provider_request_id, error.status) == (code, request_id, 429)


def test_an_error_is_a_sentence_or_two() -> None:
    """However much a provider says, what an error repeats of it is short, and its names are."""
    long = "word " * 10_000
    told = {"message": long[:9000], "code": long[:9000], "type": long[:9000], "param": long[:9000]}
    error = refusal(500, {"error": told}, {"x-request-id": long})
    assert len(str(error)) < MAX_SHOWN + 100
    assert len(error.code) <= 200
    assert len(error.provider_request_id) <= 200


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"message": "chat: Invalid model name passed in model=m.", "code": "400"}, errors.ModelNotFoundError),
        ({"message": "No connected db.", "type": "no_db_connection", "code": "400"}, errors.AuthenticationError),
    ],
)
def test_what_the_litellm_proxy_says(error: dict[str, str], kind: type[errors.LLMFrameworkError]) -> None:
    """An unknown model and a wrong key are these also at a LiteLLM proxy, which answers both with 400."""
    assert type(refusal(400, {"error": error})) is kind


# --------------------------------------------------------------------------------------------------------------- waits
@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": " 3 "}, 3.0),
        ({"retry-after": "-5"}, 0.0),
        ({"retry-after": "1e400"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "9" * 400}, None),
        ({"retry-after": "86400000"}, 86400000.0),
        ({"retry-after": formatdate(0, usegmt=True)}, 0.0),
        ({"retry-after": "Fri, 31 Dec 99999 23:59:59 GMT"}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00"}, 0.0),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "-1"}, 0.0),
        ({"retry-after-ms": "x", "retry-after": "2"}, 2.0),
        ({"retry-after-ms": "nan", "retry-after": "2"}, 2.0),
        ({}, None),
    ],
)  # fmt: skip
def test_waits(headers: dict[str, str], wait: float | None) -> None:
    """Every form is read, and nonsense is no wait."""
    assert retry_after(headers) == wait


@pytest.mark.parametrize("zone", ["GMT", "-0000", ""])
def test_a_date_is_counted_from_now(zone: str) -> None:
    """A date is in universal time, also where it does not say so."""
    date = formatdate(time.time() + 3600, usegmt=True).replace("GMT", zone).strip()
    wait = retry_after({"retry-after": date})
    assert wait is not None
    assert 3000 < wait <= 3600


@pytest.mark.parametrize(
    ("delay", "wait"),
    [
        ("3.5s", 3.5), ("0s", 0.0), ("-1s", 0.0), ("s", None), ("infs", None), ("2", 2.0), (7, None), (None, None),
        ({"seconds": 3, "nanos": 500_000_000}, 3.5), ({"seconds": "4"}, 4.0), ({"seconds": "x"}, None), ({}, 0.0),
    ],
)  # fmt: skip
def test_retry_info(delay: Any, wait: float | None) -> None:
    """Google's wait stands in the body; a header goes before it."""
    body = {"error": {"code": 429, "message": "m", "details": [{}, "x", {"retryDelay": delay}]}}
    assert refusal(429, body).retry_after == wait
    assert refusal(503, body, {"retry-after": "9"}).retry_after == 9.0


# ------------------------------------------------------------------------------------------------------ strange bodies
@pytest.mark.parametrize("cut", range(0, len(KEY) + 1, 3))
def test_a_message_cut_in_the_middle_of_the_key(cut: int) -> None:
    """Where the text is cut within the key, its first half does not remain."""
    remember(KEY)
    for body in ("x" * (MAX_SHOWN - cut) + KEY, " " * (MAX_BODY - cut) + KEY, "<html>" + "<b>" * 30_000 + KEY):
        for form in (body, {"error": {"message": body}}, {"error": {"code": body, "type": body}}):
            error = refusal(401, form)
            assert "sk-0" not in f"{error} {error.code}"


@pytest.mark.parametrize(
    "body",
    [
        "<" * 10_000_000,
        "<script" * 1_000_000,
        "<html><script>" + "</scrip" * 500_000,
        "[" * 1_000_000,
        '{"error": {"message": "' + "x" * 50_000_000,
        b"\xff" * 50_000_000,
        b"\xc3" * (MAX_BODY + 1),
        "null", "0", '"text"', "[]", "[[]]", "{}", '{"error": null}', '{"error": []}',
        '{"error": {"message": {"a": 1}}}',
        '{"error": {"code": {"a": []}, "details": 5, "metadata": {"raw": 5}}}', "NaN",
    ],
    ids=lambda body: repr(body[:20]),
)  # fmt: skip
def test_bodies_of_every_kind_and_size(body: str | bytes) -> None:
    """Nothing that a server sends makes reading it fail, or take long."""
    error = refusal(500, body)
    assert isinstance(error, errors.ProviderUnavailableError)
    assert len(str(error)) < MAX_SHOWN + 100


def test_a_page_of_html_is_shown_without_its_tags() -> None:
    """Scripts and styles are no text, wherever they end."""
    page = "<!DOCTYPE html><html><style>a < b {}</style><script>if (a < b) {}</script><h1>502</h1> Bad  gateway</html>"
    assert str(refusal(502, page)).endswith(": 502 Bad gateway")


NAMES = st.sampled_from(["error", "message", "code", "type", "param", "details", "metadata", "status", "retryDelay"])
PLAIN = st.none() | st.booleans() | st.floats() | st.text()


@settings(deadline=None)
@given(st.recursive(PLAIN, lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner)))
def test_any_json(value: Any) -> None:
    """Whatever the JSON says, it becomes an error."""
    assert isinstance(error_of(400, from_json(value), who="acme", model="m"), LLMFrameworkError)
