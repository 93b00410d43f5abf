"""How fast a model answers here and now, measured as a caller sees it: through the framework, on any backend."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

from . import __version__
from .config import num_cores
from .errors import BadResponseError, InvalidRequestError, MissingDependencyError
from .inputs import GenerateOptions

if TYPE_CHECKING:
    from .framework import LLMFramework
    from .registry import ModelInfo
    from .types import InferenceResponse

BATCH = 4  # requests at once
METRICS = {
    "first token": "s",
    "prefill": "tokens/s",
    "decode": "tokens/s",
    f"batch of {BATCH}": "tokens/s",
}
"""What is measured, and its unit.

first token: from the call until the answer to a short question begins. prefill: how fast a long prompt is read; of a
model elsewhere, its tokens over the time to the first one. decode: how fast one answer is written, from its first token
on. batch: what that many answers, asked for at once, bring together, their prompts' reading included.
"""
PLOT_SUFFIXES = (".png", ".svg", ".pdf")
_TEMPLATE_ROOM = 96  # tokens of a context that a chat template, and the estimate of a prompt's length, may take
_WORDS = """
river stone morning letter garden winter kitchen paper mountain window bridge summer market doctor silver island
forest captain number village engine harbour colour teacher music answer orange candle history animal
"""

Progress = Callable[[str], None]


@dataclass(frozen=True)
class BenchResult:
    """The samples of all rounds, by metric. `prompt_tokens` and `output_tokens` are those of the long request, as the
    model counted them; `load_seconds` is None where the model was loaded already or is none of this machine."""

    model: str
    backend: str
    load_seconds: float | None
    prompt_tokens: int
    output_tokens: int
    samples: dict[str, list[float]] = field(default_factory=dict)

    def median(self, metric: str) -> float | None:
        """The median over the rounds; None where nothing could be measured."""
        values = self.samples.get(metric)
        return statistics.median(values) if values else None

    def to_dict(self) -> dict[str, Any]:
        """Everything, as JSON has it."""
        metrics = {
            name: {"unit": unit, "median": self.median(name), "samples": self.samples.get(name, [])}
            for name, unit in METRICS.items()
        }
        return {
            "model": self.model,
            "backend": self.backend,
            "llm_framework": __version__,
            "cores": num_cores(),
            "prompt_tokens": self.prompt_tokens,
            "output_tokens": self.output_tokens,
            "load_seconds": self.load_seconds,
            "metrics": metrics,
        }


async def run_bench(
    framework: LLMFramework,
    model: str | None = None,
    *,
    rounds: int = 5,
    prompt_tokens: int = 512,
    output_tokens: int = 64,
    progress: Progress | None = None,
) -> BenchResult:
    """Measure `model` (default: the one that answers where none is named).

    In each round: a short question, a prompt of about `prompt_tokens` whose answer has `output_tokens`, and a batch; no
    two prompts begin alike, so that nothing is taken from a cache. One round more goes before them and does not count.
    Lengths are cut to what the model's context holds. `progress` is told what comes next, three times a round. Raises
    `InvalidRequestError` for a wrong number, and the errors of any request.
    """
    for name, value in (("rounds", rounds), ("prompt_tokens", prompt_tokens), ("output_tokens", output_tokens)):
        if value < (2 if name == "output_tokens" else 1):
            raise InvalidRequestError(f"{name} must be at least {2 if name == 'output_tokens' else 1}, not {value}")
    info = framework.get_model_info(model or framework.default_model_name())
    bench = _Bench(framework, info, prompt_tokens, output_tokens, progress or _silent)
    load_seconds = await bench.load()
    await bench.round()
    bench.samples.clear()
    for _ in range(rounds):
        await bench.round()
    return BenchResult(info.name, info.backend_type, load_seconds, bench.read, bench.written, bench.samples)


class _Bench:
    """One model's measuring. `read` and `written` are the tokens of the last long request."""

    def __init__(
        self, framework: LLMFramework, info: ModelInfo, prompt_tokens: int, output_tokens: int, progress: Progress
    ) -> None:
        self.framework = framework
        self.info = info
        self.output_tokens, self.prompt_tokens = _fitting(info, prompt_tokens, output_tokens)
        self.progress = progress
        self.samples: dict[str, list[float]] = {}
        self.read = self.written = 0
        self._random = random.Random(0)
        self._words_per_token = 1.0

    async def load(self) -> float | None:
        """Seconds until the model is there; None for one that is none of this machine."""
        if not self.info.is_local:
            return None
        self.progress("loading")
        started = time.monotonic()
        await self.framework.load_model(self.info.name)
        seconds = time.monotonic() - started
        probe = self._prompt(200)
        usage = await self.framework.count_tokens(probe, model_name=self.info.name)
        self._words_per_token = len(probe.split()) / max(1, usage.input_tokens)
        return seconds

    async def round(self) -> None:
        """Each metric once."""
        self.progress("first token")
        short = await self._ask(self._prompt(8), self.output_tokens)
        self._add("first token", short.timings.first_token)
        self.progress("prefill and decode")
        self._long(await self._ask(self._prompt(self.prompt_tokens), self.output_tokens))
        self.progress(f"batch of {BATCH}")
        await self._batch()

    def _long(self, response: InferenceResponse) -> None:
        usage, timings = response.usage, response.timings
        self.read, self.written = usage.input_tokens, usage.output_tokens
        self._add("prefill", _rate(usage.input_tokens - usage.cached_tokens, timings.prefill or timings.first_token))
        self._add("decode", _rate(usage.output_tokens - 1, timings.decode))

    async def _batch(self) -> None:
        responses: list[InferenceResponse] = []

        async def one(prompt: str) -> None:
            responses.append(await self._ask(prompt, self.output_tokens))

        started = time.monotonic()
        async with anyio.create_task_group() as group:
            for prompt in [self._prompt(8) for _ in range(BATCH)]:
                group.start_soon(one, prompt)
        tokens = sum(response.usage.output_tokens for response in responses)
        self._add(f"batch of {BATCH}", _rate(tokens, time.monotonic() - started))

    async def _ask(self, prompt: str, output_tokens: int) -> InferenceResponse:
        """One streamed answer, as long as it may get. Where the model cannot be told so, it ends where it likes."""
        options: GenerateOptions = {"model_name": self.info.name}
        options |= {"max_tokens": output_tokens, "ignore_eos": True, "strict_parameters": False}
        options |= {"temperature": 0.0, "max_retries": 0, "fallbacks": []}
        response: InferenceResponse | None = None
        async for chunk in self.framework.stream(prompt, **options):
            response = chunk.response or response
        if response is None:
            raise BadResponseError("the answer ended without a response", model=self.info.name)
        return response

    def _prompt(self, tokens: int) -> str:
        """About so many tokens, the first of them like no others."""
        count = max(1, int(tokens * self._words_per_token) - 12)
        words = " ".join(self._random.choices(_WORDS.split(), k=count))
        return f"{self._random.randrange(10**6)}: {words}. Write a long story about this."

    def _add(self, metric: str, value: float | None) -> None:
        if value is not None:
            self.samples.setdefault(metric, []).append(value)


def draw(result: BenchResult, file: Path) -> None:
    """A picture of the samples, one panel a metric, the median as a line. Raises `MissingDependencyError` without
    matplotlib, `InvalidRequestError` where the file cannot be written."""
    check_plot(file)
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(METRICS), figsize=(2.6 * len(METRICS), 3.2), squeeze=False)
    for panel, (metric, unit) in zip(axes[0], METRICS.items(), strict=True):
        _draw_metric(panel, metric, unit, result.samples.get(metric, []), result.median(metric))
    figure.suptitle(f"{result.model} ({result.backend})")
    figure.tight_layout()
    try:
        figure.savefig(file, dpi=150)
    except OSError as error:
        raise InvalidRequestError(f"the plot cannot be written to {file}: {error.strerror}") from None
    finally:
        pyplot.close(figure)


def _draw_metric(panel: Any, metric: str, unit: str, values: Sequence[float], median: float | None) -> None:
    rounds = range(1, len(values) + 1)
    panel.plot(rounds, values, "o", color="#3366cc")
    if median is not None:
        panel.axhline(median, color="#888888", linewidth=1)
    shown = "not measured" if median is None else f"{median:.0f} {unit}" if median >= 100 else f"{median:.3g} {unit}"
    panel.set_title(f"{metric}: {shown}", fontsize=9)
    panel.set_xlabel("round")
    panel.set_ylabel(unit)
    panel.set_xticks(rounds[:: max(1, len(rounds) // 8)])
    panel.set_ylim(0, 1.15 * max(values, default=1.0))


def check_plot(file: Path) -> None:
    """Raise what `draw` would, before anything is measured."""
    if file.suffix.lower() not in PLOT_SUFFIXES:
        raise InvalidRequestError(f"the plot {file} must end with one of {', '.join(PLOT_SUFFIXES)}")
    if not file.parent.is_dir():
        raise InvalidRequestError(f"the plot cannot be written to {file}: there is no folder {file.parent}")
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        raise MissingDependencyError("drawing a plot", "bench")


def _fitting(info: ModelInfo, prompt_tokens: int, output_tokens: int) -> Sequence[int]:
    """Output and prompt as long as the context allows."""
    context = info.context_length or 1 << 30
    output = max(2, min(output_tokens, context // 4))
    return output, max(1, min(prompt_tokens, context - output - _TEMPLATE_ROOM))


def _rate(tokens: int, seconds: float) -> float | None:
    """Tokens a second; None where there is nothing to go by."""
    return tokens / seconds if tokens > 0 and seconds > 0 else None


def _silent(what: str) -> None:
    """Says nothing."""
