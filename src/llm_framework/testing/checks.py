"""The checks of the contract. The docstring of each says what a backend does; its name is the part after `check_`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

import anyio.to_thread

from ..backends.base import ModelBackend
from ..errors import InvalidRequestError, LLMFrameworkError, UnsupportedFeatureError
from ..types import (
    ImagePart,
    InferenceRequest,
    InferenceResponse,
    Message,
    ResponseFormat,
    TextPart,
    ThinkingPart,
    ToolCall,
    ToolResult,
    ToolSpec,
)
from .subject import Subject

Check = Callable[[Subject], Awaitable[None]]

AT_ONCE = 4
WEATHER = ToolSpec(
    "get_weather", "The weather in a city.",
    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False},
)  # fmt: skip
YES_OR_NO = {
    "type": "object", "properties": {"answer": {"type": "string", "enum": ["yes", "no"]}}, "required": ["answer"],
    "additionalProperties": False,
}  # fmt: skip
PARAMETERS: dict[str, Any] = {
    "top_p": 0.9, "top_k": 20, "min_p": 0.05, "seed": 7, "presence_penalty": 0.1, "frequency_penalty": 0.1,
    "repetition_penalty": 1.1, "logprobs": 1, "thinking": "low",
}  # fmt: skip
# One grey pixel
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d494844520000000100000001080000000000003a7e9b550000000a49444154789c6368000000820081"
    "77cd72b60000000049454e44ae426082"
)


# --------------------------------------------------------------------------------------------------------------- basics
async def check_load(subject: Subject) -> None:
    """It is made of a ModelInfo and settings, and loads; loading once more does nothing."""
    subject.backend = subject.new()
    assert isinstance(subject.backend, ModelBackend), "the class is a subclass of ModelBackend"
    await subject.patiently(subject.backend.load_model(), "load_model")
    await subject.patiently(subject.backend.load_model(), "load_model, the second time")


async def check_answer(subject: Subject) -> None:
    """A plain prompt is answered with text; the stream ends with one finish reason, and with the tokens counted."""
    response = await subject.answer(subject.request())
    assert response.text.strip(), "a plain prompt is answered with text"
    if not subject.is_simple:
        assert response.usage.input_tokens > 0, "usage counts the prompt's tokens (input_tokens)"
        assert response.usage.output_tokens > 0, "usage counts the answer's tokens (output_tokens)"
    subject.text = response.text
    subject.repeats = (await subject.answer(subject.request())).text == response.text


async def check_forms(subject: Subject) -> None:
    """An answer whose pieces nobody reads, generate_text and generate_stream give the text of the stream."""
    whole = await subject.answer(subject.request(streaming=False))
    config = subject.request().config
    text = await subject.patiently(subject.loaded.generate_text(subject.prompt, config), "generate_text")
    assert isinstance(text, str), f"generate_text returns a str, not {type(text).__name__}"
    stream = subject.loaded.generate_stream(subject.prompt, config)
    pieces = [str(item) async for item in stream]
    for form, got in (("streaming=False", whole.text), ("generate_text", text), ("generate_stream", "".join(pieces))):
        assert got, f"{form} gives a text"
        assert got == subject.text or not subject.repeats, f"{form} gives {got!r}, the stream {subject.text!r}"


async def check_count_tokens(subject: Subject) -> None:
    """count_tokens gives the number of the prompt's tokens, or None."""
    counted = await subject.patiently(subject.loaded.count_tokens(subject.request()), "count_tokens")
    is_count = isinstance(counted, int) and not isinstance(counted, bool) and counted > 0
    assert counted is None or is_count, f"count_tokens gives a number of tokens or None, not {counted!r}"


# --------------------------------------------------------------------------------------------------------------- limits
async def check_max_tokens(subject: Subject) -> None:
    """max_tokens cuts the answer, whose finish reason then is "length"."""
    response = await subject.answer(subject.request(max_tokens=1))
    if len(subject.text.split()) <= 4:  # it may be one token
        return
    assert len(response.text) < len(subject.text), f"max_tokens=1 cuts the answer, but it is {response.text!r}"
    if not subject.is_simple:
        reason = response.finish_reason
        assert reason == "length", f"the finish_reason of an answer that max_tokens cut is 'length', not {reason!r}"
        counted = response.usage.output_tokens
        assert counted <= 1, f"no more than max_tokens=1 are counted as output_tokens, but {counted} are"


async def check_stop(subject: Subject) -> None:
    """A stop string ends the text and is no part of it; the finish reason is "stop"."""
    words = subject.text.split()
    stop = words[len(words) // 2]
    response = await subject.answer(subject.request(stop=(stop,)))
    assert stop not in response.text, f"the text ends before the stop string {stop!r}, but it is {response.text!r}"
    if subject.repeats:
        expected = subject.text[: subject.text.find(stop)]
        assert response.text.rstrip() == expected.rstrip(), (
            f"the text goes as far as the stop string {stop!r}: it is {response.text!r}, not {expected!r}"
        )
        reason = response.finish_reason
        assert reason == "stop", f"the finish_reason of an answer that a stop string ended is 'stop', not {reason!r}"


# ------------------------------------------------------------------------------------------------------------- requests
async def check_messages(subject: Subject) -> None:
    """A chat is taken: a system message, and turns of both sides."""
    turns = (
        Message.system("Be brief."),
        Message.user("Hello"),
        Message.assistant("Hello!"),
        Message.user(subject.prompt),
    )
    await subject.answer(subject.request(messages=turns, max_tokens=8))


async def check_unicode(subject: Subject) -> None:
    """Any text is taken, and no piece of an answer holds half a character."""
    await subject.answer(subject.request("Grüße, 世界 👋\u200d\x00 <end>", max_tokens=8))


async def check_parameters(subject: Subject) -> None:
    """Each sampling parameter is taken, or refused with UnsupportedFeatureError."""
    for name, value in PARAMETERS.items():
        try:
            await subject.answer(subject.request(**{name: value, "max_tokens": 4}))
        except UnsupportedFeatureError:
            continue
        except LLMFrameworkError as error:
            wanted = f"{name}={value!r} is answered, or refused with UnsupportedFeatureError"
            raise AssertionError(f"{wanted}, not with {type(error).__name__}: {error}") from error


async def check_images(subject: Subject) -> None:
    """A prompt with an image is answered, or refused with InvalidRequestError (or its UnsupportedFeatureError)."""
    seen = Message.user(TextPart("What is this?"), ImagePart(data=PNG, media_type="image/png"))
    with suppress(InvalidRequestError):
        await subject.answer(subject.request(messages=(seen,), max_tokens=8))


async def check_tools(subject: Subject) -> None:
    """Tools are called when they have to be, or refused with UnsupportedFeatureError; they are never left out in
    silence. With tools=True, a history with a call and its result is taken too."""
    response = await _unless_refused(
        subject, subject.tools, "tools", subject.request("Weather in Oslo?", tools=(WEATHER,), tool_choice="any")
    )
    if response is not None and not subject.tools:
        assert response.tool_calls, (
            "tools are used, or refused with UnsupportedFeatureError, and not left out in silence"
        )
    for call in response.tool_calls if response is not None else ():
        assert call.name == WEATHER.name, f"the tool that is called is one of those given, not {call.name!r}"
        assert call.arguments is not None, f"the arguments of a call are JSON, not {call.raw_arguments!r}"
        assert call.id, "a call has an id"
    if subject.tools:
        await subject.answer(subject.request(messages=_with_a_call(subject.prompt), tools=(WEATHER,), max_tokens=8))


def _with_a_call(prompt: str) -> tuple[Message, ...]:
    call = ToolCall.create(WEATHER.name, {"city": "Oslo"})
    asked = Message.assistant(ThinkingPart("Which city?"), TextPart("One moment."), call)
    result = Message.tool(ToolResult(call.id, "sunny"))
    return Message.user("Weather in Oslo?"), asked, result, Message.assistant("Sunny."), Message.user(prompt)


async def check_response_format(subject: Subject) -> None:
    """A JSON schema is kept to, or refused with UnsupportedFeatureError; it is never left out in silence."""
    form = ResponseFormat(schema=YES_OR_NO)
    request = subject.request("Is the sky blue?", response_format=form)
    response = await _unless_refused(subject, subject.response_format, "response_format", request)
    if response is None or subject.response_format or response.finish_reason == "length":
        return
    try:
        json.loads(response.text)
    except ValueError:
        raise AssertionError(
            "response_format is kept to, or refused with UnsupportedFeatureError, and not left out in silence: "
            f"the answer is {response.text!r}"
        ) from None


async def _unless_refused(
    subject: Subject, is_taken: bool, what: str, request: InferenceRequest
) -> InferenceResponse | None:
    try:
        return await subject.answer(request)
    except UnsupportedFeatureError as error:
        if is_taken:
            raise AssertionError(f"the test says that it takes {what}, but it refused: {error}") from error
        return None


# -------------------------------------------------------------------------------------------------------- interruptions
async def check_close(subject: Subject) -> None:
    """A stream that is closed in the middle lets go, and the backend answers afterwards."""
    for _ in range(AT_ONCE):
        stream = aiter(subject.loaded.stream(subject.request()))
        await subject.patiently(anext(stream), "the first piece")
        close = getattr(stream, "aclose", None)
        assert close is not None, "what stream() gives can be closed: make it an async generator (async def with yield)"
        await subject.patiently(close(), "closing a stream in the middle")
    await subject.answer(subject.request())


async def check_cancel(subject: Subject) -> None:
    """A task that reads a stream can be cancelled between two pieces and while it waits for one; no piece comes
    afterwards, and the backend answers the next request."""
    for pieces in (0, 1):
        reader = _Reader(subject.loaded.stream(subject.request()))
        task = asyncio.ensure_future(reader.read())
        await subject.patiently(_until_read(reader, task, pieces), "a piece of a stream")
        seen, was_reading = reader.seen, task.cancel()
        done, _ = await asyncio.wait({task}, timeout=subject.patience)
        assert done, f"a cancelled task ends, but this one was still reading after {subject.patience:g} s"
        assert reader.seen == seen, "no more pieces come after the cancellation"
        if was_reading and not task.cancelled():
            raise AssertionError(f"a stream lets CancelledError through; this one made of it: {task.exception()!r}")
        await subject.answer(subject.request())


class _Reader:
    """Reads a stream, and counts."""

    def __init__(self, stream: AsyncIterator[Any]) -> None:
        self.stream = stream
        self.seen = 0
        self.progress = asyncio.Event()

    async def read(self) -> None:
        self.progress.set()
        async for _ in self.stream:
            self.seen += 1
            self.progress.set()
            await asyncio.sleep(0)


async def _until_read(reader: _Reader, task: asyncio.Task[None], pieces: int) -> None:
    await reader.progress.wait()
    while reader.seen < pieces and not task.done():
        reader.progress.clear()
        await reader.progress.wait()


# ---------------------------------------------------------------------------------------------------------- concurrency
async def check_concurrency(subject: Subject) -> None:
    """Several streams at once are answered each by itself: no piece goes to another one's reader."""
    requests = [subject.request() for _ in range(AT_ONCE)]
    for response in await asyncio.gather(*map(subject.answer, requests)):
        _is_the_answer(subject, response.text, "one of several streams at once")


async def check_event_loops(subject: Subject) -> None:
    """One backend serves several event loops in several threads, and goes on after one of them has ended."""

    def elsewhere() -> str:
        return asyncio.run(subject.answer(subject.request())).text

    both = [anyio.to_thread.run_sync(elsewhere, abandon_on_cancel=True) for _ in range(2)]
    texts = await asyncio.gather(*both)
    mine = (await subject.answer(subject.request())).text
    for text in (*texts, mine):
        _is_the_answer(subject, text, "a stream beside, or after, one on another event loop")


async def check_unload(subject: Subject) -> None:
    """Unloading works twice, and without having loaded; loaded again, the backend answers again."""
    for time in ("", ", the second time"):
        await subject.patiently(subject.loaded.unload_model(), f"unload_model{time}")
    await subject.patiently(subject.loaded.load_model(), "load_model after unload_model")
    _is_the_answer(subject, (await subject.answer(subject.request())).text, "a stream after loading again")
    await subject.patiently(subject.loaded.unload_model(), "unload_model")
    await subject.patiently(subject.new().unload_model(), "unload_model of a backend that was never loaded")


async def check_framework(subject: Subject) -> None:
    """In a framework it answers by its blocking forms, with usage and finish reason in the response."""
    from .through_framework import answer_through_framework

    request = subject.request()
    answer = anyio.to_thread.run_sync(answer_through_framework, subject, request, abandon_on_cancel=True)
    response, streamed = await subject.patiently(answer, "an answer through LLMFramework.sync")
    for text in (response.text, streamed):
        _is_the_answer(subject, text, "an answer through LLMFramework.sync")
    assert response.usage.output_tokens > 0, "the response has its tokens counted"


def _is_the_answer(subject: Subject, text: str, what: str) -> None:
    assert text, f"{what} has a text"
    assert text == subject.text or not subject.repeats, f"{what} is {text!r}, by itself it is {subject.text!r}"


# --------------------------------------------------------------------------------------------------------------- errors
async def check_errors(subject: Subject) -> None:
    """What cannot work raises an LLMFrameworkError when it is loaded, or when the first piece is asked for."""
    if subject.failing_info is None and subject.failing_settings is None:
        return
    info = subject.failing_info or subject.model_info
    settings = subject.settings if subject.failing_settings is None else subject.failing_settings
    backend: ModelBackend | None = None
    try:
        backend = subject.backend_class(info, settings)
        await subject.patiently(backend.load_model(), "load_model")
        await subject.answer(subject.request(), backend)
    except LLMFrameworkError as error:
        _says_what_is_wrong(subject, error)
        return
    finally:
        if backend is not None:
            await subject.patiently(backend.unload_model(), "unload_model after a failure")
    raise AssertionError("what the test says must fail was answered")


def _says_what_is_wrong(subject: Subject, error: LLMFrameworkError) -> None:
    assert str(error).strip(), f"an error says what is wrong, but this {type(error).__name__} is empty"
    _holds_no_key(subject, str(error), "an error")


async def check_secrets(subject: Subject) -> None:
    """The key among the settings is not shown by repr() of the backend."""
    _holds_no_key(subject, repr(subject.new()), "repr() of the backend")


def _holds_no_key(subject: Subject, text: str, what: str) -> None:
    key: Any = (subject.settings or {}).get("api_key")
    key = key.get_secret_value() if hasattr(key, "get_secret_value") else key
    assert not key or str(key) not in text, f"{what} shows the key"


ALL: dict[str, Check] = {
    check.__name__.removeprefix("check_"): check
    for check in (
        check_load, check_answer, check_forms, check_count_tokens, check_max_tokens, check_stop, check_messages,
        check_unicode, check_parameters, check_images, check_tools, check_response_format, check_close, check_cancel,
        check_concurrency, check_event_loops, check_unload, check_framework, check_errors, check_secrets,
    )
}  # fmt: skip
NEEDED = ("load", "answer")
