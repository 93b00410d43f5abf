"""Hooks, run in order: before a request in the order of the plugins, after it in the reverse one. So the plugin that
saw the prompt last sees the answer first: what one has put in, it can take out again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import redaction
from ..errors import PluginError
from ..types import GenerationConfig
from .base import BaseModelPlugin
from .calls import OUR_OWN, called
from .loading import say


async def run_pre(
    plugins: Sequence[BaseModelPlugin], prompt: str, config: GenerationConfig
) -> tuple[str, GenerationConfig]:
    """The prompt and settings after every pre hook. Raises `PluginError` naming the plugin whose hook failed."""
    for plugin in plugins:
        result = await _run(plugin, "pre_generate_hook", prompt, config)
        if not (isinstance(result, tuple) and len(result) == 2 and _are(result, (str, GenerationConfig))):
            raise _wrong_result(plugin, "pre_generate_hook", "the prompt (a str) and a GenerationConfig", result)
        prompt, config = result
    return prompt, config


async def run_post(plugins: Sequence[BaseModelPlugin], prompt: str, response: str, config: GenerationConfig) -> str:
    """The answer's text after every post hook; errors as in `run_pre`."""
    for plugin in reversed(plugins):
        result = await _run(plugin, "post_generate_hook", prompt, response, config)
        if not isinstance(result, str):
            raise _wrong_result(plugin, "post_generate_hook", "the answer (a str)", result)
        response = result
    return response


async def _run(plugin: BaseModelPlugin, hook: str, *arguments: Any) -> Any:
    try:
        return await called(getattr(plugin, hook), *arguments)
    except OUR_OWN:
        raise
    except BaseException as error:  # also what is no Exception: a plugin does not end the program
        name = plugin.metadata.name
        message = f"the {hook} of the plugin {name!r} failed: {say(error)}"
        raise PluginError(message, plugin=name) from redaction.clean(error)


def _are(values: tuple[Any, ...], types: tuple[type, ...]) -> bool:
    return all(map(isinstance, values, types))


def _wrong_result(plugin: BaseModelPlugin, hook: str, wanted: str, result: Any) -> PluginError:
    name = plugin.metadata.name
    message = f"the {hook} of the plugin {name!r} has to return {wanted}, but returned {type(result).__name__}"
    return PluginError(message, plugin=name)
