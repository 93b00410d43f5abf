"""One client of the overhead benchmark, in a process and an environment of its own.

    python benchmarks/overhead_clients.py CLIENT BASE_URL

Reads jobs from standard input, a JSON object a line: {"protocol", "streamed", "calls", "concurrency"}. Answers each
with a line: {"seconds", "processor", "latencies", "characters"}, or {"error"}. Its first line says what is installed:
{"versions"}. Imports nothing but the standard library and the client's own packages.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from importlib import metadata
from typing import Any, NamedTuple

PROMPT = "Say some words."
MODEL = "m"
KEY = "sk-benchmark"
MAX_TOKENS = 512
MESSAGES = [{"role": "user", "content": PROMPT}]
JOB_TIME = 120.0  # seconds


class Calls(NamedTuple):
    """The two ways to ask; each gives the number of characters of the answer."""

    whole: Callable[[], Awaitable[int]]
    streamed: Callable[[], Awaitable[int]]


# ------------------------------------------------------------------------------------------------------ what all share
def base_url(protocol: str, base: str) -> str:
    """The address as the provider's own SDK takes it."""
    return f"{base}/v1" if protocol == "openai" else base


def raw_url(protocol: str, base: str, streamed: bool) -> str:
    """The address that a request goes to."""
    if protocol == "google":
        method = "streamGenerateContent?alt=sse" if streamed else "generateContent"
        return f"{base}/v1beta/models/{MODEL}:{method}"
    return base + ("/v1/messages" if protocol == "anthropic" else "/v1/chat/completions")


def raw_body(protocol: str, streamed: bool) -> bytes:
    """The request's body."""
    if protocol == "google":
        contents = [{"role": "user", "parts": [{"text": PROMPT}]}]
        return json.dumps({"contents": contents, "generationConfig": {"maxOutputTokens": MAX_TOKENS}}).encode()
    body: dict[str, Any] = {"model": MODEL, "messages": MESSAGES, "max_tokens": MAX_TOKENS}
    return json.dumps({**body, "stream": True} if streamed else body).encode()


RAW_HEADERS = {
    "content-type": "application/json",
    "authorization": f"Bearer {KEY}",
    "x-api-key": KEY,
    "x-goog-api-key": KEY,
    "anthropic-version": "2023-06-01",
}


def raw_text(protocol: str, body: bytes) -> str:
    """The text of a whole answer."""
    value = json.loads(body)
    if protocol == "google":
        return str(value["candidates"][0]["content"]["parts"][0]["text"])
    if protocol == "anthropic":
        return str(value["content"][0]["text"])
    return str(value["choices"][0]["message"]["content"])


def raw_piece(protocol: str, line: str) -> str:
    """The text in a line of a stream."""
    if not line.startswith("data: {"):
        return ""
    value = json.loads(line[6:])
    if protocol == "google":
        return str(value["candidates"][0]["content"]["parts"][0]["text"])
    if protocol == "anthropic":
        return str(value["delta"]["text"]) if value["type"] == "content_block_delta" else ""
    return str(value["choices"][0]["delta"].get("content", "")) if value["choices"] else ""


async def characters(pieces: AsyncIterator[str | None]) -> int:
    """The length of a stream's text."""
    return sum([len(piece or "") async for piece in pieces])


# ------------------------------------------------------------------------------------------------------------- clients
def ours(protocol: str, base: str) -> Calls:
    """The whole path through the framework, as configured by default but for the number of requests at once."""
    from llm_framework import LLMFramework

    credentials = {protocol: {"base_url": base_url(protocol, base), "api_key": KEY}}
    framework = LLMFramework({"api_credentials": credentials, "max_concurrent_requests": 64})
    name = f"{protocol}:{MODEL}"

    async def whole() -> int:
        return len((await framework.generate(PROMPT, model_name=name, max_tokens=MAX_TOKENS)).text)

    async def streamed() -> int:
        return await characters(
            chunk.text async for chunk in framework.stream(PROMPT, model_name=name, max_tokens=MAX_TOKENS)
        )

    return Calls(whole, streamed)


def raw_httpx(protocol: str, base: str, package: str = "httpx") -> Calls:
    """httpx, or its successor, by itself."""
    module: Any = __import__(package)
    client = module.AsyncClient(headers=RAW_HEADERS, timeout=60)
    url, stream_url = (raw_url(protocol, base, streamed) for streamed in (False, True))
    body, stream_body = (raw_body(protocol, streamed) for streamed in (False, True))

    async def whole() -> int:
        return len(raw_text(protocol, (await client.post(url, content=body)).content))

    async def streamed() -> int:
        async with client.stream("POST", stream_url, content=stream_body) as response:
            return await characters(raw_piece(protocol, line) async for line in response.aiter_lines())

    return Calls(whole, streamed)


def raw_httpx2(protocol: str, base: str) -> Calls:
    """httpx2 by itself."""
    return raw_httpx(protocol, base, "httpx2")


def raw_aiohttp(protocol: str, base: str) -> Calls:
    """aiohttp by itself."""
    import aiohttp

    session = aiohttp.ClientSession(headers=RAW_HEADERS)
    url, stream_url = (raw_url(protocol, base, streamed) for streamed in (False, True))
    body, stream_body = (raw_body(protocol, streamed) for streamed in (False, True))

    async def whole() -> int:
        async with session.post(url, data=body) as response:
            return len(raw_text(protocol, await response.read()))

    async def streamed() -> int:
        async with session.post(stream_url, data=stream_body) as response:
            return await characters(raw_piece(protocol, line.decode()) async for line in response.content)

    return Calls(whole, streamed)


def sdk(protocol: str, base: str) -> Calls:
    """The provider's own SDK, its default client, its retries off."""
    return {"openai": _openai_sdk, "anthropic": _anthropic_sdk, "google": _google_sdk}[protocol](base)


def _openai_sdk(base: str) -> Calls:
    from openai import AsyncOpenAI

    client = AsyncOpenAI(api_key=KEY, base_url=base_url("openai", base), max_retries=0)
    asked: dict[str, Any] = {"model": MODEL, "messages": MESSAGES, "max_tokens": MAX_TOKENS}

    async def whole() -> int:
        return len((await client.chat.completions.create(**asked)).choices[0].message.content or "")

    async def streamed() -> int:
        return await characters(
            _openai_text(chunk) async for chunk in await client.chat.completions.create(**asked, stream=True)
        )

    return Calls(whole, streamed)


def _openai_text(chunk: Any) -> str | None:
    return chunk.choices[0].delta.content if chunk.choices else None


def _anthropic_sdk(base: str) -> Calls:
    from anthropic import AsyncAnthropic

    client = AsyncAnthropic(api_key=KEY, base_url=base_url("anthropic", base), max_retries=0)
    asked: dict[str, Any] = {"model": MODEL, "messages": MESSAGES, "max_tokens": MAX_TOKENS}

    async def whole() -> int:
        return len((await client.messages.create(**asked)).content[0].text)

    async def streamed() -> int:
        return await characters(
            event.delta.text if event.type == "content_block_delta" else None
            async for event in await client.messages.create(**asked, stream=True)
        )

    return Calls(whole, streamed)


def _google_sdk(base: str) -> Calls:
    from google import genai
    from google.genai import types

    options = types.HttpOptions(base_url=base_url("google", base), retry_options=types.HttpRetryOptions(attempts=1))
    client = genai.Client(api_key=KEY, http_options=options)
    asked: dict[str, Any] = {"model": MODEL, "contents": PROMPT}
    asked["config"] = types.GenerateContentConfig(max_output_tokens=MAX_TOKENS)

    async def whole() -> int:
        return len((await client.aio.models.generate_content(**asked)).text or "")

    async def streamed() -> int:
        return await characters(chunk.text async for chunk in await client.aio.models.generate_content_stream(**asked))

    return Calls(whole, streamed)


def litellm(protocol: str, base: str) -> Calls:
    """LiteLLM's functions, its retries off."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else its import fetches a file
    import litellm as library

    library.suppress_debug_info = True
    provider = "gemini" if protocol == "google" else protocol
    model = f"{provider}/{MODEL}"
    address = f"{base}/v1beta/models/{MODEL}" if protocol == "google" else base_url(protocol, base)
    asked: dict[str, Any] = {"model": model, "messages": MESSAGES, "max_tokens": MAX_TOKENS, "num_retries": 0}
    asked |= {"api_base": address, "api_key": KEY}

    async def whole() -> int:
        return len((await library.acompletion(**asked)).choices[0].message.content)

    async def streamed() -> int:
        return await characters(_openai_text(chunk) async for chunk in await library.acompletion(**asked, stream=True))

    return Calls(whole, streamed)


def any_llm(protocol: str, base: str) -> Calls:
    """any-llm with a client that is kept; its `acompletion` function makes one for each call."""
    from any_llm import AnyLLM

    provider = "gemini" if protocol == "google" else protocol
    client = AnyLLM.create(provider, api_key=KEY, api_base=base_url(protocol, base))
    asked: dict[str, Any] = {"model": MODEL, "messages": MESSAGES, "max_tokens": MAX_TOKENS}

    async def whole() -> int:
        return len((await client.acompletion(**asked)).choices[0].message.content or "")

    async def streamed() -> int:
        return await characters(_openai_text(chunk) async for chunk in await client.acompletion(**asked, stream=True))

    return Calls(whole, streamed)


CLIENTS = {
    "llm-framework": ours,
    "aiohttp": raw_aiohttp,
    "httpx": raw_httpx,
    "httpx2": raw_httpx2,
    "sdk": sdk,
    "litellm": litellm,
    "any-llm": any_llm,
}
PACKAGES = (
    "llm-framework",
    "aiohttp",
    "httpx",
    "httpx2",
    "openai",
    "anthropic",
    "google-genai",
    "litellm",
    "any-llm-sdk",
)


# ---------------------------------------------------------------------------------------------------------- the worker
async def run(call: Callable[[], Awaitable[int]], number: int, concurrency: int) -> dict[str, Any]:
    """`number` calls, `concurrency` of them at a time, after some that do not count."""
    latencies: list[float] = []
    lengths: set[int] = set()

    async def take(turns: Iterator[int]) -> None:
        for _ in turns:
            before = time.perf_counter()
            lengths.add(await call())
            latencies.append(time.perf_counter() - before)

    async def take_side_by_side(count: int) -> None:
        turns = iter(range(count))
        await asyncio.gather(*(take(turns) for _ in range(concurrency)))

    await take_side_by_side(concurrency)  # connections that were closed while the others had their turn
    latencies.clear()
    began, processor = time.perf_counter(), time.process_time()
    await take_side_by_side(number)
    seconds, processor = time.perf_counter() - began, time.process_time() - processor
    return {"seconds": seconds, "processor": processor, "latencies": latencies, "characters": sorted(lengths)}


async def work(name: str, base: str) -> None:
    """Do jobs until standard input ends, all on one event loop with one client a protocol."""
    made: dict[str, Calls] = {}
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        job = json.loads(line)
        try:
            if job["protocol"] not in made:
                made[job["protocol"]] = CLIENTS[name](job["protocol"], base)
                gc.collect()
                gc.freeze()  # what the imports left is not searched again during the calls
            calls = made[job["protocol"]]
            running = run(calls.streamed if job["streamed"] else calls.whole, job["calls"], job["concurrency"])
            result = await asyncio.wait_for(running, JOB_TIME)
        except Exception as error:
            result = {"error": f"{type(error).__name__}: {error}"[:500]}
        print(json.dumps(result), file=REPLIES, flush=True)


def versions() -> dict[str, str]:
    """The packages that matter and are installed, with their versions."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            pass
    return found


if __name__ == "__main__":
    # What a library prints must not come between the replies.
    REPLIES = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    print(json.dumps({"versions": versions()}), file=REPLIES, flush=True)
    asyncio.run(work(sys.argv[1], sys.argv[2]))
    os._exit(0)  # the clients were kept to the end, and some would complain that nobody closed them
