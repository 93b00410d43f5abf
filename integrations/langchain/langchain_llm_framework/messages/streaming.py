"""The pieces of an answer as LangChain's, such that they add up to the whole answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages import content as types
from langchain_core.messages.block_translators import register_translator
from langchain_core.messages.tool import ToolCallChunk
from langchain_core.utils.json import parse_partial_json

from llm_framework.types import Chunk, InferenceResponse, ToolCallDelta, Usage

from .writing import PROVIDER, ai_fields, response_metadata, to_usage


def to_ai_chunk(chunk: Chunk) -> AIMessageChunk | None:
    """A piece of an answer, or None where it holds nothing to show. The last piece, and it alone, carries the usage
    and the metadata: LangChain adds the pieces up, and would concatenate or add those too."""
    last = chunk.finish_reason is not None or chunk.response is not None
    if not (last or chunk.text or chunk.thinking or chunk.tool_call):
        return None
    fields: dict[str, Any] = {"content": chunk.text}
    if chunk.thinking:
        fields["additional_kwargs"] = {"reasoning_content": chunk.thinking}
    if chunk.tool_call is not None:
        fields["tool_call_chunks"] = [_tool_call_chunk(chunk.tool_call)]
        fields["response_metadata"] = {"model_provider": PROVIDER}  # so that `_call_blocks` is asked
    return AIMessageChunk(**fields, **(_last_fields(chunk) if last else {}))


def _tool_call_chunk(delta: ToolCallDelta) -> ToolCallChunk:
    return ToolCallChunk(name=delta.name, args=delta.arguments, id=delta.id, index=delta.index, type="tool_call_chunk")


def with_broken_calls_marked(chunk: Chunk) -> list[Chunk]:
    """The chunk, and before the end of an answer a piece for each call whose arguments are broken.

    LangChain repairs the arguments of a streamed call: `{"age": 3`, cut off before 31, would pass for a call with the
    age of 3. The piece adds a bracket that nothing opened, which LangChain does not repair: the call is invalid then,
    streamed as it is whole.
    """
    calls = enumerate(chunk.response.tool_calls) if chunk.response else ()
    pieces = [(index, _unopened_bracket(call.raw_arguments)) for index, call in calls if call.arguments is None]
    marks = [Chunk(tool_call=ToolCallDelta(index, arguments=bracket)) for index, bracket in pieces if bracket]
    if not marks:
        return [chunk]
    start = replace(chunk, finish_reason=None, usage=None, response=None)
    return [start, *marks, replace(chunk, text="", thinking="", tool_call=None)]


def _unopened_bracket(arguments: str) -> str:
    """What makes LangChain read the broken arguments as broken; "" where it does so anyhow."""
    ends = ("", "]", "}", '"]', '"}', '""]', '""}')  # outside of a string, in one, after a backslash in one
    return next((end for end in ends if not _is_taken(arguments + end)), "")


def _is_taken(arguments: str) -> bool:
    try:  # None stands for a bracket that nothing opened; other values that are no objects pass in some event streams
        return not arguments or parse_partial_json(arguments) is not None or arguments.strip() == "null"
    except ValueError:
        return False


def _call_blocks(message: AIMessageChunk) -> list[types.ContentBlock]:
    """The content blocks of a piece of a tool call. LangChain numbers text and reasoning from 0 itself, and would add
    a call that is numbered from 0 too to the block of the same number; numbers that start with lc_ are kept apart."""
    if not message.tool_call_chunks or message.content or message.chunk_position == "last":
        raise NotImplementedError  # LangChain then reads the blocks itself
    return [
        types.ToolCallChunk(
            type="tool_call_chunk", id=call["id"], name=call["name"], args=call["args"], index=f"lc_tc_{call['index']}"
        )
        for call in message.tool_call_chunks
    ]


def _blocks_as_usual(message: AIMessage) -> list[types.ContentBlock]:
    raise NotImplementedError


register_translator(PROVIDER, _blocks_as_usual, _call_blocks)


def _last_fields(chunk: Chunk) -> dict[str, Any]:
    response = chunk.response or InferenceResponse(
        usage=chunk.usage or Usage(), finish_reason=chunk.finish_reason or "stop"
    )
    extras = ai_fields(response.message)["additional_kwargs"]
    extras.pop("reasoning_content", None)  # it came with the pieces
    if chunk.thinking:
        extras["reasoning_content"] = chunk.thinking
    return {
        **({"additional_kwargs": extras} if extras else {}),
        "usage_metadata": to_usage(response.usage),
        "response_metadata": response_metadata(response),
        "chunk_position": "last",
    }
