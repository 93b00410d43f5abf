"""`BoundChatModel`: what `bind`, `bind_tools` and `with_config` of the chat models here give."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage
from langchain_core.runnables import Runnable
from langchain_core.runnables.base import RunnableBinding
from langchain_core.tools import BaseTool
from pydantic import BaseModel

# What a new set of tools, or a form for the answer, replaces.
_OF_TOOLS = frozenset(("tools", "tool_choice", "strict", "parallel_tool_calls"))
_OF_FORM = frozenset(("tools", "tool_choice", "response_format", "ls_structured_output_format"))


class BoundChatModel(RunnableBinding[LanguageModelInput, AIMessage]):
    """A chat model with options of its calls and a configuration.

    LangChain's own binding forgets both when tools or a form are asked for after it. Here the stop stays in
    `model.bind(stop=["x"]).bind_tools(tools)`, and the tools in `model.bind_tools(tools).with_structured_output(Form)`.
    """

    @classmethod
    def lc_id(cls) -> list[str]:
        """It is written as the plain binding, which LangChain knows how to read."""
        return [*cls.get_lc_namespace(), "RunnableBinding"]

    def bind_tools(
        self, tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool], **kwargs: Any
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """The model with these tools in place of those bound before; other options and the configuration stay."""
        model: Any = self.bound
        bound: Runnable[LanguageModelInput, AIMessage] = self._configured(
            model.bind_tools(tools, **{**self._but(_OF_TOOLS), **kwargs})
        )
        return bound

    def with_structured_output(
        self,
        schema: dict[str, Any] | type | None = None,
        *,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool] | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, dict[str, Any] | BaseModel]:
        """The model, answering in this form; the tools bound before stand beside it, and other options stay."""
        beside = [*self.kwargs.get("tools", ()), *(tools or ())]
        options = {**self._but(_OF_FORM), **({"tools": beside} if beside else {}), **kwargs}
        model: Any = self.bound
        chain: Runnable[LanguageModelInput, dict[str, Any] | BaseModel] = self._configured(
            model.with_structured_output(schema, **options)
        )
        return chain

    def _but(self, names: frozenset[str]) -> dict[str, Any]:
        return {name: value for name, value in self.kwargs.items() if name not in names}

    def _configured(self, runnable: Runnable[Any, Any]) -> Any:
        if not self.config and not self.config_factories:
            return runnable
        kind = type(runnable) if isinstance(runnable, BoundChatModel) else RunnableBinding
        inner, kwargs = (runnable.bound, runnable.kwargs) if isinstance(runnable, BoundChatModel) else (runnable, {})
        return kind(bound=inner, kwargs=kwargs, config=self.config, config_factories=self.config_factories)
