"""That no key is left in a text, an exception or a log record, in whatever form it comes."""

from __future__ import annotations

import base64
import copy
import html
import io
import json
import logging
import pickle
import re
import threading
import traceback
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, quote_plus

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr

from llm_framework import LLMConfig, errors, logs, redaction
from llm_framework.backends.base import ModelBackend
from llm_framework.config import Credentials
from llm_framework.engine.running import raise_from
from llm_framework.redaction import cut, redact
from llm_framework.registry import ModelInfo
from llm_framework.secrets import remember

LIVE = "sk-live-key-1"
KEY = 'sk-Live/Key+0123=abc "quoted" & <b>\'é'


@pytest.fixture(autouse=True)
def only_this_test(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test knows its own keys only."""
    before = redaction._keys.copy()
    redaction._keys.clear()
    redaction._table = None
    yield
    redaction._keys.clear()
    redaction._keys.update(before)
    redaction._table = None


def lower(quoted: str) -> str:
    """As servers that write %2f quote."""
    return re.sub("%..", lambda match: match.group().lower(), quoted)


def forms(key: str) -> list[str]:
    """What may become of a key on its way to a server and back."""
    raw = key.encode()
    return [
        key, f"Bearer {key}", f"https://a.b/?key={quote(key, safe='')}&x", lower(quote(key, safe="")),
        quote_plus(key), quote(key), json.dumps({"k": key}), json.dumps({"k": key}, ensure_ascii=False),
        json.dumps({"k": key}).replace("/", "\\/"), repr({"k": key}), html.escape(key),
        *(base64.b64encode(user + raw + end).decode() for user in (b"", b"u:", b"us:", b"usr:") for end in (b"", b"|")),
        base64.urlsafe_b64encode(b"user:" + raw).decode(),
    ]  # fmt: skip


# ------------------------------------------------------------------------------------------------------------ in texts
@pytest.mark.parametrize("form", forms(KEY))
def test_a_key_is_found_in_every_form(form: str) -> None:
    """Quoted, escaped or encoded, nothing of the key is left, and what stands round it is."""
    remember(KEY)
    cleaned = redact(f"before {form} after")
    assert cleaned.startswith("before ")
    assert cleaned.endswith(" after")
    assert "***" in cleaned
    assert "0123" not in cleaned
    assert base64.b64encode(KEY.encode()).decode()[8:16] not in cleaned


@given(key=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=60), data=st.data())
@settings(max_examples=60, deadline=None)
def test_any_key_in_any_form(key: str, data: Any) -> None:
    """Whatever a key is made of, its forms are found."""
    remember(key)
    form = data.draw(st.sampled_from(forms(key)))
    cleaned = redact(f"| {form} |")
    assert key not in cleaned or key in "***"
    assert cleaned != f"| {form} |" or set(key) <= {"*"}


def test_texts_without_keys_stay_as_they_are() -> None:
    """Words are not taken for keys, even where someone's key is an ordinary word."""
    for word in ("none", "x", "ollama", "", "   "):
        remember(word)
    text = "x: none of the models at ollama has a context of 8"
    assert redact(text) is text


@pytest.mark.parametrize(
    "text", ["Authorization: Bearer none", "?key=none", '{"api_key": "none"}', "key provided: none", "x-api-key=none"]
)
def test_a_short_key_is_known_by_what_announces_it(text: str) -> None:
    """A key of a few characters is hidden where it is called one."""
    remember("none")
    assert "none" not in redact(text)
    assert redact("nonesuch key: nonesuch") == "nonesuch key: nonesuch"


@pytest.mark.parametrize(
    "key",
    ["sk-" + "a1B2" * 8, "sk-ant-api03-" + "x_Y-" * 20, "AIza" + "Sy0_" * 9, "hf_" + "aBcD" * 9, "gsk_" + "0aZ9" * 12],
)
def test_what_looks_like_a_key_of_a_provider_is_taken_out(key: str) -> None:
    """Also keys that nobody told us of, as the error of a plugin or a server may hold one."""
    assert redact(f"wrong key {key}, or none") == "wrong key ***, or none"
    for word in ("sk-learn", "risk-" + "a" * 30, "hf_transfer", "gsk_short"):
        assert redact(word) == word


def test_a_key_that_begins_with_another() -> None:
    """The longer one is hidden whole."""
    remember("sk-abcdef")
    remember("sk-abcdefghij")
    assert redact("sk-abcdefghij sk-abcdef") == "*** ***"


@settings(deadline=None)
@given(start=st.integers(0, 60), limit=st.integers(0, 120))
def test_a_text_that_is_cut_leaves_no_part_of_a_key(start: int, limit: int) -> None:
    """However a text is cut, not even the key's beginning remains."""
    key = "sk-0123456789abcdefghij"
    remember(key)
    shown = cut("." * start + key + "." * 60, limit)
    assert "sk-0" not in shown
    assert len(shown) <= limit


def test_secrets_in_urls_and_under_telling_names() -> None:
    """Passwords in URLs, secret parameters, and headers that carry keys are known too."""
    redaction.remember_url("https://user:p%40ssword@host/v1?key=querykey1&version=2024-10-21")
    redaction.remember_named(
        {"headers": {"Authorization": "Bearer headerkey1", "X-Api-Key": "headerkey2", "x": "plain1"}}
    )
    text = "p@ssword p%40ssword querykey1 2024-10-21 headerkey1 headerkey2 plain1"
    assert redact(text) == "*** *** *** 2024-10-21 *** *** plain1"
    redaction.remember_url("http://[broken")
    redaction.remember_named({"eos_token": "<|im_end|>", "cache_key": "prompt", "n_key": 5})
    assert redact("<|im_end|> prompt 5") == "<|im_end|> prompt 5"


def test_many_keys_and_threads() -> None:
    """Keys may come from many threads; the ones not used for longest are forgotten, so memory is bounded."""

    def work(number: int) -> None:
        for index in range(200):
            key = f"key-{number}-{index}-secret"
            remember(key)
            assert redact(key) == "***"

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index in range(redaction.MOST_KEYS + 10):
        redaction.remember(f"user-key-{index:06}")
    assert len(redaction._keys) == redaction.MOST_KEYS
    assert redact(f"user-key-{index:06}") == "***"


# ------------------------------------------------------------------------------------------------------- in exceptions
class Custom(Exception):
    """One whose text is not made of its arguments."""

    def __init__(self, secret: str) -> None:
        super().__init__()
        self._text = (secret,)

    def __str__(self) -> str:
        return "".join(chr(ord(character)) for character in self._text[0])


class Stubborn(Exception):
    """One that cannot be changed."""

    __slots__ = ()

    def __str__(self) -> str:
        return "always sk-stubborn-key"


class Model(BaseModel):
    number: int


def foreign_errors() -> list[Exception]:
    """Errors of other packages that hold a key somewhere."""
    request = httpx.Request(
        "POST", "https://a.b/v1?key=sk-live-key-1", headers={"Authorization": "Bearer sk-live-key-1"}
    )
    response = httpx.Response(401, request=request, headers={"echo": "sk-live-key-1"})
    invalid: list[Exception] = []
    try:
        Model.model_validate({"number": LIVE})
    except ValueError as error:
        invalid.append(error)
    return [
        ValueError("bad sk-live-key-1"), KeyError("sk-live-key-1"), OSError(2, "no sk-live-key-1"),
        OSError(2, "no file", "sk-live-key-1"), ValueError({"key": ["sk-live-key-1"]}), Custom("sk-live-key-1"),
        UnicodeDecodeError("ascii", b"sk-live-key-1\xff", 13, 14, "bad sk-live-key-1"),
        httpx.HTTPStatusError("refused for sk-live-key-1", request=request, response=response), *invalid,
        json.JSONDecodeError("no sk-live-key-1", "sk-live-key-1", 0),
    ]  # fmt: skip


@pytest.mark.parametrize("number", range(10))
@pytest.mark.parametrize("how", ["cause", "context", "cause of the cause"])
def test_what_a_traceback_shows_holds_no_key(number: int, how: str) -> None:
    """An error as the engine raises it, printed with all that led to it, does not show the key."""
    remember(LIVE)
    foreign = foreign_errors()[number]
    with pytest.raises(errors.LLMFrameworkError) as caught:
        fail_with(foreign, how)
    shown = "".join(traceback.format_exception(caught.value))
    assert "failed for ***" in shown
    assert "sk-live-key-1" not in shown
    assert b"sk-live" not in pickle.dumps(caught.value)
    request = vars(foreign).get("_request")
    assert request is None or "sk-live" not in str(dict(request.headers))


def fail_with(foreign: Exception, how: str) -> None:
    """Raise an error of ours as the engine does, with `foreign` somewhere behind it."""
    try:
        if how == "cause":
            raise foreign
        if how == "context":
            try:
                raise foreign
            except Exception:
                raise LookupError("then")  # noqa: B904 - so that it is the context
        raise LookupError("outer") from foreign
    except Exception as error:
        raise_from(errors.LLMFrameworkError(f"failed for {LIVE}"), error)


def test_exceptions_that_cannot_be_changed_are_replaced() -> None:
    """What cannot be cleaned is told by a stand-in."""
    remember("sk-stubborn-key")
    cleaned = redaction.clean(Stubborn())
    assert isinstance(cleaned, RuntimeError)
    assert str(cleaned) == "Stubborn: always ***"
    group = ValueError("outer")
    group.__cause__ = Stubborn()
    assert "stubborn" not in "".join(traceback.format_exception(redaction.clean(group)))


def test_notes_are_cleaned_too() -> None:
    """What was noted on an error is part of what is shown of it."""
    remember("sk-noted-key")
    error = ValueError("x")
    vars(error)["__notes__"] = ["with sk-noted-key"]
    assert "noted" not in "".join(traceback.format_exception(redaction.clean(error)))


# ------------------------------------------------------------------------------------------------------ in log records
@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What a user's own handler on the root logger prints, at its most talkative."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel("DEBUG")
    yield stream
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.mark.parametrize(
    "name", ["llm_framework.engine.engine", "httpx", "openai._base_client", "anthropic._base_client"]
)
def test_log_records_hold_no_key(name: str, log: io.StringIO) -> None:
    """Neither the message, its arguments, nor a traceback shows the key, in our loggers and those beneath us."""
    remember("sk-logged-key")
    logger = logs.get_logger(name) if name.startswith("llm_framework") else logging.getLogger(name)
    level = logger.level
    logger.setLevel("DEBUG")
    try:
        logger.info("sk-logged-key %s %s", "sk-logged-key", {"headers": {"x": "sk-logged-key"}})
        logger.debug("bytes %r", b"sk-logged-key")
        try:
            raise ValueError("sk-logged-key")
        except ValueError:
            logger.exception("failed")
    finally:
        logger.setLevel(level)
    text = log.getvalue()
    assert "ValueError: ***" in text
    assert "*** *** {'headers': {'x': '***'}}" in text
    # The lines of this test that stand in the traceback hold it as well.
    assert "logged-key" not in text


def test_a_record_with_a_wrong_format_holds_no_key() -> None:
    """Python's own complaint about a bad logging call repeats the arguments."""
    remember("sk-logged-key")
    logger = logs.get_logger("llm_framework.test")
    record = logger.makeRecord(logger.name, logging.WARNING, "f", 1, "%d", ("sk-logged-key",), None)
    assert logger.filter(record)
    assert record.args == ("***",)


def test_no_handler_of_ours_prints() -> None:
    """The package adds one handler, which does nothing, to its own logger."""
    handlers = logging.getLogger("llm_framework").handlers
    assert any(type(handler) is logging.NullHandler for handler in handlers)
    assert not any(
        logging.getLogger(name).handlers for name in ("httpx", "openai", "anthropic", "llm_framework.engine")
    )


# ------------------------------------------------------------------------------------------------------ in our objects
SECRETS = {
    "api_key": "sk-config-1",
    "base_url": "https://user:pw-config-2@a.b/v1?api_key=sk-config-3",
    "headers": {"Authorization": "Bearer sk-config-4", "x-api-key": "sk-config-5"},
    "client_secret": "sk-config-6",
}


def credentials() -> Credentials:
    return LLMConfig(api_credentials={"openai": SECRETS}, plugins={"p": {"token": "sk-config-7"}}).api_credentials[
        "openai"
    ]


def test_a_configuration_shows_no_key() -> None:
    """Neither repr, dump, JSON nor pickle of a configuration or its credentials holds one; the values still do."""
    config = LLMConfig(api_credentials={"openai": SECRETS}, plugins={"p": {"token": "sk-config-7"}})
    for value in (config, config.api_credentials["openai"]):
        shown = [repr(value), str(value), str(value.model_dump()), value.model_dump_json(), str(pickle.dumps(value))]
        assert not any("-config-" in text for text in shown)
    again = copy.deepcopy(config)
    assert again == config
    assert again.api_credentials["openai"].api_key == SecretStr("sk-config-1")
    assert dict(again.api_credentials["openai"])["headers"] == SECRETS["headers"]
    assert pickle.loads(pickle.dumps(config)).api_credentials["openai"].api_key is None


def test_a_backends_settings_show_no_key() -> None:
    """Printing a backend's settings is harmless, and whatever they hold is hidden in errors."""
    backend = ModelBackend(ModelInfo("m"), {**SECRETS, "api_key": SecretStr("sk-config-1")})
    assert "-config-" not in repr(backend.settings) + str(backend.settings) + str(pickle.dumps(backend.settings))
    for held in (backend.settings, copy.copy(backend.settings), copy.deepcopy(backend.settings)):
        assert held["headers"] == SECRETS["headers"]
        assert held["api_key"] == SecretStr("sk-config-1")
    assert str(errors.ConfigurationError(f"bad {SECRETS}")).count("-config-") == 0
