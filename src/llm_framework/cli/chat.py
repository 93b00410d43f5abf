"""`llm-framework chat`: a conversation in a terminal."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from ..errors import LLMFrameworkError, RequestCancelledError
from .app import app
from .common import describe, messages_of, open_framework, print_stream, read_prompt
from .options import ConfigOption, MaxTokens, Seed, System, Temperature

if TYPE_CHECKING:
    from ..framework import LLMFramework
    from ..inputs import GenerateOptions
    from ..types import InferenceResponse, Message


@app.command()
def chat(
    model: Annotated[str | None, typer.Argument(help="Model name (default: the best one found).")] = None,
    system: System = None,
    max_tokens: MaxTokens = None,
    temperature: Temperature = None,
    seed: Seed = None,
    config: ConfigOption = None,
) -> None:
    """Talk to a model. Piped input is answered once. In a chat: /help, /clear, /exit; Ctrl-C stops an answer."""
    options: GenerateOptions = {"model_name": model, "max_tokens": max_tokens, "temperature": temperature, "seed": seed}
    with open_framework(config) as framework:
        if not sys.stdin.isatty():
            print_stream(framework.sync.stream(messages_of(system, read_prompt("-")), **options))
            return
        _Chat(framework, system, options).run()


class _Chat:
    """A conversation in a terminal: its history, and the loop around it."""

    def __init__(self, framework: LLMFramework, system: str | None, options: GenerateOptions) -> None:
        self.framework = framework
        self.system = system
        self.options = options
        self.history: list[Message] = []
        self.console = Console(highlight=False)
        self.clear()

    def clear(self) -> None:
        """Forget what was said, keep the system prompt."""
        from ..types import Message

        self.history = [Message.system(self.system)] if self.system else []

    def run(self) -> None:
        """Read, answer, until the user leaves."""
        self._greet()
        while (line := self._read()) is not None:
            if line.startswith("/"):
                if not self._command(line):
                    break
            elif line:
                self._answer(line)
        self.console.print("[dim]Bye.[/]")

    def _greet(self) -> None:
        info = self.framework.get_model_info(self.options.get("model_name") or self.framework.default_model_name())
        self.options["model_name"] = info.name
        self.console.print(f"[bold]{escape(info.name)}[/] [dim]{escape(describe(info))}[/]")
        self.console.print("[dim]/help shows the commands, /exit leaves, Ctrl-C stops an answer.[/]")

    def _read(self) -> str | None:
        try:
            import readline  # noqa: F401  (gives input() line editing and history)
        except ImportError:
            pass
        try:
            return input("\n> ").strip()
        except EOFError:
            print()
            return None
        except KeyboardInterrupt:
            print()
            return ""

    def _command(self, line: str) -> bool:
        name = line.split()[0]
        if name in ("/exit", "/quit", "/bye"):
            return False
        if name == "/clear":
            self.clear()
            self.console.print("[dim]The conversation starts anew.[/]")
        elif name == "/help":
            self.console.print("[dim]/clear  start anew\n/exit   leave (also Ctrl-D)\nCtrl-C  stop an answer[/]")
        else:
            self.console.print(f"[dim]No command {escape(name)}; /help lists them.[/]")
        return True

    def _answer(self, line: str) -> None:
        from ..types import Message

        question = Message.user(line)
        started = time.monotonic()
        try:
            last = print_stream(self.framework.sync.stream([*self.history, question], **self.options))
        except (KeyboardInterrupt, RequestCancelledError):
            self.console.print("\n[dim]stopped; the question is forgotten[/]")
            return
        except LLMFrameworkError as error:
            self.console.print(f"[bold red]Error:[/] {escape(str(error))}")
            return
        if last is None or last.response is None:
            return
        self.history += [question, last.response.message]
        self._figures(last.response, time.monotonic() - started)

    def _figures(self, response: InferenceResponse, seconds: float) -> None:
        tokens, decode = response.usage.output_tokens, response.timings.decode
        rate = f", {(tokens - 1) / decode:.0f} tokens/s" if tokens > 1 and decode > 0 else ""
        cut = ", cut at the limit" if response.finish_reason == "length" else ""
        self.console.print(f"[dim]{tokens} tokens in {seconds:.1f} s{rate}{cut}[/]")
