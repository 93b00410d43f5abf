"""The scripted server is right: each provider's own SDK reads its answers, streams, tool calls and errors."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest

from .protocols import MODEL, PROTOCOLS, Answer, Call, Protocol
from .server import CLOSE, HANG, RESET, FaultServer, FullBacklog, Pause, Reply
from .stage import KEY, Stage

CALLS = (Call("call_1", "get_weather", '{"city": "Oslo"}'), Call("call_2", "get_time", '{"zone": "CET"}'))
READ = [("get_weather", {"city": "Oslo"}), ("get_time", {"zone": "CET"})]
KINDS = sorted({kind for protocol in PROTOCOLS.values() for kind in protocol.refusals})


class Reader:
    """An SDK, as far as these tests need it. `read` is (text, calls, why it ended); `status` the status of the error
    that it raises."""

    protocol: Protocol
    ends: tuple[str, str]  # what it calls the end of an answer: of text, and of tool calls

    def __init__(self, origin: str) -> None:
        self.origin = origin

    def read(self, streamed: bool) -> tuple[str, list[Any], str]:
        """Ask for an answer and read it."""
        raise NotImplementedError

    def status(self, streamed: bool) -> int:
        """Ask for an answer and be refused."""
        raise NotImplementedError


class OpenAIReader(Reader):
    """The `openai` package."""

    protocol = PROTOCOLS["openai"]
    ends = ("stop", "tool_calls")

    def _ask(self, streamed: bool) -> Any:
        sdk = pytest.importorskip("openai")
        self.client = sdk.OpenAI(api_key=KEY, base_url=self.protocol.base_url(self.origin), max_retries=0)
        messages = [{"role": "user", "content": "hi"}]
        return self.client.chat.completions.create(model=MODEL, messages=messages, stream=streamed)

    def read(self, streamed: bool) -> tuple[str, list[Any], str]:
        answer = self._ask(streamed)
        with self.client:
            if not streamed:
                choice = answer.choices[0]
                calls = [(c.function.name, json.loads(c.function.arguments)) for c in choice.message.tool_calls or ()]
                return choice.message.content or "", calls, choice.finish_reason
            return self._folded(list(answer))

    def _folded(self, chunks: list[Any]) -> tuple[str, list[Any], str]:
        text, end, calls = "", "", {}
        for choice in (chunk.choices[0] for chunk in chunks if chunk.choices):
            text += choice.delta.content or ""
            end = choice.finish_reason or end
            for piece in choice.delta.tool_calls or ():
                name, arguments = calls.get(piece.index, ("", ""))
                calls[piece.index] = piece.function.name or name, arguments + (piece.function.arguments or "")
        return text, [(name, json.loads(arguments)) for name, arguments in calls.values()], end

    def status(self, streamed: bool) -> int:
        sdk = pytest.importorskip("openai")
        with pytest.raises(sdk.APIError) as caught:
            list(self._ask(streamed))
        self.client.close()
        return int(getattr(caught.value, "status_code", 200))


class AnthropicReader(Reader):
    """The `anthropic` package."""

    protocol = PROTOCOLS["anthropic"]
    ends = ("end_turn", "tool_use")

    def _messages(self) -> tuple[Any, dict[str, Any]]:
        sdk = pytest.importorskip("anthropic")
        self.client = sdk.Anthropic(api_key=KEY, base_url=self.protocol.base_url(self.origin), max_retries=0)
        asked = {"model": MODEL, "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
        return self.client.messages, asked

    def _ask(self, streamed: bool) -> Any:
        messages, asked = self._messages()
        if not streamed:
            return messages.create(**asked)
        with messages.stream(**asked) as stream:
            return stream.get_final_message()

    def read(self, streamed: bool) -> tuple[str, list[Any], str]:
        answer = self._ask(streamed)
        self.client.close()
        text = "".join(block.text for block in answer.content if block.type == "text")
        calls = [(block.name, block.input) for block in answer.content if block.type == "tool_use"]
        return text, calls, answer.stop_reason

    def status(self, streamed: bool) -> int:
        sdk = pytest.importorskip("anthropic")
        with pytest.raises(sdk.APIStatusError) as caught:
            self._ask(streamed)
        self.client.close()
        return int(caught.value.status_code)


class GoogleReader(Reader):
    """The `google-genai` package."""

    protocol = PROTOCOLS["google"]
    ends = ("STOP", "STOP")

    def _ask(self, streamed: bool) -> list[Any]:
        sdk = pytest.importorskip("google.genai")
        with sdk.Client(api_key=KEY, http_options={"base_url": self.protocol.base_url(self.origin)}) as client:
            if streamed:
                return list(client.models.generate_content_stream(model=MODEL, contents="hi"))
            return [client.models.generate_content(model=MODEL, contents="hi")]

    def read(self, streamed: bool) -> tuple[str, list[Any], str]:
        candidates = [chunk.candidates[0] for chunk in self._ask(streamed)]
        parts = [part for one in candidates for part in one.content.parts or ()]
        calls = [(part.function_call.name, part.function_call.args) for part in parts if part.function_call]
        return "".join(part.text or "" for part in parts), calls, candidates[-1].finish_reason.name

    def status(self, streamed: bool) -> int:
        errors = pytest.importorskip("google.genai.errors")
        with pytest.raises(errors.APIError) as caught:
            self._ask(streamed)
        return int(caught.value.code)


READERS = (OpenAIReader, AnthropicReader, GoogleReader)


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("kind", READERS, ids=lambda kind: kind.protocol.name)
def test_sdks_read_answers(kind: type[Reader], streamed: bool) -> None:
    """The provider's SDK reads text and tool calls, finds the end, and sends what the server takes for a request."""
    stage = Stage(kind.protocol)
    script = [stage.answer("Hel", "lo \u2028ö"), stage.answer(calls=CALLS), stage.answer("So:", calls=CALLS)]
    with FaultServer(script) as server:
        reader = kind(server.origin)
        assert reader.read(streamed) == ("Hello \u2028ö", [], kind.ends[0])
        assert reader.read(streamed) == ("", READ, kind.ends[1])
        assert reader.read(streamed) == ("So:", READ, kind.ends[1])
        assert all(kind.protocol.is_chat(request) for request in server.requests)
        assert {kind.protocol.key_of(request) for request in server.requests} == {KEY}
        assert {kind.protocol.wants_stream(request) for request in server.requests} == {streamed}


@pytest.mark.parametrize("kind", READERS[:2], ids=lambda kind: kind.protocol.name)
def test_sdks_read_mixed_calls(kind: type[Reader]) -> None:
    """The SDK tells calls apart whose pieces come mixed."""
    said = Answer((), CALLS, "tool_calls")
    protocol = kind.protocol
    events = [*protocol.opening(said), *protocol.calls(said, interleaved=True), *protocol.closing(said)]
    with FaultServer([Stage(protocol).either(events, {})]) as server:
        assert kind(server.origin).read(True)[1] == READ


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("refusal", KINDS)
@pytest.mark.parametrize("kind", READERS, ids=lambda kind: kind.protocol.name)
def test_sdks_read_errors(kind: type[Reader], refusal: str, streamed: bool) -> None:
    """The SDK raises its error for each refusal, with its status."""
    meant = kind.protocol.refusals.get(refusal)
    if meant is None or meant.status == 200:
        pytest.skip("no error in this protocol")
    with FaultServer([Stage(kind.protocol).refusal(refusal)]) as server:
        assert kind(server.origin).status(streamed) == meant.status


@pytest.mark.parametrize("texts", [(), ("Hel",)], ids=["at once", "after text"])
@pytest.mark.parametrize("kind", READERS, ids=lambda kind: kind.protocol.name)
def test_sdks_read_errors_in_streams(kind: type[Reader], texts: tuple[str, ...]) -> None:
    """The SDK takes an error inside a stream for one."""
    with FaultServer([Stage(kind.protocol).error_inside("server", *texts)]) as server:
        assert kind(server.origin).status(True)


# ----------------------------------------------------------------------------------------------------- by hand
def _talk(server: FaultServer, reading: bool = True) -> bytes:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as one:
        one.sendall(b"POST /v1 HTTP/1.1\r\nX-Key: 1\r\nContent-Length: 2\r\n\r\n{}")
        received = b""
        while reading and (data := one.recv(65536)):
            received += data
        return received


def test_what_the_server_sends() -> None:
    """Pieces go out as the script has them, and the request is on record."""
    with FaultServer([Reply(["a", Pause(0.01), b"bc", CLOSE], 201, headers={"X-One": "1"})]) as server:
        head, _, body = _talk(server).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 201 ")
        assert b"X-One: 1" in head
        assert body == b"1\r\na\r\n2\r\nbc\r\n"
    request = server.requests[0]
    assert (request.method, request.target, request.headers["x-key"], request.body) == ("POST", "/v1", "1", {})
    assert (request.sent, server.connections) == (3, 1)


def test_ways_to_end_a_connection() -> None:
    """A reset is an error to the client, a hang lasts until it leaves, and the server knows that it left."""
    with FaultServer([Reply(["x", RESET]), Reply([HANG], bare=True)]) as server:
        with pytest.raises(ConnectionResetError):
            _talk(server)
        _talk(server, reading=False)
        assert server.wait_for(2).disconnected.wait(5)
        assert not server.requests[0].disconnected.is_set()


def test_full_backlog() -> None:
    """Who connects to a full queue waits."""
    with FullBacklog() as nobody:
        if not nobody.is_full():
            pytest.skip("this system answers although the queue is full")
