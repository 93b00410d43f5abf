"""From an older agent, or its settings, to a framework; and a framework that is called as the older agent was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .. import sync as sync_bridge
from ..errors import InvalidRequestError
from ..framework import LLMFramework
from ..inputs import Prompt
from . import old_names

_ATTRIBUTES = ("model_name", "max_new_tokens", "temperature", "top_p", "verbose", "device")


def upgrade_to_framework(agent: Any = None, *, config: Mapping[str, Any] | None = None) -> LLMFramework:
    """A framework that does what the older agent did, or would do with its settings `config` (which go before the
    agent's).

    `agent` is any object with some of the attributes `model_name, max_new_tokens, temperature, top_p, verbose, device`;
    `config` may hold settings of `LLMConfig` too. Raises `InvalidRequestError` for an unknown setting,
    `ConfigurationError` for a wrong value.
    """
    if isinstance(agent, LLMFramework):
        raise InvalidRequestError("this is a framework already; upgrade_to_framework takes an older agent")
    if isinstance(agent, Mapping):
        raise InvalidRequestError("these are settings: write upgrade_to_framework(config=…)")
    found = {name: getattr(agent, name, None) for name in _ATTRIBUTES}
    settings = old_names.translate(found, "an older agent").settings
    if config is not None:
        if not isinstance(config, Mapping):
            raise InvalidRequestError(
                f"config holds an agent's older settings by name; it is a {type(config).__name__}"
            )
        given = old_names.translate(config, "the settings of an older agent", ("system_prompt",))
        settings.update(given.settings)
        if given.said:
            shown = ", ".join(f"{name!r}: {value!r}" for name, value in settings.items() if name in old_names.SHOWN)
            old_names.warn("what config holds", f"LLMFramework({{{shown}}})", given.said)
    return LLMFramework(settings)


class LegacyAgentWrapper:
    """A framework, called as older agents were: `wrapper(prompt)` is a text, `wrapper.batch_generate(prompts)` a list
    of texts in the order given. Both block, and may be called in threads and inside a running event loop.

    `model_name` is for calls that name none (None: the framework's default). Options are those of
    `LLMFramework.generate_text`; the older `max_new_tokens` warns. The framework stays the caller's to close. Errors
    are those of `llm_framework.errors`.
    """

    def __init__(self, framework: LLMFramework, model_name: str | None = None) -> None:
        if not isinstance(framework, LLMFramework):
            raise InvalidRequestError(f"LegacyAgentWrapper takes an LLMFramework first, not {framework!r:.80}")
        self.framework = framework
        self.model_name = old_names.model_name_of(model_name)

    def __call__(self, prompt: Prompt, **options: Any) -> str:
        return sync_bridge.run(self.framework.generate_text, prompt, **self._options(options))

    def generate(self, prompt: Prompt, **options: Any) -> str:
        """The same as calling the wrapper."""
        return self(prompt, **options)

    def batch_generate(self, prompts: Sequence[Prompt], **options: Any) -> list[str]:
        """The texts, in the order of the prompts; `generate_batch`'s options too."""
        return sync_bridge.run(self.framework.generate_batch, prompts, **self._options(options))

    def _options(self, options: dict[str, Any]) -> dict[str, Any]:
        options = {"model_name": self.model_name, **options}
        if "max_new_tokens" in options:
            options["max_tokens"] = options.pop("max_new_tokens")
            old_names.warn("max_new_tokens", f"max_tokens={options['max_tokens']!r}", [])
        return options
