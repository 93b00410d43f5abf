"""`FrameworkAgent`: one model with its settings, asked for texts; and the older names for it."""

from __future__ import annotations

import logging
from collections.abc import Coroutine
from enum import Enum
from types import TracebackType
from typing import Any

from typing_extensions import Self, Unpack

from .. import sync as sync_bridge
from ..errors import InvalidRequestError, ModelNotFoundError
from ..framework import LLMFramework
from ..inputs import GenerateOptions, Prompt, as_messages
from ..registry import BUNDLED_MODEL
from ..types import Message
from . import old_names

_OF_A_CALL = {"default_max_tokens": "max_tokens", "default_temperature": "temperature", "default_top_p": "top_p"}


class AgentMode(Enum):
    """How the older class ran a model. The framework has one way: the mode is kept, and changes nothing."""

    FULL = "full"
    LIGHTWEIGHT = "lightweight"
    NATIVE = "full"

    @classmethod
    def _missing_(cls, value: object) -> AgentMode | None:
        named = value.upper() if isinstance(value, str) else ""
        return cls.__members__.get(named)


class FrameworkAgent:
    """A model and how it is asked: `generate_response` and `generate_response_async` take a prompt, return a text.

    `model_name` as in `LLMFramework` (None: its default). With `framework`, the agent uses that one and leaves it open;
    without, it has one of its own, which `async with`, `with`, `close()` or `aclose()` closes. `system_prompt` goes
    before each prompt. Other parameters are those of the older classes (`max_new_tokens, temperature, top_p, verbose,
    device, use_8bit, tool_registry, max_iterations`), which warn, and settings of `LLMConfig` for a framework of its
    own. Raises `InvalidRequestError` for a parameter that is none of these, `ConfigurationError` for a wrong value.
    """

    def __init__(
        self,
        model_name: str | None = None,
        framework: LLMFramework | None = None,
        *,
        system_prompt: str | None = None,
        _older_name: str | None = None,
        **parameters: Any,
    ) -> None:
        name = type(self).__name__
        if isinstance(model_name, LLMFramework) or not isinstance(framework, (LLMFramework, type(None))):
            raise InvalidRequestError(f"{name} takes a model's name first, and a framework as framework=…")
        translated = old_names.translate(parameters, name)
        self.model_name: str | None = old_names.model_name_of(model_name)
        self.system_prompt = system_prompt
        self.verbose = bool(parameters.get("verbose"))
        self.device: str = parameters.get("device") or "auto"
        self.tool_registry = parameters.get("tool_registry")
        self.max_iterations: int = parameters.get("max_iterations") or 5
        self._options: dict[str, Any] = {}
        self._is_owner = framework is None
        self.framework = self._own(translated.settings) if framework is None else self._share(framework, translated)
        if _older_name is not None or translated.said:
            instead = _call(self.model_name, self._is_owner, translated.settings)
            old_names.warn(_older_name or f"what {name} was given", instead, translated.said)

    def _own(self, settings: dict[str, Any]) -> LLMFramework:
        if self.model_name is not None:
            settings = {"default_model": self.model_name, **settings}
        return LLMFramework(settings)

    def _share(self, framework: LLMFramework, translated: old_names.Translated) -> LLMFramework:
        """What the framework was not made with goes with each call, where it can."""
        for name, value in translated.settings.items():
            if name in _OF_A_CALL:
                self._options[_OF_A_CALL[name]] = value
            elif name == "log_level":
                logging.getLogger("llm_framework").setLevel(value)
            else:
                raise InvalidRequestError(f"{name} is a setting of the framework that is shared: give it to that one")
        return framework

    # ------------------------------------------------------------------------------------------------------ settings
    def _get(self, option: str) -> Any:
        return self._options.get(option, getattr(self.framework.config, f"default_{option}"))

    def _set(self, option: str, value: Any) -> None:
        if value is None:
            self._options.pop(option, None)
        else:
            self._options[option] = value

    @property
    def max_new_tokens(self) -> int | None:
        """Longest answer, in tokens. What is set here goes before the framework's configuration."""
        return self._get("max_tokens")  # type: ignore[no-any-return]

    @max_new_tokens.setter
    def max_new_tokens(self, value: int | None) -> None:
        self._set("max_tokens", value)

    @property
    def temperature(self) -> float | None:
        """0 always takes the likeliest token. What is set here goes before the framework's configuration."""
        return self._get("temperature")  # type: ignore[no-any-return]

    @temperature.setter
    def temperature(self, value: float | None) -> None:
        self._set("temperature", value)

    @property
    def top_p(self) -> float | None:
        """The likeliest tokens that are so probable together are drawn from. What is set here goes before the
        framework's configuration."""
        return self._get("top_p")  # type: ignore[no-any-return]

    @top_p.setter
    def top_p(self, value: float | None) -> None:
        self._set("top_p", value)

    # ----------------------------------------------------------------------------------------------------- generation
    async def generate_response_async(self, prompt: Prompt, **options: Unpack[GenerateOptions]) -> str:
        """The answer's text; prompt and options as in `LLMFramework.generate_text`.

        Raises `ModelNotFoundError` where the model's weights are not on this machine, saying where they belong, and the
        errors of `llm_framework.errors`; the older class returned a text that began with "Error:".
        """
        merged: dict[str, Any] = {"model_name": self.model_name, **self._options, **options}
        if self._options:  # defaults, as they were: what the model cannot take is left out
            merged.setdefault("strict_parameters", False)
        try:
            text: str = await self.framework.generate_text(self._messages(prompt), **merged)
        except ModelNotFoundError as error:
            raise (self._missing(error) if merged["model_name"] == self.model_name else error) from None
        return text

    def generate_response(self, prompt: Prompt, **options: Unpack[GenerateOptions]) -> str:
        """The same, blocking; safe in threads and inside a running event loop (which it holds up meanwhile)."""
        return sync_bridge.run(self.generate_response_async, prompt, **options)

    def _messages(self, prompt: Prompt) -> Prompt:
        messages = as_messages(prompt)
        if not self.system_prompt or any(message.role == "system" for message in messages):
            return messages
        return (Message.system(self.system_prompt), *messages)

    def check_model(self) -> None:
        """Raises `ModelNotFoundError` where the model's weights are not on this machine and no fallback is set."""
        config = self.framework.config
        if self.model_name is None or (config.enable_fallbacks and config.fallback_models):
            return
        try:
            self.framework.get_model_info(self.model_name)
        except ModelNotFoundError as error:
            raise self._missing(error) from None

    def _missing(self, error: ModelNotFoundError) -> ModelNotFoundError:
        name = self.model_name
        if name is None or ":" in name:
            return error
        message = (
            f"the weights of {name!r} are not on this machine. Put them into {self.framework.config.models_dir}, as a "
            f"folder {name}/ (config.json and *.safetensors) or a file {name}.sbs or {name}.gguf; or use the bundled "
            f"model: model_name={BUNDLED_MODEL!r}"
        )
        return ModelNotFoundError(message, model=name, nearest=error.nearest)

    # ----------------------------------------------------------------------------------------------------- start, close
    async def __aenter__(self) -> Self:
        await self.framework.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __enter__(self) -> Self:
        sync_bridge.run(self.framework.start)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def aclose(self) -> None:
        """Close the framework, where it is the agent's own. A later use starts it anew."""
        if self._is_owner:
            await self.framework.close()

    def close(self) -> None:
        """The same, blocking."""
        sync_bridge.run(self.aclose)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.model_name!r})"


class UnifiedGemmaAgent(FrameworkAgent):
    """The older class's name for `FrameworkAgent`. `mode` is kept as an attribute; it changes nothing."""

    def __init__(
        self,
        model_name: str | None = old_names.DEFAULT_MODEL,
        mode: AgentMode | str = AgentMode.FULL,
        tool_registry: Any = None,
        system_prompt: str | None = None,
        **parameters: Any,
    ) -> None:
        self.mode = _mode_of(mode)
        if tool_registry is not None:
            parameters["tool_registry"] = tool_registry
        model_name = model_name or old_names.DEFAULT_MODEL
        super().__init__(model_name, system_prompt=system_prompt, _older_name="UnifiedGemmaAgent", **parameters)


def create_gemma_agent(
    model_name: str | None = old_names.DEFAULT_MODEL, **parameters: Any
) -> Coroutine[Any, Any, FrameworkAgent]:
    """`await create_gemma_agent(…)`: an agent that is ready, parameters as in `FrameworkAgent`.

    Raises `ModelNotFoundError` where the model's weights are not on this machine, saying where they belong and how to
    use the bundled model.
    """
    # No coroutine function: the warning must find the line that called it, also where another task awaits it.
    if parameters.get("mode") is not None:
        _mode_of(parameters.pop("mode"))
    name = model_name or old_names.DEFAULT_MODEL
    return _ready(FrameworkAgent(name, _older_name="create_gemma_agent", **parameters))


async def _ready(agent: FrameworkAgent) -> FrameworkAgent:
    try:
        await agent.framework.start()  # looks for models, in a thread
        agent.check_model()
    except BaseException:
        await agent.aclose()
        raise
    return agent


def _mode_of(mode: Any) -> AgentMode:
    try:
        return AgentMode(mode)
    except ValueError:
        known = ", ".join(f"AgentMode.{member.name}" for member in AgentMode)
        raise InvalidRequestError(f"mode is one of {known}, not {mode!r}") from None


def _call(model_name: str | None, is_owner: bool, settings: dict[str, Any]) -> str:
    """The call of today, as far as older names have a part in it."""
    named = [] if model_name is None else [repr(model_name)]
    shown = {name: value for name, value in settings.items() if name in old_names.SHOWN}
    if is_owner:
        return f"FrameworkAgent({', '.join([*named, *(f'{name}={value!r}' for name, value in shown.items())])})"
    made = f"LLMFramework({shown!r})" if shown else "…"
    return f"FrameworkAgent({', '.join([*named, f'framework={made}'])})"
