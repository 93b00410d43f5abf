"""What a shell sees of the command line: completion, exit codes, signals and pipes."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from command_line import COMMAND, TIMEOUT, Terminal, run, terminal
from servers.chat_server import HANG, ChatServer, Reply, delta

import llm_framework

BASH = shutil.which("bash")
needs_bash = pytest.mark.skipif(BASH is None, reason="bash is not installed")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with nothing in it, and the command under its own name on the path."""
    program = tmp_path / "bin" / "llm-framework"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {" ".join(COMMAND)} "$@"\n')
    program.chmod(0o755)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setenv("PS1", "ready$ ")
    return home


@contextmanager
def bash() -> Iterator[Terminal]:
    assert BASH is not None
    with terminal("--norc", "--noprofile", "-i", command=[BASH]) as screen:
        screen.wait_for("ready$ ")
        yield screen


def completes(screen: Terminal, typed: str, whole: str) -> None:
    """What is typed becomes the whole line when Tab is pressed, and nothing is complained of."""
    at = len(screen.screen)
    screen.type(f"{typed}\t")
    screen.wait_for(whole, at)
    screen.type("\x15")  # takes the line away


@needs_bash
def test_completion_in_bash(home: Path) -> None:
    """--show-completion teaches the running shell commands, options and the names of models."""
    with bash() as screen:
        screen.type('eval "$(llm-framework --show-completion)"; echo taught\n')
        screen.wait_for("taught", screen.wait_for("taught"))
        completes(screen, "llm-framework doc", "llm-framework doctor")
        completes(screen, "llm-framework bench --pl", "llm-framework bench --plot")
        completes(screen, "llm-framework chat tiny", "llm-framework chat tiny-chat")
        completes(screen, "llm-framework generate Hello -m ti", "generate Hello -m tiny-chat")
        completes(screen, "llm-framework models info ti", "models info tiny-chat")


@needs_bash
def test_completion_is_installed(home: Path) -> None:
    """--install-completion writes what bash reads when it starts, below the user's home."""
    with bash() as screen:
        screen.type("llm-framework --install-completion; echo status $?\n")
        screen.wait_for("status 0")
    assert "llm-framework" in (home / ".bashrc").read_text()
    (script,) = (home / ".bash_completions").iterdir()
    assert "_LLM_FRAMEWORK_COMPLETE" in script.read_text()


@needs_bash
def test_a_broken_configuration_completes_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Completion says nothing where the configuration is broken: nobody wants an error in the line being typed."""
    monkeypatch.setenv("LLM_FRAMEWORK_MAX_RETRIES", "many")
    monkeypatch.setenv("_LLM_FRAMEWORK_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "llm-framework chat ti")
    monkeypatch.setenv("COMP_CWORD", "2")
    done = run()
    assert (done.stdout.strip(), done.stderr) == ("", "")


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> Iterator[ChatServer]:
    """A server whose answers begin and never end."""
    with ChatServer(Reply([delta(role="assistant"), delta(content="The beginning"), HANG])) as server:
        place = {"desk": {"provider": "openai_compatible", "base_url": server.url, "api_key": "sk-none"}}
        monkeypatch.setenv("LLM_FRAMEWORK_API_CREDENTIALS", json.dumps(place))
        yield server


def test_an_interrupted_command_exits_with_130(stuck: ChatServer) -> None:
    """A signal in an answer ends the command at once, with 130 and without a traceback, and closes the connection."""
    command = [*COMMAND, "generate", "Hello", "-m", "desk:m"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.read(13) == b"The beginning"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=TIMEOUT)
    assert (process.returncode, errors) == (130, b"")
    assert stuck.requests[0].disconnected.wait(TIMEOUT)


def test_an_interrupt_at_a_terminal(stuck: ChatServer) -> None:
    """Ctrl-C on a terminal does the same."""
    with terminal("generate", "Hello", "-m", "desk:m") as screen:
        screen.wait_for("The beginning")
        screen.type("\x03")
        while screen.read():
            pass
        assert screen.process.wait(TIMEOUT) == 130
        assert "Traceback" not in screen.screen


@needs_bash
@pytest.mark.parametrize(
    "arguments", [("generate", "Hello there"), ("config",), ("config", "schema"), ("models",), ("--help",)]
)
def test_a_reader_that_goes_away(arguments: tuple[str, ...], long_answer: tuple[str, ...]) -> None:
    """Output into a closed pipe ends quietly, whatever the command."""
    assert BASH is not None
    options = long_answer if arguments[0] == "generate" else ()
    command = subprocess.list2cmdline([*COMMAND, *arguments, *options])
    done = subprocess.run(
        [BASH, "-c", f"{command} | true"], capture_output=True, text=True, timeout=TIMEOUT, check=False
    )
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--version",), 0),
        (("--help",), 0),
        (("generate", "Hello", "-n", "2"), 0),
        (("generate", "Hello", "-m", "nobody"), 1),
        (("config", "-c", "/nowhere.yaml"), 1),
        ((), 2),
        (("no-such-command",), 2),
        (("bench", "--rounds", "0"), 2),
        (("bench", "--rounds", "many"), 2),
    ],
)
def test_exit_codes(arguments: tuple[str, ...], code: int) -> None:
    """0 is success, 1 a request that failed, 2 wrong usage; only the last two say something on standard error."""
    done = run(*arguments)
    assert done.returncode == code
    assert bool(done.stderr) == (code != 0) or not arguments
    assert "Traceback" not in done.stderr


def test_the_version() -> None:
    """--version prints the name and the version, however the command is called."""
    assert run("--version").stdout == f"llm-framework {llm_framework.__version__}\n"
    assert sys.executable not in run("--help").stdout
