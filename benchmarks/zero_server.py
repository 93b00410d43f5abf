"""A server that does not think: it answers every request of three protocols at once with the same words, whole or
streamed. Prints its port, then serves until its standard input closes.

    python benchmarks/zero_server.py WORDS

It speaks Chat Completions, Anthropic's Messages and Google's generateContent. A stream has an event for each word, each
an HTTP chunk of its own, as servers that do think send them.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
ASKS_FOR_STREAM = re.compile(rb'"stream": *true')


@contextmanager
def zero_server(num_words: int) -> Iterator[str]:
    """The server in a process of its own; gives the address without a path."""
    command = [sys.executable, __file__, str(num_words)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        process.communicate()


def words(number: int) -> list[str]:
    """The words of an answer."""
    return [f" word{index}" for index in range(number)]


# ---------------------------------------------------------------------------------------------------- Chat Completions
def openai_whole(some: list[str]) -> dict[str, Any]:
    """A chat completion."""
    message = {"role": "assistant", "content": "".join(some)}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    return {**_OPENAI, "object": "chat.completion", "choices": [choice], "usage": _openai_usage(len(some))}


def openai_events(some: list[str]) -> Iterable[str]:
    """The frames of a streamed chat completion."""
    base = {**_OPENAI, "object": "chat.completion.chunk"}

    def choice(delta: dict[str, str], reason: str | None = None) -> list[dict[str, Any]]:
        return [{"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}]

    yield _frame({**base, "choices": choice({"role": "assistant", "content": ""})})
    for word in some:
        yield _frame({**base, "choices": choice({"content": word})})
    yield _frame({**base, "choices": choice({}, "stop")})
    yield _frame({**base, "choices": [], "usage": _openai_usage(len(some))})
    yield "data: [DONE]\n\n"


_OPENAI = {"id": "chatcmpl-0", "created": 0, "model": "zero"}


def _openai_usage(number: int) -> dict[str, int]:
    return {"prompt_tokens": 8, "completion_tokens": number, "total_tokens": number + 8}


# ------------------------------------------------------------------------------------------------------------ Messages
def anthropic_whole(some: list[str]) -> dict[str, Any]:
    """A message."""
    content = [{"type": "text", "text": "".join(some)}]
    return {**_ANTHROPIC, "content": content, "stop_reason": "end_turn", "usage": _anthropic_usage(len(some))}


def anthropic_events(some: list[str]) -> Iterable[str]:
    """The events of a streamed message."""

    def event(kind: str, **fields: Any) -> str:
        return f"event: {kind}\n" + _frame({"type": kind, **fields})

    start = {**_ANTHROPIC, "content": [], "usage": _anthropic_usage(1)}
    yield event("message_start", message=start)
    yield event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    yield event("ping")
    for word in some:
        yield event("content_block_delta", index=0, delta={"type": "text_delta", "text": word})
    yield event("content_block_stop", index=0)
    delta = {"stop_reason": "end_turn", "stop_sequence": None}
    yield event("message_delta", delta=delta, usage={"output_tokens": len(some)})
    yield event("message_stop")


_ANTHROPIC = {
    "id": "msg_0", "type": "message", "role": "assistant", "model": "zero", "stop_reason": None, "stop_sequence": None,
}  # fmt: skip


def _anthropic_usage(number: int) -> dict[str, int]:
    return {"input_tokens": 8, "output_tokens": number}


# ----------------------------------------------------------------------------------------------------- generateContent
def google_whole(some: list[str]) -> dict[str, Any]:
    """A response with one candidate."""
    return _google("".join(some), len(some), finishReason="STOP")


def google_events(some: list[str]) -> Iterable[str]:
    """The responses that a stream consists of."""
    for number, word in enumerate(some, start=1):
        reason = {"finishReason": "STOP"} if number == len(some) else {}
        yield _frame(_google(word, number, **reason)).replace("\n", "\r\n")  # as Google's own servers end lines


def _google(text: str, number: int, **rest: str) -> dict[str, Any]:
    candidate = {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0, **rest}
    usage = {"promptTokenCount": 8, "candidatesTokenCount": number, "totalTokenCount": number + 8}
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "zero", "responseId": "zero-0"}


# ---------------------------------------------------------------------------------------------------------------- HTTP
def _frame(value: dict[str, Any]) -> str:
    return f"data: {json.dumps(value, separators=(',', ':'))}\n\n"


def whole_response(value: dict[str, Any]) -> bytes:
    """The HTTP response that carries the whole answer."""
    content = json.dumps(value, separators=(",", ":")).encode()
    return _head("application/json", f"Content-Length: {len(content)}") + content


def streamed_response(events: Iterable[str]) -> bytes:
    """The HTTP response that carries the events, each in a chunk."""
    chunks = [f"{len(event):x}\r\n{event}\r\n" for event in events]
    return _head("text/event-stream", "Transfer-Encoding: chunked") + "".join([*chunks, "0\r\n\r\n"]).encode()


def _head(content_type: str, framing: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nX-Request-Id: zero\r\n{framing}\r\n\r\n".encode()


class Answers:
    """Every answer there is, ready to be sent."""

    def __init__(self, num_words: int) -> None:
        some = words(num_words)
        self._openai = whole_response(openai_whole(some)), streamed_response(openai_events(some))
        self._anthropic = whole_response(anthropic_whole(some)), streamed_response(anthropic_events(some))
        self._google = whole_response(google_whole(some)), streamed_response(google_events(some))

    def to(self, target: bytes, body: bytes) -> bytes:
        """The answer to a request for `target`, a path."""
        if b"streamGenerateContent" in target:
            return self._google[1]
        if b":generateContent" in target:
            return self._google[0]
        answers = self._anthropic if b"/messages" in target else self._openai
        return answers[ASKS_FOR_STREAM.search(body) is not None]


class Connection(asyncio.Protocol):
    """A client's connection. No more is understood of HTTP than the clients that are measured need."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._unread = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has come."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete."""
        self._unread += data
        while (end := self._unread.find(b"\r\n\r\n") + 4) > 3:
            head = self._unread[:end]
            length = LENGTH.search(head)
            whole = end + (int(length[1]) if length else 0)
            if len(self._unread) < whole:
                return
            body, self._unread = self._unread[end:whole], self._unread[whole:]
            self._transport.write(self._answers.to(head.split(b" ", 2)[1], body))


async def serve(num_words: int) -> None:
    """Serve until standard input closes."""
    answers = Answers(num_words)
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    server = await loop.create_server(lambda: Connection(answers), "127.0.0.1", 0, backlog=1024)

    def wait_for_end() -> None:
        sys.stdin.read()
        loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=wait_for_end, daemon=True).start()
    print(server.sockets[0].getsockname()[1], flush=True)
    await ended.wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
