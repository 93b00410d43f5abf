"""What every error of ours keeps, wherever it goes, and what it never holds."""

from __future__ import annotations

import copy
import inspect
import pickle
import threading
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_framework import errors
from llm_framework.errors import LLMFrameworkError, MissingDependencyError
from llm_framework.secrets import remember
from llm_framework.types import Attempt, InferenceResponse, Message, TextPart, Usage

CLASSES = [
    kind for _, kind in sorted(vars(errors).items())
    if inspect.isclass(kind) and issubclass(kind, LLMFrameworkError)
]  # fmt: skip
RESPONSE = InferenceResponse(Message("assistant", (TextPart("half an ans"),)), usage=Usage(3, 2), model="m")
ATTEMPTS = (Attempt("m", 0.5, "slow", "RateLimitError"), Attempt("n", 0.1))
FACTS: dict[str, Any] = {
    "provider": "openai", "model": "gpt", "status": 429, "code": "slow_down", "provider_request_id": "req_1",
    "retry_after": 1.5, "response": RESPONSE, "attempts": ATTEMPTS,
}  # fmt: skip


def made(kind: type[LLMFrameworkError], message: str, **facts: Any) -> LLMFrameworkError:
    if kind is MissingDependencyError:
        return MissingDependencyError("a thing", "extra", **facts)
    return kind(message, **facts)


def copies(error: LLMFrameworkError) -> list[Any]:
    pickles = [pickle.loads(pickle.dumps(error, protocol)) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)]
    return [*pickles, copy.copy(error), copy.deepcopy(error), pickle.loads(pickle.dumps(copy.deepcopy(error)))]


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_survives_pickle_and_copy(kind: type[LLMFrameworkError]) -> None:
    """Class, text and every fact are the same afterwards, the partial answer and the attempts included."""
    error = made(kind, "it is so", **FACTS)
    for again in copies(error):
        assert type(again) is kind
        assert (str(again), again.args, again.message) == (str(error), error.args, error.message)
        assert vars(again) == vars(error)
        assert {name: getattr(again, name) for name in FACTS} == FACTS
        assert again.retryable == kind.retryable


@given(
    kind=st.sampled_from(CLASSES),
    message=st.text(max_size=200),
    facts=st.dictionaries(
        st.sampled_from(["provider", "code", "provider_request_id", "detail", "limit", "path", "nearest", "seconds"]),
        st.none() | st.text(max_size=20) | st.integers() | st.floats(allow_nan=False) | st.lists(st.text(max_size=5)),
    ),
)
@settings(max_examples=200, deadline=None)
def test_whatever_it_holds(kind: type[LLMFrameworkError], message: str, facts: dict[str, Any]) -> None:
    """Any message and any facts come back."""
    error = made(kind, message, **facts)
    for again in (pickle.loads(pickle.dumps(error)), copy.deepcopy(error)):
        assert (type(again), str(again), vars(again)) == (kind, str(error), vars(error))
    if kind is not MissingDependencyError:
        assert str(error) == error.message == message


@pytest.mark.parametrize("kind", CLASSES)
def test_no_error_holds_a_key(kind: type[LLMFrameworkError]) -> None:
    """However a key gets into an error, nothing that can be seen of it holds the key."""
    remember("sk-in-an-error")
    details = {"code": "sk-in-an-error", "nearest": ("sk-in-an-error",), "detail": {"a": ["sk-in-an-error"]}}
    error = made(kind, "provided: sk-in-an-error", provider="x sk-in-an-error", **details)
    error.provider_request_id = "sk-in-an-error"
    if kind is not MissingDependencyError:
        assert str(error) == "provided: ***"
        error.message = "now sk-in-an-error"
        assert (str(error), error.args) == ("now ***", ("now ***",))
    shown = f"{error} {error!r} {error.args} {vars(error)} {pickle.dumps(error)!r} {getattr(error, 'msg', '')}"
    assert "in-an-error" not in shown


def test_facts_that_were_not_given() -> None:
    """They are None, or empty, on every error, so that nobody needs to ask whether there are such."""
    error = LLMFrameworkError("x")
    names = ("provider", "model", "status", "code", "provider_request_id", "retry_after", "response")
    assert [getattr(error, name) for name in names] == [None] * len(names)
    assert error.attempts == ()


@pytest.mark.parametrize("unfit", [threading.Lock(), lambda: None, MappingProxyType({"a": 1})])
def test_what_cannot_be_pickled_is_left_out(unfit: Any) -> None:
    """An error arrives in another process even where something that it carries cannot."""
    again = pickle.loads(pickle.dumps(errors.StructuredOutputError("bad", response=unfit, status=200)))
    assert (str(again), again.response, again.status) == ("bad", None, 200)
