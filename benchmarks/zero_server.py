"""A chat server that does not think: it answers every Chat Completions request at once with the same words, whole or
streamed. Prints its port, then serves until its standard input closes.

    python benchmarks/zero_server.py WORDS
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading


def replies(num_words: int) -> tuple[bytes, bytes]:
    """The HTTP responses: whole, and as a stream with an event for each word."""
    words = [f" word{number}" for number in range(num_words)]
    base = {"id": "chatcmpl-0", "created": 0, "model": "zero"}
    counts = {"prompt_tokens": 8, "completion_tokens": num_words, "total_tokens": num_words + 8}
    message = {"role": "assistant", "content": "".join(words)}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    whole = json.dumps({**base, "object": "chat.completion", "choices": [choice], "usage": counts})
    return _response("application/json", whole.encode()), _response("text/event-stream", _events(base, words, counts))


def _events(base: dict[str, object], words: list[str], counts: dict[str, int]) -> bytes:
    base = {**base, "object": "chat.completion.chunk"}

    def choice(delta: dict[str, str], reason: str | None = None) -> list[dict[str, object]]:
        return [{"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}]

    frames: list[dict[str, object]] = [{**base, "choices": choice({"role": "assistant", "content": ""})}]
    frames += [{**base, "choices": choice({"content": word})} for word in words]
    frames += [{**base, "choices": choice({}, "stop")}, {**base, "choices": [], "usage": counts}]
    return "".join(f"data: {text}\n\n" for text in [*map(json.dumps, frames), "[DONE]"]).encode()


def _response(content_type: str, content: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {len(content)}\r\n\r\n"
    return head.encode() + content


async def serve(num_words: int) -> None:
    """Serve until standard input closes."""
    whole, streamed = replies(num_words)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
                body = json.loads(await reader.readexactly(length))
                writer.write(streamed if body.get("stream") else whole)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    loop, ended = asyncio.get_running_loop(), asyncio.Event()

    def wait_for_end() -> None:
        sys.stdin.read()
        loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=wait_for_end, daemon=True).start()
    print(server.sockets[0].getsockname()[1], flush=True)
    await ended.wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
