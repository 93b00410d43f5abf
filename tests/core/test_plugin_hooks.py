"""Hooks of plugins: what they see, what they may change, in which order they run, and what becomes of their errors."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from llm_framework import (
    BaseModelPlugin,
    Chunk,
    GenerationConfig,
    LLMFramework,
    Message,
    ModelInfo,
    PluginError,
    PluginMetadata,
    RequestTimeoutError,
    ThinkingPart,
    ToolCall,
)
from llm_framework.testing import FakeBackend
from llm_framework.types import ImagePart, TextPart


class Shouting(BaseModelPlugin):
    """Hooks only: adds a mark to the prompt, shouts the answer."""

    name = "shouting"

    @property
    def metadata(self) -> PluginMetadata:
        return PluginMetadata(self.name, "1")

    def supports_model(self, info: ModelInfo) -> bool:
        return info.name == "m"

    async def pre_generate_hook(self, prompt: str, config: GenerationConfig) -> tuple[str, GenerationConfig]:
        return prompt + "!", config

    async def post_generate_hook(self, prompt: str, response: str, config: GenerationConfig) -> str:
        return response.upper()


def with_hook(framework: LLMFramework, hook: str, function: Any, name: str = "shouting") -> None:
    framework.plugin_manager.register_plugin(type("Changed", (Shouting,), {hook: function, "name": name})())


async def test_hooks_see_the_last_user_text_and_change_the_final_response(
    framework: LLMFramework, backend: FakeBackend
) -> None:
    """The pre hook's prompt reaches the model; the post hook's text is the response's; usage is kept."""
    framework.plugin_manager.register_plugin(Shouting())
    history = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
    ]
    response = await framework.generate(history)
    assert response.text == "ONE TWO THREE FOUR"
    assert response.usage.output_tokens == 4
    assert [message.text for message in backend.requests[0].messages] == ["a", "b", "c!"]


async def test_what_is_no_text_is_kept(framework: LLMFramework, backend: FakeBackend) -> None:
    """Images of the prompt, and thoughts, tool calls and finish reason of the answer, stay as they are."""
    call = ToolCall.create("look", {"at": "it"})
    backend.answers = [[Chunk(thinking="Hm."), "so it is", call]]
    framework.plugin_manager.register_plugin(Shouting())
    image = ImagePart(data=b"\x89PNG\r\n\x1a\n", media_type="image/png")
    response = await framework.generate([Message.user(image, TextPart("what?"))], tools=[_tool])
    assert backend.requests[0].messages[0].parts == (image, TextPart("what?!"))
    assert response.message.parts[:2] == (ThinkingPart("Hm."), TextPart("SO IT IS"))
    assert [(made.name, made.arguments) for made in response.tool_calls] == [("look", {"at": "it"})]
    assert response.finish_reason == "tool_calls"


def _tool(at: str) -> str:
    """Look at something."""
    return at


async def test_on_a_stream_the_post_hook_changes_the_final_response_only(framework: LLMFramework) -> None:
    """The chunks are as the model wrote them, the response at the end is as the hook left it."""
    framework.plugin_manager.register_plugin(Shouting())
    chunks = [chunk async for chunk in framework.stream("hi")]
    assert "".join(map(str, chunks)) == "one two three four"
    assert chunks[-1].response is not None
    assert chunks[-1].response.text == "ONE TWO THREE FOUR"


async def test_hooks_run_for_the_models_their_plugin_serves(framework: LLMFramework) -> None:
    """A plugin that does not serve a model does not see its prompts."""
    framework.plugin_manager.register_plugin(Shouting())
    assert await framework.generate_text("hi", model_name="fake:other") == "This is a scripted answer."


async def test_hooks_run_in_order_and_back_again(framework: LLMFramework, backend: FakeBackend) -> None:
    """Pre hooks run in the order of the plugins, post hooks in the reverse one, and both see what the ones before left.

    The prompt of a post hook is the user's; its settings are those that the model was given."""
    seen: list[Any] = []
    for name in ("first", "second"):

        async def pre(
            self: Any, prompt: str, config: GenerationConfig, name: str = name
        ) -> tuple[str, GenerationConfig]:
            return f"{prompt} {name}", replace(config, max_tokens=(config.max_tokens or 0) + 1)

        async def post(self: Any, prompt: str, response: str, config: GenerationConfig, name: str = name) -> str:
            seen.append((name, prompt, config.max_tokens))
            return f"{response} {name}"

        plugin = type("Ordered", (Shouting,), {"pre_generate_hook": pre, "post_generate_hook": post, "name": name})
        framework.plugin_manager.register_plugin(plugin())
    assert await framework.generate_text("hi", max_tokens=1) == "one two three second first"
    assert backend.requests[0].last_user_text == "hi first second"
    assert seen == [("second", "hi", 3), ("first", "hi", 3)]


class Exploding(BaseException):
    """What no `except Exception` catches."""


@pytest.mark.parametrize("error", [ValueError("oops"), SystemExit("oops"), Exploding("oops")], ids=str)
@pytest.mark.parametrize("hook", ["pre_generate_hook", "post_generate_hook"])
async def test_a_hook_that_fails_is_named(framework: LLMFramework, hook: str, error: BaseException) -> None:
    """An error in a hook says which plugin, which hook and which line; the program goes on."""

    async def fail(self: Any, *args: Any) -> Any:
        raise error

    with_hook(framework, hook, fail)
    says = rf"{hook} of the plugin 'shouting' failed: {type(error).__name__}: oops \(.*test_plugin_hooks.py, line \d+\)"
    for _ in range(2):
        with pytest.raises(PluginError, match=says) as caught:
            await framework.generate_text("hi")
    assert caught.value.plugin == "shouting"
    assert (framework.get_performance_stats()["failed_requests"], framework.inference_engine.get_active_requests()) == (
        2,
        [],
    )


async def test_an_error_of_a_post_hook_holds_the_answer(framework: LLMFramework) -> None:
    """What the model wrote is not lost: it is the error's response."""

    async def fail(self: Any, *args: Any) -> Any:
        raise ValueError("oops")

    with_hook(framework, "post_generate_hook", fail)
    with pytest.raises(PluginError) as caught:
        await framework.generate_text("hi")
    assert caught.value.response.text == "one two three four"


@pytest.mark.parametrize(
    ("hook", "result", "says"),
    [
        ("pre_generate_hook", None, r"the prompt \(a str\) and a GenerationConfig, but returned NoneType"),
        ("pre_generate_hook", "text", r"the prompt .*, but returned str"),
        ("pre_generate_hook", ("text", None), r"the prompt .*, but returned tuple"),
        ("post_generate_hook", None, r"the answer \(a str\), but returned NoneType"),
    ],
)
async def test_a_hook_that_returns_something_else_is_named(
    framework: LLMFramework, hook: str, result: Any, says: str
) -> None:
    """What a hook has to return is said, with the plugin's name."""

    async def odd(self: Any, *args: Any) -> Any:
        return result

    with_hook(framework, hook, odd)
    with pytest.raises(PluginError, match=f"{hook} of the plugin 'shouting' has to return {says}"):
        await framework.generate_text("hi")


async def test_a_hook_that_is_not_async_is_named(framework: LLMFramework) -> None:
    """A plain function in a hook's place is told to be async."""
    with_hook(framework, "post_generate_hook", lambda self, *args: "x")
    with pytest.raises(PluginError, match=r"'shouting' failed: TypeError: .*has to be `async def`"):
        await framework.generate_text("hi")


@pytest.mark.parametrize("hook", ["pre_generate_hook", "post_generate_hook"])
async def test_a_hook_counts_against_the_deadline(framework: LLMFramework, hook: str) -> None:
    """A hook that does not come back is cut off by the request's own limit."""

    async def hang(self: Any, *args: Any) -> Any:
        await asyncio.Event().wait()

    with_hook(framework, hook, hang)
    with pytest.raises(RequestTimeoutError):
        await framework.generate_text("hi", timeout=0.2)
