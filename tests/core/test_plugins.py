"""Where plugins come from, when they are imported, and what becomes of those that cannot be used."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import plugin_files
import pytest
from plugin_files import install, write

import llm_framework
from llm_framework import (
    BaseModelPlugin,
    LLMFramework,
    ModelInfo,
    ModelNotFoundError,
    PluginError,
    PluginManager,
    PluginMetadata,
)
from llm_framework.plugins import PluginStatus
from llm_framework.testing import FakeBackend, Gate

ACME = ModelInfo("x", backend_type="acme")


def code(name: str = "acme") -> str:
    return plugin_files.PLUGIN.format(name=name, dependencies="")


def statuses(manager: PluginManager) -> dict[str, PluginStatus]:
    return {status.name: status for status in manager.list_plugins()}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the import path, for `install`."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    return folder


# --------------------------------------------------------------------------------------------------- found and imported
async def test_a_folder_is_loaded_when_it_is_named(tmp_path: Path) -> None:
    """Files and packages of a named folder become plugins, initialised with their own settings, and serve models."""
    write(tmp_path / "plugins")
    write(tmp_path / "plugins", "pack/__init__.py", name="packed")
    settings = {"plugin_dirs": [str(tmp_path / "plugins")], "plugins": {"acme": {"greeting": "good day"}}}
    async with LLMFramework(settings) as framework:
        assert await framework.generate_text("hi", model_name="acme:anything") == "good day"
        found = statuses(framework.plugin_manager)
    assert set(found) == {"acme", "packed"}
    assert (found["acme"].loaded, found["acme"].version, found["acme"].serves) == (True, "1.2", ("acme",))


def test_listing_imports_nothing(tmp_path: Path) -> None:
    """Finding and listing plugins of folders and installed ones, and starting a framework, imports none of them."""
    write(tmp_path / "plugins", "in_folder.py")
    (tmp_path / "plugins" / "dies.py").write_text("import os; os._exit(7)")
    install(tmp_path, "acme", code())
    program = f"""
import sys
from llm_framework import LLMFramework, PluginManager
print([(status.name, status.state) for status in PluginManager([{str(tmp_path / "plugins")!r}]).list_plugins()])
with LLMFramework({{"plugin_dirs": [{str(tmp_path / "plugins")!r}]}}) as framework:
    framework.list_models()
    print([name for name in sys.modules if "in_folder" in name or "installed_acme" in name])
"""
    source = str(Path(llm_framework.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([source, str(tmp_path)])}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True)
    states = [("dies", "found"), ("in_folder", "found"), ("acme", "found")]
    assert done.stdout.splitlines() == [str(states), "[]"]


async def test_an_installed_plugin_is_imported_when_a_model_needs_it(site: Path) -> None:
    """What its distribution says is listed beforehand; the first request imports it and is answered by it."""
    module = install(site, "acme", code())
    async with LLMFramework({"plugins": {"acme": {"greeting": "from afar"}}}) as framework:
        (found,) = framework.plugin_manager.list_plugins()
        assert (found.state, found.version, found.description) == ("found", "2.1", "serves acme")
        assert (found.author, found.serves, found.source) == ("A. Author", ("acme",), f"{module}:Acme")
        assert module not in sys.modules
        assert await framework.generate_text("hi", model_name="acme:any") == "from afar"
        assert module in sys.modules
        assert statuses(framework.plugin_manager)["acme"].loaded


async def test_a_plugin_is_named_by_file_by_metadata_or_by_what_it_serves(tmp_path: Path) -> None:
    """Before the colon may stand the plugin's name, its backend type, and the name of its file or entry point."""
    write(tmp_path, "my_file.py", name="my-plugin")
    for prefix in ("acme", "my-plugin", "my_file"):
        async with LLMFramework({"plugin_dirs": [str(tmp_path)]}) as framework:
            assert await framework.generate_text("hi", model_name=f"{prefix}:x") == "hello"


async def test_a_model_of_a_plugin_is_known_without_a_request(tmp_path: Path) -> None:
    """Looking a model up by a name that only an imported plugin knows imports it; an unknown one stays unknown."""
    write(tmp_path, "my_file.py")
    framework = LLMFramework({"plugin_dirs": [str(tmp_path)]})
    assert framework.get_model_info("acme:x").backend_type == "acme"
    with pytest.raises(ModelNotFoundError, match="'nobody' is no provider"):
        framework.get_model_info("nobody:x")


async def test_loading_twice_changes_nothing(tmp_path: Path) -> None:
    """A second load leaves loaded plugins as they are."""
    write(tmp_path)
    manager = PluginManager([tmp_path])
    await manager.load_plugins()
    first = manager.get_plugin_for_model(ACME)
    await manager.load_plugins()
    assert manager.get_plugin_for_model(ACME) is first
    assert [status.error for status in manager.list_plugins()] == [None]


async def test_the_order_is_code_folders_installed(site: Path, tmp_path: Path) -> None:
    """Whenever they were found: first those in code, then folders as given, each by file name, then installed ones."""
    install(site, "a-installed", code("a-installed"))
    write(tmp_path / "z", "b.py", name="z/b")
    write(tmp_path / "y", "b.py", name="y/b")
    manager = PluginManager([tmp_path / "z", tmp_path / "y"])
    manager.load_pending()
    write(tmp_path / "z", "a.py", name="z/a")
    await manager.load_plugins()
    plugin = Plugin()
    manager.register_plugin(plugin)
    assert [status.name for status in manager.list_plugins()] == ["p", "z/a", "z/b", "y/b", "a-installed"]
    assert manager.get_plugin_for_model(ModelInfo("x", backend_type="p")) is plugin


async def test_a_plugin_that_was_mended_is_loaded(tmp_path: Path) -> None:
    """What failed is tried again by the next load_plugins, and new files are found."""
    write(tmp_path).write_text("1/0")
    manager = PluginManager([tmp_path])
    await manager.load_plugins()
    assert statuses(manager)["acme"].state == "broken"
    write(tmp_path)
    os.utime(tmp_path / "acme.py", (1, 1))  # or Python would take what it compiled in the same second
    write(tmp_path, "second.py", name="second")
    await manager.load_plugins()
    assert [status.state for status in manager.list_plugins()] == ["loaded", "loaded"]


# --------------------------------------------------------------------------------------------------------------- faults
BROKEN = {
    "syntax": ("def", "broken", "SyntaxError in line 1"),
    "exits": ("import sys; sys.exit(3)", "broken", "SystemExit: 3"),
    "raises": ("\n1/0", "broken", r"ZeroDivisionError: division by zero \(.*raises.py, line 2\)"),
    "worse": ("class E(BaseException): pass\nraise E('oops')", "broken", "E: oops"),
    "interrupts": ("raise KeyboardInterrupt", "broken", "KeyboardInterrupt"),
    "imports": ("import no_such_module", "missing dependency", "the module 'no_such_module', which is not installed"),
    "future": ("from llm_framework import NotYet", "incompatible", "another version of llm-framework"),
    "empty": ("import os", "incompatible", "no subclass of BaseModelPlugin"),
    "binary": ("\0", "broken", "null bytes"),
}
HEAD = "from llm_framework import BaseModelPlugin, PluginMetadata\nclass P(BaseModelPlugin):\n    "
METADATA = {
    "no_metadata": ("pass", "incompatible", "no subclass of BaseModelPlugin with `metadata`"),
    "a_dict": ("metadata = {'name': 'x'}", "incompatible", "has to be a PluginMetadata, but is a dict"),
    "a_method": ("def metadata(self): return None", "incompatible", "is a method: make it a property"),
    "no_tuple": ("metadata = property(lambda s: PluginMetadata('a', '1', supported_backends=('b')))", "incompatible",
                 r"a tuple of texts, not 'b': write \('b',\)"),
    "a_colon": ("metadata = PluginMetadata('a:b', '1')", "broken", "without a colon, not 'a:b'"),
    "new_api": ("metadata = PluginMetadata('a', '1', api_version=99)", "incompatible", "install a newer llm-framework"),
    "missing": ("metadata = PluginMetadata('a', '1', dependencies=['no-such-distribution>=1'])", "missing dependency",
                r"no-such-distribution>=1, which is not installed \(pip install 'no-such-distribution>=1'\)"),
    "too_old": ("metadata = PluginMetadata('a', '1', dependencies=['pydantic>=99'])", "missing dependency",
                "pydantic>=99, but .* is installed"),
    "ours": ("metadata = PluginMetadata('a', '1', dependencies=['llm-framework>=99'])", "missing dependency",
             "llm-framework>=99, but"),
    "nonsense": ("metadata = PluginMetadata('a', '1', dependencies=['>=1 what'])", "incompatible", "no requirement"),
    "init": ("metadata = PluginMetadata('a', '1')\n    def __init__(self): raise ValueError('no')", "broken", "no"),
}  # fmt: skip


async def test_a_broken_plugin_is_reported_and_skipped(tmp_path: Path) -> None:
    """Whatever a plugin's module does wrong, it is listed with its state and fault, and the others are loaded."""
    faults = {**BROKEN, **{name: (HEAD + body, *rest) for name, (body, *rest) in METADATA.items()}}
    for name, (text, *_) in faults.items():
        (tmp_path / f"{name}.py").write_text(text)
    write(tmp_path)
    write(tmp_path, "twin.py")
    manager = PluginManager([tmp_path, tmp_path / "nowhere"])
    await manager.load_plugins()
    found = statuses(manager)
    assert found.pop("acme").loaded
    assert "the plugin name 'acme' is taken by" in str(found.pop("twin").error)
    assert "does not exist" in str(found.pop("nowhere").error)
    assert {name: status.state for name, status in found.items()} == {name: case[1] for name, case in faults.items()}
    for name, (_, _, says) in faults.items():
        with pytest.raises(PluginError, match=says):
            raise PluginError(str(found[name].error))


async def test_a_plugin_whose_import_hangs_is_skipped(tmp_path: Path) -> None:
    """After the time limit it is left behind, and the requests go on."""
    (tmp_path / "hangs.py").write_text("import threading; threading.Event().wait()")
    async with LLMFramework({"plugin_dirs": [str(tmp_path)], "plugin_timeout": 0.3}) as framework:
        assert await framework.generate_text("hi", model_name="fake:x") == "This is a scripted answer."
        (found,) = framework.plugin_manager.list_plugins()
    assert (found.state, found.error) == ("slow", "its import took more than 0.3 s (plugin_timeout)")


async def test_one_of_two_plugins_in_a_file_may_be_broken(tmp_path: Path) -> None:
    """A class that cannot be used takes nothing from the other one in its file."""
    write(tmp_path, more=f"\n{HEAD.splitlines()[1]}\n    metadata = 1\n")
    manager = PluginManager([tmp_path])
    await manager.load_plugins()
    assert {name: status.state for name, status in statuses(manager).items()} == {
        "acme": "loaded",
        "acme.P": "incompatible",
    }


@pytest.mark.parametrize(
    ("code", "attribute", "says"),
    [
        ("x = 1", "", "names a module: name a class"),
        ("Acme = 1", "Acme", "names a int"),
        ("class Acme: pass", "Acme", "no subclass of BaseModelPlugin"),
        ("from llm_framework import BaseModelPlugin as Acme", "Acme", "does not define metadata"),
        ("Acme = lambda: 7", "Acme", "no BaseModelPlugin but a int"),
        ("", "Gone", "no attribute 'Gone'"),
    ],
)
async def test_an_entry_point_that_names_no_plugin_is_reported(
    site: Path, code: str, attribute: str, says: str
) -> None:
    """Whatever an entry point leads to, it is said what it has to lead to."""
    module = install(site, "odd", code, attribute=attribute)
    if not attribute:
        (site / f"{module}-2.1.dist-info" / "entry_points.txt").write_text(f"[llm_framework.plugins]\nodd={module}\n")
    sys.modules.pop(module, None)
    manager = PluginManager()
    assert manager.get_plugin_for_model(ACME) is None
    assert says in str(statuses(manager)["odd"].error)


async def test_a_model_whose_plugin_is_broken_says_why(tmp_path: Path) -> None:
    """The request names the plugin and its fault; models that do not need it are answered."""
    (tmp_path / "acme.py").write_text("import no_such_module")
    async with LLMFramework({"plugin_dirs": [str(tmp_path)], "default_model": "fake:x"}) as framework:
        assert await framework.generate_text("hi") == "This is a scripted answer."
        with pytest.raises(PluginError, match=r"needs the plugin 'acme' \(.*acme.py\), which cannot be used: .*module"):
            await framework.generate_text("hi", model_name="acme:x")


async def test_a_broken_plugin_takes_no_provider_away(tmp_path: Path) -> None:
    """A plugin that is named as a built-in backend neither stands in for it, nor blocks it by its fault."""
    (tmp_path / "fake.py").write_text("1/0")
    write(tmp_path, "acme.py", name="native")
    async with LLMFramework({"plugin_dirs": [str(tmp_path)]}) as framework:
        assert await framework.generate_text("hi", model_name="fake:x") == "This is a scripted answer."
        assert framework.get_model_info("native:tiny-chat").backend_type == "native"


async def test_settings_for_nobody_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A plugin's name that is misspelt in the settings is a warning with the nearest one."""
    write(tmp_path)
    settings = {"plugin_dirs": [str(tmp_path)], "plugins": {"acmee": {}}}
    with caplog.at_level(logging.WARNING):
        async with LLMFramework(settings) as framework:
            await framework.generate_text("hi", model_name="acme:x")
    assert "names 'acmee', and there is no such plugin; did you mean 'acme'?" in caplog.text


# ----------------------------------------------------------------------------------------------------------- life cycle
class Plugin(BaseModelPlugin):
    """Hooks and models by script."""

    name = "p"
    prefixes: tuple[str, ...] = ("p",)

    def __init__(self) -> None:
        self.calls: list[Any] = []

    @property
    def metadata(self) -> PluginMetadata:
        return PluginMetadata(self.name, "1", supported_backends=self.prefixes)

    async def create_backend(self, info: ModelInfo) -> FakeBackend | None:
        return FakeBackend(info, answers=["fine"])

    async def initialize(self, config: Mapping[str, Any]) -> None:
        self.calls.append(("initialize", dict(config)))

    async def shutdown(self) -> None:
        self.calls.append("shutdown")


def with_plugins(*plugins: BaseModelPlugin, **config: Any) -> LLMFramework:
    framework = LLMFramework({"default_model": "p:x", "max_retries": 0, **config})
    for plugin in plugins:
        framework.plugin_manager.register_plugin(plugin)
    return framework


async def test_initialize_is_called_once_and_before_anything_else() -> None:
    """Of many first requests, on two event loops, one initialises the plugin, and all wait for it."""

    class Slow(Plugin):
        gate = Gate()
        is_ready = False

        async def initialize(self, config: Mapping[str, Any]) -> None:
            await super().initialize(config)
            await self.gate.pass_through()
            self.is_ready = True

        async def create_backend(self, info: ModelInfo) -> FakeBackend | None:
            assert self.is_ready
            return await super().create_backend(info)

    plugin = Slow()
    async with with_plugins(plugin, plugins={"p": {"a": 1}}) as framework:
        mine = [asyncio.ensure_future(framework.generate_text("hi")) for _ in range(5)]
        await plugin.gate.reached()
        elsewhere = asyncio.get_running_loop().run_in_executor(None, framework.sync.generate_text, "hi")
        mine.pop(0).cancel()  # the first one has gone; the others must not wait for nothing
        plugin.gate.open()
        assert await asyncio.gather(*mine, elsewhere) == ["fine"] * 5
    assert plugin.calls == [("initialize", {"a": 1}), "shutdown"]


class Exploding(BaseException):
    """What no `except Exception` catches, as a compiled extension may raise it."""


@pytest.mark.parametrize(
    ("error", "state", "says"),
    [
        (ValueError("no licence"), "broken", "initialize failed: ValueError: no licence"),
        (SystemExit(3), "broken", "initialize failed: SystemExit: 3"),
        (Exploding("boom"), "broken", "initialize failed: Exploding: boom"),
        (asyncio.CancelledError(), "broken", "initialize was cancelled from within"),
        (ImportError("No module named 'x'", name="x"), "broken", "initialize failed: ImportError"),
    ],
)
async def test_a_plugin_that_cannot_start_is_skipped(error: BaseException, state: str, says: str) -> None:
    """Whatever initialize raises, the plugin is reported with it and skipped, and the program goes on."""

    class Failing(Plugin):
        async def initialize(self, config: Mapping[str, Any]) -> None:
            raise error

    async with with_plugins(Failing()) as framework:
        assert await framework.generate_text("hi", model_name="fake:x") == "This is a scripted answer."
        found = statuses(framework.plugin_manager)["p"]
        assert (found.state, found.loaded) == (state, False)
        assert says in str(found.error)
        with pytest.raises(PluginError, match="needs the plugin 'p'"):
            await framework.generate_text("hi")


async def test_a_plugin_that_never_gets_ready_is_skipped() -> None:
    """After the time limit the requests go on without it, also where it does not let itself be cancelled."""
    stop = asyncio.Event()

    class Hanging(Plugin):
        async def initialize(self, config: Mapping[str, Any]) -> None:
            while not stop.is_set():
                try:
                    await stop.wait()
                except asyncio.CancelledError:
                    pass

    async with with_plugins(Hanging(), plugin_timeout=0.2) as framework:
        assert await framework.generate_text("hi", model_name="fake:x") == "This is a scripted answer."
        found = statuses(framework.plugin_manager)["p"]
        assert (found.state, found.error) == ("slow", "initialize took more than 0.2 s (plugin_timeout)")
    stop.set()


async def test_a_key_in_an_error_of_a_plugin_is_hidden() -> None:
    """What a plugin raises may repeat its settings; what is listed and raised does not hold their secrets."""

    class Telling(Plugin):
        async def initialize(self, config: Mapping[str, Any]) -> None:
            raise ValueError(f"bad key {config['api_key']}")

    key = "plugin-secret-8f3a77"
    async with with_plugins(Telling(), plugins={"p": {"api_key": key}}) as framework:
        with pytest.raises(PluginError) as caught:
            await framework.generate_text("hi")
        assert key not in str(caught.value)
        assert "bad key" in str(statuses(framework.plugin_manager)["p"].error)
        assert key not in str(framework.plugin_manager.list_plugins())


async def test_plugins_are_shut_down_with_the_framework() -> None:
    """Closing the framework shuts its plugins down; using it again initialises them again."""
    plugin = Plugin()
    framework = with_plugins(plugin)
    for _ in range(2):
        await framework.generate_text("hi")
        await framework.close()
    assert plugin.calls == [("initialize", {}), "shutdown"] * 2


async def test_errors_in_shutdown_hide_no_other(caplog: pytest.LogCaptureFixture) -> None:
    """Every plugin is shut down, the last one first, whatever the others raise; each fault is a warning."""
    order: list[str] = []

    def plugin(named: str, error: BaseException | None) -> Plugin:
        class Leaving(Plugin):
            name, prefixes = named, (named,)

            async def shutdown(self) -> None:
                order.append(named)
                if error is not None:
                    raise error

        return Leaving()

    framework = with_plugins(plugin("p", None), plugin("q", ValueError("oops")), plugin("r", SystemExit(2)))
    await framework.generate_text("hi")
    await framework.close()
    assert order == ["r", "q", "p"]
    assert "the plugin 'q': shutdown failed: ValueError: oops" in caplog.text
    assert "the plugin 'r': shutdown failed: SystemExit: 2" in caplog.text


@pytest.mark.parametrize("error", [ValueError("oops"), SystemExit(2), Exploding("boom")])
async def test_a_plugin_that_makes_no_backend_is_named(error: BaseException) -> None:
    """What create_backend raises ends the request, with the plugin's name, and not the program."""

    class Failing(Plugin):
        async def create_backend(self, info: ModelInfo) -> FakeBackend | None:
            raise error

    async with with_plugins(Failing()) as framework:
        says = f"plugin 'p' could not create a backend for 'p:x': {type(error).__name__}"
        with pytest.raises(PluginError, match=says):
            await framework.generate_text("hi")


async def test_what_is_no_backend_is_told() -> None:
    """create_backend has to return a ModelBackend, and to be async."""

    class Wrong(Plugin):
        async def create_backend(self, info: ModelInfo) -> Any:
            return "no backend"

    class NotAsync(Plugin):
        def create_backend(self, info: ModelInfo) -> Any:  # type: ignore[override]
            return FakeBackend(info)

    for plugin, says in ((Wrong(), "returned a str, which is no ModelBackend"), (NotAsync(), "has to be `async def`")):
        async with with_plugins(plugin) as framework:
            with pytest.raises(PluginError, match=says):
                await framework.generate_text("hi")


async def test_a_plugin_that_cannot_say_what_it_serves_serves_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """An error in supports_model is a warning, once, and the model is asked of the others."""

    class Confused(Plugin):
        name, prefixes = "confused", ()

        def supports_model(self, info: ModelInfo) -> bool:
            raise Exploding("what?")

    async with with_plugins(Confused(), Plugin()) as framework:
        for _ in range(2):
            assert await framework.generate_text("hi") == "fine"
    assert caplog.text.count("the plugin 'confused': supports_model failed: Exploding: what?") == 1


def test_a_plugin_that_cannot_be_registered_says_why() -> None:
    """Registering in code raises what a file would be listed with."""
    manager = PluginManager()
    manager.register_plugin(Plugin())
    with pytest.raises(PluginError, match="Plugin cannot be registered: the plugin name 'p' is taken by code"):
        manager.register_plugin(Plugin())
    with pytest.raises(PluginError, match="it is no BaseModelPlugin but a int"):
        manager.register_plugin(1)  # type: ignore[arg-type]


async def test_threads_that_list_and_load_at_once_agree(tmp_path: Path) -> None:
    """Many threads that ask for the first time import each plugin once."""
    for number in range(5):
        write(tmp_path, f"p{number}.py", name=f"p{number}")
    manager = PluginManager([tmp_path])
    found: list[Any] = []

    def ask() -> None:
        manager.list_plugins()
        found.append(manager.get_plugin_for_model(ACME))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, found))) == 1
    assert [status.state for status in manager.list_plugins()] == ["loaded"] * 5
