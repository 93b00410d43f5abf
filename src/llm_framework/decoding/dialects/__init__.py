"""How a family of models is told its tools and how it calls them; one file a dialect.

A dialect turns a request into the turns that a chat template takes, and gives the parser for what the model writes.
`prompted` serves every model without tool tokens of its own; a family that has them gets a file of its own and a line
in `choose_dialect`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypedDict

from typing_extensions import NotRequired

from ...types import InferenceRequest
from ..tool_calls import OutputParser

Quote = Callable[[str], str]
"""Marks text that comes from outside, so that no special token can be written in it (see `SpecialGuard`)."""


Tools = Sequence[Mapping[str, Any]]
"""Tools as chat templates take them: `{"type": "function", "function": {"name", "description", "parameters"}}`."""


class Turn(TypedDict):
    """A message as chat templates take it. `tool_calls` and `name` are for dialects that leave the writing of calls
    and results to the template."""

    role: str
    content: str
    tool_calls: NotRequired[list[dict[str, Any]]]
    tool_call_id: NotRequired[str]
    name: NotRequired[str]


class Dialect(Protocol):
    """Both directions of one way to speak to a model."""

    markers: frozenset[str]
    """Special tokens that the parser reads: they are part of the answer's text; all others are left out of it."""
    ends: frozenset[str]
    """Special tokens that a model writes only after its answer is over, besides those that its files call its end."""

    def turns(self, request: InferenceRequest, quote: Quote = str) -> list[Turn]:
        """The chat as `system`, `user` and `assistant` turns, tools and results written in; everything that is not the
        dialect's own goes through `quote`. Raises `UnsupportedFeatureError` for parts that are not text."""

    def tools(self, request: InferenceRequest, quote: Quote = str) -> Tools | None:
        """The tools that the chat template is to write; None where there are none, or `turns` hold them already."""

    def parser(self, request: InferenceRequest) -> OutputParser:
        """A fresh parser for the answer to `request`."""


def choose_dialect(template_source: str | None = None) -> Dialect:
    """The dialect of the model whose chat template is `template_source` (None: it has none)."""
    source = template_source or ""
    if "tools" in source:
        if "<start_function_call>" in source:
            from .gemma_native import FunctionGemmaDialect

            return FunctionGemmaDialect()
        if "<|tool_call>" in source:
            from .gemma_native import Gemma4Dialect

            return Gemma4Dialect()
        if "<tool_call>" in source and "<function=" not in source:  # Qwen 3.5 writes calls as XML
            from .hermes import HermesDialect

            return HermesDialect()
        if "<|python_tag|>" in source or "Environment: ipython" in source:
            from .llama import LlamaDialect

            return LlamaDialect()
    from .prompted import PromptedDialect

    return PromptedDialect()
