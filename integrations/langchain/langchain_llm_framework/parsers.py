"""Output parsers that are as strict as the form that was asked for.

LangChain's own repair JSON that is cut off or wrong: fine while an answer is still coming, but at its end
`{"age": 3` would pass for an age of 3 where the model was about to write 31.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

from langchain_core.exceptions import OutputParserException
from langchain_core.messages import AIMessage, BaseMessage, ToolCall
from langchain_core.output_parsers import JsonOutputParser, PydanticOutputParser
from langchain_core.output_parsers.openai_tools import (
    JsonOutputKeyToolsParser,
    JsonOutputToolsParser,
    PydanticToolsParser,
)
from langchain_core.outputs import ChatGeneration, Generation

_FENCE = re.compile(r"\A```(?:json)?\s*\n(.*?)\n?```\Z", re.DOTALL)


def load_json(text: str) -> Any:
    """The JSON value that `text` is, also inside a Markdown fence. Raises `OutputParserException` for anything else."""
    stripped = text.strip()
    fenced = _FENCE.match(stripped)
    try:
        return json.loads(fenced.group(1) if fenced else stripped)
    except (ValueError, RecursionError) as error:
        raise OutputParserException(f"the answer is not valid JSON ({error}): {text}", llm_output=text) from error


class _CheckedAtItsEnd(JsonOutputParser):
    """Parses what comes as far as it goes, and at its end the whole, which raises where it is not what was asked."""

    def _transform(self, input: Iterator[str | BaseMessage]) -> Iterator[Any]:
        end = _End()
        yield from super()._transform(end.watch(input))
        self.parse_result([end.generation()])

    async def _atransform(self, input: AsyncIterator[str | BaseMessage]) -> AsyncIterator[Any]:
        end = _End()
        async for value in super()._atransform(end.awatch(input)):
            yield value
        self.parse_result([end.generation()])


class StrictJsonParser(_CheckedAtItsEnd):
    """A dict from a JSON answer; None where the model called a tool instead."""

    def parse_result(self, result: list[Generation], *, partial: bool = False) -> Any:
        """The value; while `partial`, what can be read so far."""
        if partial:
            return super().parse_result(result, partial=True)
        return None if _only_calls(result[0]) else load_json(result[0].text)


class StrictPydanticParser(_CheckedAtItsEnd, PydanticOutputParser[Any]):
    """An instance of a pydantic class from a JSON answer; None where the model called a tool instead."""

    def parse_result(self, result: list[Generation], *, partial: bool = False) -> Any:
        """The instance; while `partial`, the one that can be made so far, or None."""
        if partial:
            return super().parse_result(result, partial=True)
        return None if _only_calls(result[0]) else self._parse_obj(load_json(result[0].text))


class _CallsCheckedAtTheirEnd(JsonOutputToolsParser):
    """Parses calls as far as they have come, and at their end the whole answer, which raises where a call is broken."""

    def _transform(self, input: Iterator[str | BaseMessage]) -> Iterator[Any]:
        seen: list[str | BaseMessage] = []
        yield from super()._transform(_keep(input, seen))
        self.parse_result([_whole(seen)])

    async def _atransform(self, input: AsyncIterator[str | BaseMessage]) -> AsyncIterator[Any]:
        seen: list[str | BaseMessage] = []
        async for value in super()._atransform(_akeep(input, seen)):
            yield value
        self.parse_result([_whole(seen)])


class StrictKeyToolsParser(_CallsCheckedAtTheirEnd, JsonOutputKeyToolsParser):
    """The arguments of the first call of a tool; broken arguments raise instead of passing for no call."""

    def parse_result(self, result: list[Generation], *, partial: bool = False) -> Any:
        """The arguments, or None where the tool was not called."""
        if not partial:
            _refuse_broken_calls(result[0])
        return super().parse_result(result, partial=partial)


class StrictPydanticToolsParser(_CallsCheckedAtTheirEnd, PydanticToolsParser):
    """An instance of a pydantic class from its first call; broken arguments raise instead of passing for no call."""

    others: frozenset[str] = frozenset()
    """The names of tools that may be called instead, which is no instance and no error."""

    def parse_result(self, result: list[Generation], *, partial: bool = False) -> Any:
        """The instance, or None where the tool was not called."""
        if not partial:
            _refuse_broken_calls(result[0])
        return super().parse_result([_without_calls(result[0], self.others)], partial=partial)


class _End:
    """Watches a stream and keeps what it was as a whole."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._called = False

    def watch(self, input: Iterator[str | BaseMessage]) -> Iterator[str | BaseMessage]:
        for item in input:
            self._see(item)
            yield item

    async def awatch(self, input: AsyncIterator[str | BaseMessage]) -> AsyncIterator[str | BaseMessage]:
        async for item in input:
            self._see(item)
            yield item

    def _see(self, item: str | BaseMessage) -> None:
        self._texts.append(item if isinstance(item, str) else item.text)
        self._called = self._called or bool(
            getattr(item, "tool_call_chunks", None) or getattr(item, "tool_calls", None)
        )

    def generation(self) -> Generation:
        text = "".join(self._texts)
        if not self._called:
            return Generation(text=text)
        call = ToolCall(name="a tool", args={}, id=None)
        return ChatGeneration(message=AIMessage(content=text, tool_calls=[call]))


def _keep(input: Iterator[str | BaseMessage], seen: list[str | BaseMessage]) -> Iterator[str | BaseMessage]:
    for item in input:
        seen.append(item)
        yield item


async def _akeep(
    input: AsyncIterator[str | BaseMessage], seen: list[str | BaseMessage]
) -> AsyncIterator[str | BaseMessage]:
    async for item in input:
        seen.append(item)
        yield item


def _whole(seen: list[str | BaseMessage]) -> Generation:
    messages: list[Any] = [item for item in seen if isinstance(item, BaseMessage)]
    if not messages:
        return ChatGeneration(message=AIMessage(content=""))
    first, *rest = messages
    return ChatGeneration(message=first + rest if rest else first)


def _only_calls(generation: Generation) -> bool:
    message = generation.message if isinstance(generation, ChatGeneration) else None
    return isinstance(message, AIMessage) and bool(message.tool_calls) and not generation.text.strip()


def _without_calls(generation: Generation, names: frozenset[str]) -> Generation:
    message = generation.message if isinstance(generation, ChatGeneration) else None
    if not names or not isinstance(message, AIMessage):
        return generation
    calls = [call for call in message.tool_calls if call["name"] not in names]
    return ChatGeneration(message=message.model_copy(update={"tool_calls": calls}))


def _refuse_broken_calls(generation: Generation) -> None:
    message = generation.message if isinstance(generation, ChatGeneration) else None
    if isinstance(message, AIMessage) and message.invalid_tool_calls and not message.tool_calls:
        call = message.invalid_tool_calls[0]
        text = call.get("args") or ""
        raise OutputParserException(
            f"the arguments of the call of {call.get('name')!r} cannot be read ({call.get('error')}): {text}",
            llm_output=text,
        )
