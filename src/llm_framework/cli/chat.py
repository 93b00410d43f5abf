"""`llm-framework chat`: a conversation in a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer
from rich.console import Console
from rich.markup import escape

from ..errors import InvalidRequestError, LLMFrameworkError, RequestCancelledError
from . import transcript
from .app import app
from .common import describe, messages_of, open_framework, print_stream
from .interrupts import Interrupts
from .line_editor import LineEditor, history_path
from .options import ConfigOption, MaxTokens, ModelArgument, ModelOption, Seed, System, Temperature, one_model
from .standard_input import is_terminal, read_prompt

if TYPE_CHECKING:
    from ..framework import LLMFramework
    from ..inputs import GenerateOptions
    from ..registry import ModelInfo
    from ..types import Chunk, InferenceResponse, Message


@app.command()
def chat(
    model: ModelArgument = None,
    model_option: ModelOption = None,
    system: System = None,
    max_tokens: MaxTokens = None,
    temperature: Temperature = None,
    seed: Seed = None,
    history: Annotated[bool, typer.Option(help="Keep what is typed for the next chat (arrow up, Ctrl-R).")] = True,
    config: ConfigOption = None,
) -> None:
    """Talk to a model. Piped input is answered once. In a chat, /help lists the commands; Ctrl-C stops an answer."""
    model = one_model(model, model_option)
    options: GenerateOptions = {"model_name": model, "max_tokens": max_tokens, "temperature": temperature, "seed": seed}
    with open_framework(config) as framework:
        if not is_terminal():
            print_stream(framework.sync.stream(messages_of(system, read_prompt("-")), **options))
            return
        with Interrupts():
            _Chat(framework, system, options, history_path() if history else None).run()


class _Command(NamedTuple):
    """What may be typed in a chat instead of a question."""

    arguments: str
    help: str
    run: Callable[[str], None]


class _Leave(Exception):
    """The user wants to go."""


class _Chat:
    """A conversation in a terminal: what was said, and the loop around it."""

    def __init__(
        self, framework: LLMFramework, system: str | None, options: GenerateOptions, history: Path | None
    ) -> None:
        self.framework = framework
        self.system = system
        self.options = options
        self.said: list[Message] = []
        self.saved_as: Path | None = None
        self.console = Console(highlight=False, stderr=not sys.stdout.isatty())
        self.commands = {
            "/model": _Command("[NAME]", "answer with another model; without a name: which one it is", self._model),
            "/system": _Command("[TEXT]", "set the system prompt ('-': none); without a text: show it", self._system),
            "/save": _Command("[FILE]", "write the conversation as Markdown, or .json", self._save),
            "/clear": _Command("", "start anew; the system prompt stays", self._clear),
            "/help": _Command("", "show this", self._help),
            "/exit": _Command("", "leave (also Ctrl-D)", self._exit),
        }
        self.commands_too = {"/quit": "/exit", "/bye": "/exit", "/?": "/help"}
        self.editor = LineEditor(self._complete, history)

    @property
    def messages(self) -> list[Message]:
        """The conversation so far, the system prompt first."""
        from ..types import Message

        return ([Message.system(self.system)] if self.system else []) + self.said

    def run(self) -> None:
        """Read, answer, until the user leaves."""
        self._use(self.options.get("model_name") or self.framework.default_model_name())
        self._dim("/help shows the commands, /exit leaves, Ctrl-C stops an answer.")
        while True:
            try:
                self._turn()
            except KeyboardInterrupt:  # wherever it comes, it ends what is being done and never the chat
                self.console.print()
            except LLMFrameworkError as error:
                self.console.print(f"[bold red]Error:[/] {escape(str(error))}")
            except _Leave:
                self._dim("Bye.")
                return

    def _turn(self) -> None:
        self.console.print()
        line = self.editor.read()
        if line is None:
            self.console.print()
            raise _Leave
        if line.startswith("/"):
            self._command(line)
        elif line.strip():
            self._answer(line.strip())

    # ------------------------------------------------------------------------------------------------- the answers
    def _answer(self, line: str) -> None:
        from ..types import Message

        question = Message.user(line)
        pieces: list[str] = []
        started = time.monotonic()
        try:
            with self.framework.sync.stream([*self.messages, question], **self.options) as stream:
                last = print_stream(_kept(stream, pieces))
        except (KeyboardInterrupt, RequestCancelledError):
            self._stopped(question, "".join(pieces))
            return
        if last is None or last.response is None:
            return
        self.said += [question, last.response.message]
        self._figures(last.response, time.monotonic() - started)

    def _stopped(self, question: Message, text: str) -> None:
        """The conversation holds what stands on the screen."""
        from ..types import Message

        self.console.print()
        if text.strip():
            self.said += [question, Message.assistant(text)]
            self._dim("stopped; the answer counts as far as it came")
        else:
            self._dim("stopped; the question is forgotten")

    def _figures(self, response: InferenceResponse, seconds: float) -> None:
        tokens, decode = response.usage.output_tokens, response.timings.decode
        rate = f", {(tokens - 1) / decode:.0f} tokens/s" if tokens > 1 and decode > 0 else ""
        cut = ", cut at the limit" if response.finish_reason == "length" else ""
        self._dim(f"{tokens} tokens in {seconds:.1f} s{rate}{cut}")

    # ------------------------------------------------------------------------------------------------ the commands
    def _command(self, line: str) -> None:
        name, _, argument = line.partition(" ")
        command = self.commands.get(self.commands_too.get(name, name))
        if command is None:
            self._dim(f"No command {name}; /help lists them. A question may begin with a space.")
        else:
            command.run(argument.strip())

    def _model(self, name: str) -> None:
        if name:
            self._use(name)
        else:
            self._introduce(self.framework.get_model_info(self.options["model_name"] or ""))

    def _use(self, name: str) -> None:
        info = self.framework.get_model_info(name)
        if info.error is not None:
            raise InvalidRequestError(f"the model {info.name!r} cannot be used: {info.error}")
        self.options["model_name"] = info.name
        self._introduce(info)

    def _introduce(self, info: ModelInfo) -> None:
        self.console.print(f"[bold]{escape(info.name)}[/] [dim]{escape(describe(info))}[/]")

    def _system(self, text: str) -> None:
        if text:
            self.system = None if text == "-" else text
        self._dim(f"The system prompt is: {self.system}" if self.system else "There is no system prompt.")

    def _save(self, name: str) -> None:
        if not self.messages:
            raise InvalidRequestError("there is nothing to save yet")
        path = Path(name).expanduser() if name else self.saved_as or Path(transcript.default_name())
        if path.exists() and path != self.saved_as:
            raise InvalidRequestError(f"{path} exists; give another name")
        transcript.save(self.messages, self.options["model_name"] or "", path)
        self.saved_as = path
        self._dim(f"Saved as {path}.")

    def _clear(self, argument: str) -> None:
        self.said = []
        self.saved_as = None
        self._dim("The conversation starts anew.")

    def _help(self, argument: str) -> None:
        for name, command in self.commands.items():
            self._dim(f"{name + ' ' + command.arguments:<16}{command.help}")
        self._dim(f"{'Ctrl-C':<16}stop an answer; what came of it counts")
        self._dim('A line that ends with \\ goes on in the next; """ begins and ends a text of several lines.')

    def _exit(self, argument: str) -> None:
        raise _Leave

    def _complete(self, line: str, word: str) -> list[str]:
        if line == word:
            names = [name + (" " if command.arguments else "") for name, command in self.commands.items()]
            return names if word.startswith("/") else []
        if line.startswith("/model "):
            return [info.name for info in self.framework.list_models()]
        return []

    def _dim(self, text: str) -> None:
        self.console.print(f"[dim]{escape(text)}[/]", soft_wrap=True)


def _kept(stream: Iterator[Chunk], pieces: list[str]) -> Iterator[Chunk]:
    """The same chunks; their texts are kept in `pieces`, also where the rest never comes."""
    for chunk in stream:
        pieces.append(chunk.text)
        yield chunk
