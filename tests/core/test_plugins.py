from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from llm_framework import (
    BaseModelPlugin,
    GenerationConfig,
    LLMFramework,
    ModelInfo,
    PluginError,
    PluginManager,
    PluginMetadata,
    plugins,
)
from llm_framework.testing import FakeBackend

PLUGIN = """
from llm_framework import BaseModelPlugin, PluginMetadata
from llm_framework.testing import FakeBackend

class Acme(BaseModelPlugin):
    @property
    def metadata(self):
        return PluginMetadata("{name}", "1.2", "says hello", "someone", ("acme",), ({dependencies}))

    async def initialize(self, config):
        self.greeting = config.get("greeting", "hello")

    async def create_backend(self, info):
        return FakeBackend(info, answers=[self.greeting])
"""


class Shouting(BaseModelPlugin):
    """Hooks only: adds a mark to the prompt, shouts the answer."""

    @property
    def metadata(self) -> PluginMetadata:
        return PluginMetadata("shouting", "1")

    def supports_model(self, info: ModelInfo) -> bool:
        return info.name == "m"

    async def pre_generate_hook(self, prompt: str, config: GenerationConfig) -> tuple[str, GenerationConfig]:
        return prompt + "!", config

    async def post_generate_hook(self, prompt: str, response: str, config: GenerationConfig) -> str:
        return response.upper()


def write(folder: Path, file: str = "acme.py", name: str = "acme", dependencies: str = "") -> Path:
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dedent(PLUGIN.format(name=name, dependencies=dependencies)))
    return path


async def test_a_folder_is_loaded_when_it_is_named(tmp_path: Path) -> None:
    """Files and packages of a named folder become plugins, initialised with their own settings, and serve models."""
    write(tmp_path / "plugins")
    write(tmp_path / "plugins", "pack/__init__.py", name="packed")
    settings = {"plugin_dirs": [str(tmp_path / "plugins")], "plugins": {"acme": {"greeting": "good day"}}}
    async with LLMFramework(settings) as framework:
        assert await framework.generate_text("hi", model_name="acme:anything") == "good day"
        statuses = {status.name: status for status in framework.plugin_manager.list_plugins()}
    assert set(statuses) == {"acme", "packed"}
    assert (statuses["acme"].loaded, statuses["acme"].version) == (True, "1.2")


async def test_a_broken_plugin_is_reported_and_skipped(tmp_path: Path) -> None:
    """Whatever a plugin file does wrong, it is listed with its error, and the others are loaded."""
    write(tmp_path)
    (tmp_path / "syntax.py").write_text("def")
    (tmp_path / "leaves.py").write_text("import sys; sys.exit(3)")
    (tmp_path / "raises.py").write_text("1/0")
    write(tmp_path, "twin.py")
    write(tmp_path, "needy.py", name="needy", dependencies="'no-such-distribution>=1',")
    manager = PluginManager([tmp_path, tmp_path / "nowhere"])
    await manager.load_plugins()
    errors = {status.name: status.error for status in manager.list_plugins()}
    assert errors.pop("acme") is None
    assert set(errors) == {"syntax", "leaves", "raises", "twin", "needy", "nowhere"}
    assert "ZeroDivisionError" in str(errors["raises"])
    assert "no-such-distribution" in str(errors["needy"])


async def test_loading_twice_changes_nothing(tmp_path: Path) -> None:
    """A second load leaves loaded plugins as they are."""
    write(tmp_path)
    manager = PluginManager([tmp_path])
    await manager.load_plugins()
    first = manager.get_plugin_for_model(ModelInfo("x", backend_type="acme"))
    await manager.load_plugins()
    assert manager.get_plugin_for_model(ModelInfo("x", backend_type="acme")) is first
    assert [status.error for status in manager.list_plugins()] == [None]


async def test_entry_points_are_listed_without_being_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed plugin is imported when a model is first asked for, not when plugins are listed."""
    write(tmp_path, "installed_plugin.py")
    monkeypatch.syspath_prepend(str(tmp_path))
    points = [
        EntryPoint("acme", "installed_plugin:Acme", plugins.GROUP),
        EntryPoint("gone", "no_such_module:X", plugins.GROUP),
    ]
    monkeypatch.setattr(plugins, "entry_points", lambda group: points)
    manager = PluginManager()
    await manager.load_plugins()
    assert [(status.name, status.loaded) for status in manager.list_plugins()] == [("acme", False), ("gone", False)]
    assert "installed_plugin" not in sys.modules
    assert manager.get_plugin_for_model(ModelInfo("x", backend_type="acme")) is not None
    assert [status.name for status in manager.list_plugins() if status.error] == ["gone"]


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


@pytest.mark.parametrize("hook", ["pre_generate_hook", "post_generate_hook"])
async def test_a_hook_that_fails_is_named(framework: LLMFramework, hook: str) -> None:
    """An error in a hook says which plugin and which hook."""

    async def fail(self: Any, *args: Any) -> Any:
        raise ValueError("oops")

    framework.plugin_manager.register_plugin(type("Failing", (Shouting,), {hook: fail})())
    with pytest.raises(PluginError, match=f"{hook} of the plugin 'shouting' failed: ValueError: oops") as caught:
        await framework.generate_text("hi")
    assert caught.value.plugin == "shouting"


async def test_a_plugin_that_cannot_start_is_skipped(framework: LLMFramework) -> None:
    """Where initialize fails, the plugin is reported and its hooks do not run."""

    async def fail(self: Any, config: Any) -> None:
        raise ValueError("no licence")

    framework.plugin_manager.register_plugin(type("Failing", (Shouting,), {"initialize": fail})())
    assert await framework.generate_text("hi") == "one two three four"
    assert "no licence" in str([status.error for status in framework.plugin_manager.list_plugins()])


async def test_plugins_are_shut_down_with_the_framework(framework: LLMFramework) -> None:
    """Closing the framework shuts its plugins down; using it again initialises them again."""
    calls: list[str] = []

    async def initialize(self: Any, config: Any) -> None:
        calls.append("initialize")

    async def shutdown(self: Any) -> None:
        calls.append("shutdown")

    plugin = type("Counting", (Shouting,), {"initialize": initialize, "shutdown": shutdown})()
    framework.plugin_manager.register_plugin(plugin)
    for _ in range(2):
        await framework.generate_text("hi")
        await framework.close()
    assert calls == ["initialize", "shutdown"] * 2
