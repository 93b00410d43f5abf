from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import threading
from pathlib import Path
from textwrap import dedent

import pytest

from llm_framework import (
    BaseModelPlugin,
    GenerationConfig,
    InvalidRequestError,
    LLMFramework,
    LLMFrameworkError,
    ModelInfo,
    PluginMetadata,
    ProviderUnavailableError,
)
from llm_framework.testing import FakeBackend, Gate


@pytest.fixture
def sync_framework(backend: FakeBackend, tmp_path: Path) -> LLMFramework:
    framework = LLMFramework({"models_dir": str(tmp_path), "default_model": "m"})
    backend.install(framework)
    return framework


def wait_for(condition: object) -> None:
    """Until background work has ended; the test's own timeout is the limit."""
    while not condition():  # type: ignore[operator]
        threading.Event().wait(0.001)


def test_every_method_has_its_blocking_form(sync_framework: LLMFramework, backend: FakeBackend) -> None:
    """`with` starts and closes; `sync` answers without await."""
    with sync_framework as framework:
        assert framework.sync.generate_text("hi") == "one two three four"
        assert framework.sync.generate("hi", max_tokens=1).finish_reason == "length"
        assert [str(chunk) for chunk in framework.sync.generate_text("hi", stream=True)][:2] == ["one", " two"]
        assert framework.sync.generate_batch(["a", "b"]) == ["one two three four"] * 2
        assert framework.sync.get_model_info("m").name == "m"
        assert "m" in [info.name for info in framework.sync.list_models()]
        assert framework.sync.get_performance_stats()["total_requests"] == 5
        assert framework.sync.config is framework.config
        framework.sync.load_model("m")
        framework.sync.unload_model("m")
    assert backend.unloads >= 1


def test_the_view_has_the_facades_methods() -> None:
    """What the facade can do, its view can do."""
    from llm_framework.sync_view import SyncView

    names = {name for name in vars(LLMFramework) if not name.startswith("_")} - {"sync", "stream_request"}
    assert names - set(vars(SyncView)) - {"default_model_name"} == set()


async def test_it_works_inside_a_running_event_loop(sync_framework: LLMFramework) -> None:
    """In a notebook or a coroutine, the blocking form works; the work runs on another loop."""
    assert sync_framework.sync.generate_text("hi") == "one two three four"
    assert await sync_framework.generate_text("hi") == "one two three four"
    sync_framework.sync.close()


def test_many_threads_may_call_at_the_same_time(sync_framework: LLMFramework, backend: FakeBackend) -> None:
    """Threads share the background loop, the model and its limits."""
    texts: list[str] = []
    threads = [
        threading.Thread(target=lambda: texts.append(sync_framework.sync.generate_text("hi"))) for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts == ["one two three four"] * 16
    assert backend.loads == 1


def test_errors_reach_the_caller(sync_framework: LLMFramework, backend: FakeBackend) -> None:
    """A typed error is raised in the caller's thread, in a stream after what had come."""
    backend.answers = [["one", ProviderUnavailableError("down")]]
    stream = sync_framework.sync.stream("hi")
    assert str(next(stream)) == "one"
    with pytest.raises(LLMFrameworkError, match="down"):
        next(stream)
    with pytest.raises(StopIteration):
        next(stream)
    with pytest.raises(InvalidRequestError):
        sync_framework.sync.stream("")


def test_closing_a_stream_waits_until_the_backend_is_done(sync_framework: LLMFramework, backend: FakeBackend) -> None:
    """After `close`, the backend's stream is closed and the slot free."""
    backend.answers = [["one two", Gate()]]
    stream = sync_framework.sync.stream("hi")
    assert str(next(stream)) == "one"
    stream.close()
    assert (backend.active, backend.closed) == (0, 1)
    assert sync_framework.inference_engine.get_active_requests() == []
    with pytest.raises(StopIteration):
        next(stream)
    stream.close()


def test_dropping_a_stream_stops_the_work(sync_framework: LLMFramework, backend: FakeBackend) -> None:
    """A stream that nobody holds any more ends by itself."""
    backend.answers = [["one two", Gate()]]
    stream = sync_framework.sync.stream("hi")
    next(stream)
    del stream
    gc.collect()
    wait_for(lambda: backend.active == 0)
    assert backend.closed == 1


class Asking(BaseModelPlugin):
    """A hook that makes the mistake of calling the blocking form."""

    framework: LLMFramework

    @property
    def metadata(self) -> PluginMetadata:
        return PluginMetadata("asking", "1")

    def supports_model(self, info: ModelInfo) -> bool:
        return True

    async def pre_generate_hook(self, prompt: str, config: GenerationConfig) -> tuple[str, GenerationConfig]:
        return self.framework.sync.generate_text(prompt), config


def test_a_blocking_call_on_the_background_loop_is_an_error(sync_framework: LLMFramework) -> None:
    """A hook that would wait for itself gets an error that says so, and no deadlock."""
    plugin = Asking()
    plugin.framework = sync_framework
    sync_framework.plugin_manager.register_plugin(plugin)
    with pytest.raises(LLMFrameworkError, match="wait for itself"):
        sync_framework.sync.generate_text("hi")


# ------------------------------------------------------------------------------------------------------ whole processes
def run_script(script: str, **variables: str) -> subprocess.CompletedProcess[str]:
    head = """
        import faulthandler, os, signal, sys, threading
        faulthandler.dump_traceback_later(50, exit=True)  # a script that hangs says where
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler, 'Ctrl-C is ignored'
        assert not signal.pthread_sigmask(signal.SIG_BLOCK, []), 'signals are blocked'
        from llm_framework import LLMFramework, ModelInfo
        from llm_framework.testing import FakeBackend, Gate
        framework = LLMFramework({"default_model": "m", "auto_discover_models": False})
        backend = FakeBackend(ModelInfo("m", backend_type="fake"), answers=["one two"])
        backend.install(framework)
    """
    code = dedent(head) + dedent(script)
    environment = {**os.environ, **variables, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_has_a_loop_of_its_own() -> None:
    """After fork, also while a request of the parent is running, the child's calls are answered."""
    done = run_script("""
        backend.answers = ["one two", ["three", Gate()]]
        framework.sync.generate_text("hi")
        open_stream = framework.sync.stream("hi")
        next(open_stream)
        child = os.fork()
        if child == 0:
            backend.answers = ["from child"]
            print(framework.sync.generate_text("hi"), framework.get_performance_stats()["active_requests"], flush=True)
            os._exit(0)
        os.waitpid(child, 0)
        open_stream.close()
        backend.answers = ["from parent"]
        print(framework.sync.generate_text("hi"))
        framework.sync.close()
    """)
    assert (done.stdout.splitlines(), done.stderr) == (["from child 0", "from parent"], "")


def test_an_interrupt_cancels_the_work() -> None:
    """Ctrl-C in a blocking call or stream ends the backend's work before the exception goes on."""
    done = run_script("""
        gate = Gate()
        backend.answers = [["one", gate]]
        def interrupt():
            while not gate._reached.is_set():
                threading.Event().wait(0.001)
            gate._reached.clear()
            os.kill(os.getpid(), signal.SIGINT)
        for call in (framework.sync.generate_text, lambda prompt: list(framework.sync.stream(prompt))):
            threading.Thread(target=interrupt, daemon=True).start()
            interrupted = False
            try:
                call("hi")
            except KeyboardInterrupt:  # while it is handled, its traceback can keep the stream
                interrupted = True
            while backend.active:  # an interrupt between two chunks does not wait for the clean-up
                threading.Event().wait(0.001)
            print(interrupted, backend.active, framework.get_performance_stats()["active_requests"])
    """)
    assert (done.stdout.splitlines(), done.stderr) == (["True 0 0"] * 2, "")


def test_a_process_ends_with_streams_left_open() -> None:
    """Neither an open stream nor an open framework keeps a process from ending, or makes noise there."""
    done = run_script("""
        backend.answers = [["one", Gate()]]
        stream = framework.sync.stream("hi")
        print(next(stream))
    """)
    assert (done.stdout.strip(), done.stderr, done.returncode) == ("one", "", 0)


@pytest.mark.parametrize("model", ["fake:x", "tiny-chat"])
@pytest.mark.parametrize("also_sync", ["", "framework.sync.generate_text('hi')"])
def test_quick_generate_is_closed_at_exit(model: str, also_sync: str) -> None:
    """The shared framework ends with the process, silently, whether or not the background loop was used as well."""
    if model == "tiny-chat":
        pytest.importorskip("llm_framework.native._native")
    script = f"""
        import asyncio
        from llm_framework import quick_generate
        assert asyncio.run(quick_generate("hi", max_tokens=2))
        {also_sync}
        print("answered")
    """
    done = run_script(script, LLM_FRAMEWORK_DEFAULT_MODEL=model)
    assert (done.stdout.strip(), done.stderr, done.returncode) == ("answered", "", 0)


def test_each_asyncio_run_may_use_the_same_framework(sync_framework: LLMFramework) -> None:
    """Event loops come and go; the framework works in each."""
    for _ in range(3):
        assert asyncio.run(sync_framework.generate_text("hi")) == "one two three four"
    asyncio.run(sync_framework.close())
