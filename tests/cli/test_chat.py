"""`llm-framework chat` in a real terminal."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import TIMEOUT, Terminal, run, terminal
from servers.chat_server import HANG, ChatServer, Reply, delta, text_stream

INTERRUPT = "\x03"  # Ctrl-C
PREVIOUS = "\x10"  # Ctrl-P, as arrow up
PASTE = "\x1b[200~{}\x1b[201~"  # what a terminal makes of a text that is pasted


@pytest.fixture(autouse=True)
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each test has a history file of its own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "llm-framework" / "chat_history"


def leave(screen: Terminal, at: int) -> None:
    screen.type("/exit\n")
    screen.wait_for("Bye", at)
    assert screen.process.wait(TIMEOUT) == 0


def saved(screen: Terminal, at: int, path: Path) -> list[dict[str, str]]:
    """What the chat itself holds to be the conversation."""
    screen.type(f"/save {path}\n")
    screen.wait_for("Saved as", at)
    messages: list[dict[str, str]] = json.loads(path.read_text(encoding="utf-8"))["messages"]
    return messages


def test_a_conversation() -> None:
    """A chat greets, answers, remembers, says how fast it was, takes commands and leaves with exit code 0."""
    with terminal("chat", "-t", "0") as screen:
        at = screen.wait_for("> ")
        screen.type("My name is Clara.\n")
        at = screen.wait_for("tokens in", at)
        at = screen.wait_for("tokens/s", at)
        screen.type("What is my name?\n")
        at = screen.wait_for("tokens in", at)
        assert screen.screen.count("Clara") >= 3  # typed, greeted, remembered
        screen.type("/clear\n")
        at = screen.wait_for("anew", at)
        leave(screen, at)


def test_no_interrupt_at_the_prompt_is_lost() -> None:
    """However soon after the prompt Ctrl-C comes, it gives a new prompt."""
    with terminal("chat", "-t", "0") as screen:
        at = screen.wait_for("> ")
        for _ in range(30):
            screen.type(INTERRUPT)
            at = screen.wait_for("> ", at)
        screen.type("Hello\n")
        at = screen.wait_for("tokens in", at)
        leave(screen, at)


def test_an_interrupt_takes_what_was_typed_and_nothing_else() -> None:
    """Ctrl-C in a line, or in a text of several, forgets that one."""
    with terminal("chat", "-t", "0") as screen:
        at = screen.wait_for("> ")
        screen.type("Nonsense")
        at = screen.wait_for("Nonsense", at)
        screen.type(INTERRUPT)
        at = screen.wait_for("> ", at)
        screen.type('"""\nmore nonsense\n')
        at = screen.wait_for(". ", screen.wait_for("more nonsense", at))
        screen.type(INTERRUPT)
        at = screen.wait_for("> ", at)
        screen.type("/save\n")
        at = screen.wait_for("nothing to save", at)
        leave(screen, at)


def test_an_interrupt_stops_the_bundled_models_answer(tmp_path: Path, long_answer: tuple[str, ...]) -> None:
    """Ctrl-C in the middle of a long answer stops it; what came counts, and the chat goes on."""
    for _ in range(10):  # the answer takes seconds: where this process sleeps so long, it is there already
        with terminal("chat", *long_answer) as screen:
            at, stopped = screen.wait_for("> "), "as far as it came"
            screen.type("Hello there\n")
            at = screen.wait_for("\n", screen.wait_for("Hello there", at))
            while len(screen.screen) < at + 20:
                assert screen.read()
            screen.type(INTERRUPT)
            ended, at = screen.wait_for_any(stopped, "tokens in", after=at)
            if ended != stopped:
                continue
            said = saved(screen, at, tmp_path / "said.json")
            assert [message["role"] for message in said] == ["user", "assistant"]
            shown = screen.screen.replace("\r", "").replace("^C", "")
            assert said[1]["content"].strip() in shown
            screen.type("/clear\n")
            leave(screen, screen.wait_for("anew", at))
            return
    raise AssertionError("the answer was always there before it could be stopped")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ChatServer]:
    stuck = Reply([delta(role="assistant"), delta(content="The beginning"), HANG])
    with ChatServer(stuck, text_stream("The next answer.")) as server:
        place = {"desk": {"provider": "openai_compatible", "base_url": server.url, "api_key": "sk-none"}}
        monkeypatch.setenv("LLM_FRAMEWORK_API_CREDENTIALS", json.dumps(place))
        yield server


def test_an_interrupt_ends_the_request_of_a_server(server: ChatServer, tmp_path: Path) -> None:
    """Ctrl-C closes the connection of a stream that hangs; the next question has the partial answer before it."""
    with terminal("chat", "desk:m") as screen:
        at = screen.wait_for("> ")
        screen.type("Begin\n")
        at = screen.wait_for("The beginning", at)
        screen.type(INTERRUPT)
        at = screen.wait_for("as far as it came", at)
        assert server.requests[0].disconnected.wait(TIMEOUT)
        screen.type("Go on\n")
        at = screen.wait_for("The next answer.", at)
        sent = [(message["role"], message["content"]) for message in server.requests[1].body["messages"]]
        assert sent == [("user", "Begin"), ("assistant", "The beginning"), ("user", "Go on")]
        leave(screen, screen.wait_for("tokens in", at))


def test_the_history_outlives_the_chat(history: Path) -> None:
    """What was typed in one chat can be called back in the next; nobody else may read it."""
    with terminal("chat", "-t", "0") as screen:
        at = screen.wait_for("> ")
        screen.type("Hello from the first chat\n")
        leave(screen, screen.wait_for("tokens in", at))
    assert stat.S_IMODE(os.stat(history).st_mode) == 0o600
    with terminal("chat", "-t", "0") as screen:
        at = screen.wait_for("> ")
        screen.type(PREVIOUS + PREVIOUS)
        screen.wait_for("Hello from the first chat", at)
        screen.type("\n")
        leave(screen, screen.wait_for("tokens in", at))


def test_no_history_is_kept_unasked(history: Path) -> None:
    """With --no-history nothing of what is typed is written anywhere."""
    with terminal("chat", "-t", "0", "--no-history") as screen:
        at = screen.wait_for("> ")
        screen.type("Hello\n")
        leave(screen, screen.wait_for("tokens in", at))
    assert not history.exists()


def test_a_history_that_cannot_be_written_is_done_without(history: Path) -> None:
    """A chat runs where its history file cannot be."""
    history.parent.parent.mkdir(parents=True)
    history.parent.write_text("in the way")
    with terminal("chat", "-t", "0") as screen:
        at = screen.wait_for("> ")
        screen.type("Hello\n")
        leave(screen, screen.wait_for("tokens in", at))


@pytest.mark.parametrize(
    ("typed", "term"),
    [
        ('"""\nHello\nyou\n"""\n', "dumb"),
        ('"""Hello\nyou"""\n', "dumb"),
        ("Hello\\\nyou\n", "dumb"),
        (PASTE.format("Hello\nyou") + "\n", "xterm"),
    ],
    ids=["block", "short block", "backslash", "pasted"],
)
def test_a_question_of_several_lines(typed: str, term: str, tmp_path: Path) -> None:
    """Several lines make one question: between triple quotes, after a backslash, and where they are pasted."""
    with terminal("chat", "-t", "0", term=term) as screen:
        at = screen.wait_for("> ")
        screen.type(typed)
        at = screen.wait_for("tokens in", at)
        assert saved(screen, at, tmp_path / "said.json")[0] == {"role": "user", "content": "Hello\nyou"}


def test_commands(tmp_path: Path) -> None:
    """/help lists them, /system and /model show and set, /save writes and replaces nothing; a wrong one is told."""
    page = tmp_path / "said.md"
    with terminal("chat", "-t", "0") as screen:
        at = screen.wait_for("> ")
        for typed, shown in [
            ("/help", "/save [FILE]"),
            ("/system", "There is no system prompt."),
            ("/system You are a [bold] helper.", "is: You are a [bold] helper."),
            ("/model", "tiny-chat"),
            ("/model tiny-chatt", "Error:"),
            ("/model native:/nowhere", "/nowhere"),
            ("/sytem", "No command /sytem"),
            ("Hello", "tokens in"),
            (f"/save {page}", f"Saved as {page}"),
            ("/save", f"Saved as {page}"),
            (f"/save {tmp_path}/nowhere/said.md", "cannot be written"),
            ("/clear", "anew"),
            (f"/save {page}", "exists;"),
            ("/system -", "There is no system prompt."),
            ("/save", "nothing to save"),
        ]:
            screen.type(typed + "\n")
            at = screen.wait_for(shown, screen.wait_for(typed, at))
            at = screen.wait_for("> ", at)
        leave(screen, at)
    text = page.read_text(encoding="utf-8")
    assert text.startswith("## system\n\nYou are a [bold] helper.\n\n## you\n\nHello\n\n## tiny-chat\n\n")


def test_the_system_prompt_and_the_model_change_in_the_middle(server: ChatServer) -> None:
    """The next question goes to the model named last, with the system prompt set last and what was said before."""
    server.replies.clear()
    server.replies.append(text_stream("From the desk."))
    with terminal("chat", "-t", "0", "--system", "Be brief.") as screen:
        at = screen.wait_for("> ")
        screen.type("Hello\n")
        at = screen.wait_for("tokens in", at)
        screen.type("/model desk:other\n/system Be long.\nAnd now?\n")
        at = screen.wait_for("From the desk.", at)
        body = server.requests[0].body
        assert body["model"] == "other"
        assert [message["role"] for message in body["messages"]] == ["system", "user", "assistant", "user"]
        assert body["messages"][0]["content"] == "Be long."


def test_tab_completes_commands_and_models() -> None:
    """Tab completes a command's name, and the name of a model."""
    with terminal("chat", term="xterm") as screen:
        at = screen.wait_for("> ")
        screen.type("/mo\ttiny\t\n")
        at = screen.wait_for("/model tiny-chat", at)
        at = screen.wait_for("parameters", at)
        leave(screen, at)


def test_answers_alone_on_a_redirected_output(tmp_path: Path) -> None:
    """Piped input is answered once, on a plain output."""
    assert run("chat", "-t", "0", stdin="Hello").stdout == run("generate", "Hello", "-t", "0").stdout
