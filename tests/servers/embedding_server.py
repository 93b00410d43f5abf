"""What an embedding endpoint answers, by OpenAI's protocol and by Google's: vectors made of the words of a text, and
the refusals that the real ones have."""

from __future__ import annotations

import base64
import math
import random
import struct
from typing import Any

from .chat_server import Reply, Request, error_reply, json_reply

SIZE = 16
MAX_WORDS = 100
MAX_OPENAI, MAX_GOOGLE = 2048, 100


def vector_of(text: str, size: int = SIZE) -> list[float]:
    """The vector of a text: the sum of a direction for each word, of length 1, in 32 bits."""
    sums = [0.0] * size
    for word in text.lower().split() or [""]:
        numbers = random.Random(word.strip(".,?!"))
        sums = [value + numbers.gauss(0, 1) for value in sums]
    length = math.hypot(*sums)
    return list(struct.unpack(f"<{size}f", struct.pack(f"<{size}f", *(value / length for value in sums))))


def answer(request: Request) -> Reply:
    """The answer of an endpoint that is well."""
    return google(request) if ":batchEmbedContents" in request.path else openai(request)


def openai(request: Request) -> Reply:
    """By OpenAI's protocol. The last vector stands first: the indices count."""
    body: dict[str, Any] = request.body
    texts = body["input"]
    if "" in texts:
        return error_reply(400, "'$.input' is invalid. Please check the API reference.")
    if len(texts) > MAX_OPENAI:
        return error_reply(400, f"'$.input' is too long: {len(texts)} items")
    for place, text in enumerate(texts):
        if len(text.split()) > MAX_WORDS:
            return error_reply(400, f"Invalid 'input[{place}]': maximum input length is {MAX_WORDS} tokens.")
    vectors = [vector_of(text, body.get("dimensions", SIZE)) for text in texts]
    as_text = body.get("encoding_format") == "base64"
    data = [
        {"object": "embedding", "index": place, "embedding": _base64(vector) if as_text else vector}
        for place, vector in enumerate(vectors)
    ]
    words = sum(len(text.split()) for text in texts)
    usage = {"prompt_tokens": words, "total_tokens": words}
    return json_reply({"object": "list", "data": data[::-1], "model": body["model"], "usage": usage})


def google(request: Request) -> Reply:
    """By Google's protocol."""
    asked = request.body["requests"]
    if len(asked) > MAX_GOOGLE:
        message = f"at most {MAX_GOOGLE} requests can be in one batch"
        return json_reply({"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}}, 400)
    texts = ["".join(part["text"] for part in one["content"]["parts"]) for one in asked]
    size = asked[0].get("outputDimensionality", SIZE)
    return json_reply({"embeddings": [{"values": vector_of(text, size)} for text in texts]})


def _base64(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
