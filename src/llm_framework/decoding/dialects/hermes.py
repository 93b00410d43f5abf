"""Hermes' and Qwen's dialect: `<tool_call>{"name": ..., "arguments": {...}}</tool_call>`, perhaps after thoughts in
`<think>...</think>`."""

from __future__ import annotations

from ...types import InferenceRequest
from ..thoughts import ThoughtParser
from ..tool_calls import CALL_END, CALL_START, OutputParser, ToolCallParser
from .templated import TemplatedDialect

THINK_START = "<think>"
THINK_END = "</think>"


class HermesDialect(TemplatedDialect):
    """The dialect of Hermes 2 and later, and of Qwen 2.5 and 3."""

    markers = frozenset({CALL_START, CALL_END, THINK_START, THINK_END})
    ends = frozenset({"<|im_start|>", "<|im_end|>", "<tool_response>"})

    def call_parser(self) -> OutputParser:
        """Calls between their marks, text around them."""
        return ToolCallParser()

    def parser(self, request: InferenceRequest) -> OutputParser:
        """Also thoughts."""
        return ThoughtParser(super().parser(request), THINK_START, THINK_END)
