"""`LLMFramework`: the facade. It turns what people write into a request, picks the path, and hands back what they
want: a text, a response, a stream. The work is the engine's."""

from __future__ import annotations

import asyncio
import atexit
import difflib
import logging
import os
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Union, overload

import anyio.to_thread
from typing_extensions import Unpack

from . import sync as sync_bridge
from .config import LLMConfig
from .embedding import EmbeddingRequest, EmbeddingTask, as_texts
from .engine import CallOptions, InferenceEngine
from .engine.batch import gather_in_order
from .engine.limiter import Limiter
from .errors import ConfigurationError, InvalidRequestError, ModelNotFoundError, UnsupportedFeatureError
from .inputs import GenerateOptions, Prompt, as_messages, as_response_format, as_tools, check_options
from .logs import get_logger
from .plugins import PluginManager
from .registry import ModelInfo, ModelRegistry, ModelType, selected
from .types import Chunk, GenerationConfig, InferenceRequest, InferenceResponse, Usage

if TYPE_CHECKING:
    from .sync_view import SyncView

logger = get_logger(__name__)

Config = Union[LLMConfig, Mapping[str, Any], str, "os.PathLike[str]", None]
_GENERATION_FIELDS = frozenset(item.name for item in fields(GenerationConfig))


class LLMFramework:
    """One door to every model, local or in the cloud.

    `config` is an `LLMConfig`, a mapping of its fields, or the path of a YAML file. `async with` and `with` start and
    close it; it also starts itself on first use. It may be used from several threads and event loops; its methods that
    do work are async, and `sync` has their blocking forms.
    """

    def __init__(self, config: Config = None) -> None:
        self.config = _as_config(config)
        logging.getLogger("llm_framework").setLevel(self.config.log_level)
        self.plugin_manager = PluginManager(self.config.plugin_dirs, time_limit=self.config.plugin_timeout)
        self.registry = ModelRegistry(self.config.models_dir)
        self.inference_engine = InferenceEngine(self.registry, self.config, self.plugin_manager)
        self._starting = Limiter(1)
        self._started = False
        self._discovering = threading.Lock()
        self._discovered = False

    # ----------------------------------------------------------------------------------------------- start and close
    async def start(self) -> None:
        """Look for models. Done by the first request, where nobody did it before; plugins are imported by the first
        request for a model."""
        if self._started:
            return
        async with self._starting:
            if not self._started:
                self.plugin_manager.configure(self.config.plugins)
                await anyio.to_thread.run_sync(self._discover)
                self.inference_engine.declare_providers()
                self._started = True

    async def close(self) -> None:
        """Cancel what runs, free every model, shut the plugins down. A later use starts anew."""
        await self.inference_engine.close()
        await self.plugin_manager.shutdown()
        self._started = False

    async def __aenter__(self) -> LLMFramework:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __enter__(self) -> LLMFramework:
        sync_bridge.run(self.start)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        sync_bridge.run(self.close)

    @property
    def sync(self) -> SyncView:
        """The same methods, blocking: for scripts, threads, and code inside a running event loop."""
        from .sync_view import SyncView

        return SyncView(self)

    # ----------------------------------------------------------------------------------------------------- generation
    @overload
    async def generate_text(
        self, prompt: Prompt, *, stream: Literal[False] = False, **options: Unpack[GenerateOptions]
    ) -> str: ...
    @overload
    async def generate_text(
        self, prompt: Prompt, *, stream: Literal[True], **options: Unpack[GenerateOptions]
    ) -> AsyncIterator[Chunk]: ...
    async def generate_text(
        self, prompt: Prompt, *, stream: bool = False, **options: Unpack[GenerateOptions]
    ) -> str | AsyncIterator[Chunk]:
        """The answer's text; with `stream=True`, an async iterator of its chunks.

        `prompt` is a str, a list of `Message`s, or a list of `{"role", "content"}` dicts. Options: `model_name`,
        `timeout` in seconds, every field of `GenerationConfig` (max_tokens, temperature, top_p, top_k, stop, seed, …),
        and those of `generate`. Raises the errors of `llm_framework.errors`.
        """
        return self.stream(prompt, **options) if stream else (await self.generate(prompt, **options)).text

    async def generate(self, prompt: Prompt, **options: Unpack[GenerateOptions]) -> InferenceResponse:
        """The whole response. Besides what `generate_text` takes:

        `tools`: `ToolSpec`s, OpenAI-style function dicts, or typed Python functions. `tool_choice`: "auto", "none",
        "any", or a tool's name. `response_format`: a pydantic class (`.parsed` is its instance), a JSON schema, a
        regular expression, or a `ResponseFormat` (which may hold a grammar). `max_retries`, and `fallbacks` (model
        names), for this call. `strict_parameters=False` leaves out what the model cannot take, and lists it, instead of
        raising. `metadata` travels with the request.
        """
        return await _fold(self._stream(_Call(prompt, dict(options), streaming=False)))

    def stream(self, prompt: Prompt, **options: Unpack[GenerateOptions]) -> AsyncGenerator[Chunk, None]:
        """The answer as an async iterator of chunks; options as `generate`. A wrong option raises at once."""
        return self._stream(_Call(prompt, dict(options)))

    async def _stream(self, call: _Call) -> AsyncGenerator[Chunk, None]:
        await self.start()
        async with aclosing(self._chunks(call.request(self.config), **call.chain)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def stream_request(
        self,
        request: InferenceRequest,
        *,
        fallbacks: Sequence[str] | None = None,
        max_retries: int | None = None,
    ) -> AsyncGenerator[Chunk, None]:
        """The stream of a request that is made already, with fallbacks as given or configured."""
        await self.start()
        async with aclosing(self._chunks(request, fallbacks, max_retries)) as chunks:
            async for chunk in chunks:
                yield chunk

    def _chunks(
        self, request: InferenceRequest, fallbacks: Sequence[str] | None, max_retries: int | None
    ) -> AsyncGenerator[Chunk, None]:
        options = CallOptions(max_retries)
        names = self._fallbacks_of(request, fallbacks)
        if not names:
            return self.inference_engine.generate_stream(request, options=options)
        from .engine.fallback import stream_with_fallbacks

        return stream_with_fallbacks(self.inference_engine, request, names, options)

    def _fallbacks_of(self, request: InferenceRequest, given: Sequence[str] | None) -> list[str]:
        if given is None:
            given = self.config.fallback_models if self.config.enable_fallbacks else ()
        first = request.model_name or self.config.default_model
        return [name for name in given if name != first]

    async def generate_batch(
        self,
        prompts: Sequence[Prompt],
        *,
        max_concurrency: int | None = None,
        return_exceptions: bool = False,
        progress: bool = False,
        **options: Unpack[GenerateOptions],
    ) -> list[Any]:
        """The texts, in the order of the prompts; options as `generate_text`, for each.

        `max_concurrency` at a time (default: as many as the model takes). The first error cancels the rest, unless
        `return_exceptions` puts errors in the texts' places. `progress` shows a bar on standard error.
        """
        if isinstance(prompts, str):
            raise InvalidRequestError("generate_batch takes a list of prompts; for a single one use generate_text")
        if not isinstance(prompts, Iterable):
            raise InvalidRequestError(f"generate_batch takes a list of prompts, not {type(prompts).__name__}")
        check_options(options)
        options["tools"] = as_tools(options.get("tools"))  # once for all: making schemas takes time
        options["response_format"] = as_response_format(options.get("response_format"))
        if not return_exceptions:  # what is wrong in any of them is told before the first one runs
            for prompt in prompts:
                _Call(prompt, dict(options), streaming=False)
        await self.start()
        engine = self.inference_engine
        await engine.plugins_ready()
        limit = engine.concurrency_of([options.get("model_name")]) if max_concurrency is None else max_concurrency
        with _progress_bar(len(prompts) if progress else None) as on_done:
            return await gather_in_order(
                [partial(self._text_of, prompt, options) for prompt in prompts],
                max_concurrency=limit,
                return_exceptions=return_exceptions,
                on_done=on_done,
            )

    async def _text_of(self, prompt: Prompt, options: GenerateOptions) -> str:
        return (await self.generate(prompt, **options)).text

    async def embed(
        self,
        texts: Sequence[str] | str,
        *,
        model_name: str | None = None,
        task: EmbeddingTask | None = None,
        dimensions: int | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - the deadline is the engine's, over retries and waits
        max_retries: int | None = None,
    ) -> list[list[float]]:
        """A vector for each text, in their order; one text gives a list of one.

        `task` is "query" for what is looked for and "document" for what is looked through, for the models that make a
        difference. `dimensions` shortens the vectors of models that are made for it. Without `model_name` the model is
        the configured default where that makes embeddings, else the first of the models folder that does. Raises
        `UnsupportedFeatureError` for models that make none, `ContextOverflowError` for a text that is too long, and
        the errors of any request.
        """
        texts = as_texts(texts)
        await self.start()
        request = EmbeddingRequest(
            texts=texts,
            model_name=self._embedding_model(model_name).name,
            task=task,
            dimensions=dimensions,
            timeout=timeout,
        )
        response = await self.inference_engine.embed(request, options=CallOptions(max_retries))
        return response.vectors

    def _embedding_model(self, name: str | None) -> ModelInfo:
        if name is not None:
            return self.get_model_info(name)
        found = [info for info in self.list_models(model_type=ModelType.EMBEDDING) if info.error is None]
        if not found:
            message = (
                f"no embedding model was found in {self.registry.models_dir}: put one there, or give model_name, such "
                "as openai:text-embedding-3-small"
            )
            raise UnsupportedFeatureError(message, feature="embeddings")
        return next((info for info in found if info.name == self.config.default_model), found[0])

    async def count_tokens(self, prompt: Prompt, **options: Unpack[GenerateOptions]) -> Usage:
        """The `input_tokens` that a prompt, its tools included, costs with its model; options as `generate`.

        A local model counts them itself, a provider is asked where it can be; of others they are `estimated`. Raises
        as `generate` does.
        """
        await self.start()
        return await self.inference_engine.count_tokens(_Call(prompt, dict(options)).request(self.config))

    # --------------------------------------------------------------------------------------------------------- models
    async def available_models(self, provider: str) -> list[ModelInfo]:
        """The models that a provider or server offers now, as it says itself: `available_models("openai")`. Names are
        as they stand after `provider:`. Raises `UnsupportedFeatureError` where it cannot be asked, and the errors of
        any request."""
        await self.start()
        info = self.get_model_info(f"{provider}:-")  # any name will do: only the place matters
        async with self.inference_engine.pool.use(info) as backend:
            return await backend.available_models()

    def list_models(
        self,
        *,
        local_only: bool | None = None,
        model_type: ModelType | str | None = None,
        backend_type: str | None = None,
    ) -> list[ModelInfo]:
        """The models found, registered and bundled, and the cloud models that the configuration names, sorted by
        name."""
        self._discover()
        models = {info.name: info for info in self.registry.list_models()}
        for name in [self.config.default_model, *self.config.fallback_models]:
            try:
                info = self.registry.get_model(name) if name else None
            except ModelNotFoundError:
                continue
            if info is not None:
                models.setdefault(info.name, info)
        return selected(models.values(), local_only, model_type, backend_type)

    def get_model_info(self, name: str) -> ModelInfo:
        """What is known of a model. Raises `ModelNotFoundError` with the nearest names."""
        self._discover()
        return self.inference_engine.resolve(name)

    async def load_model(self, name: str) -> ModelInfo:
        """Load a model now, so that its first request need not wait."""
        await self.start()
        return await self.inference_engine.load_model(name)

    async def unload_model(self, name: str) -> bool:
        """Free a model, after the requests that use it. False where it was not loaded."""
        await self.start()
        return await self.inference_engine.unload_model(name)

    def get_performance_stats(self) -> dict[str, Any]:
        """Since the start: total_requests, failed_requests, active_requests, loaded_models (numbers of them),
        average_generation_time and total_generation_time (seconds), total_cost (US dollars, as far as known),
        unknown_cost_requests, and `models`: per model requests, failed_requests, cancelled_requests, input_tokens,
        output_tokens, tokens_per_second, time_to_first_token, p50, p95, p99 of the time of a request (seconds; of the
        last 1024 that were answered), cost, unknown_cost_requests, and breaker ("closed", "open" or "half_open"; None
        for a model that runs in this process)."""
        return self.inference_engine.get_performance_stats()

    def default_model_name(self) -> str:
        """The model that answers where none is named: the configured one, else the best chat model found, else the
        bundled one."""
        self._discover()
        return self.config.default_model or self.inference_engine.resolve(None).name

    def _discover(self) -> None:
        if not self.config.auto_discover_models:
            return
        with self._discovering:
            if not self._discovered:
                self.registry.discover_models()
                self._discovered = True


class _Call:
    """The keyword arguments of a call, sorted by whom they concern. Raises `InvalidRequestError` for a wrong one."""

    def __init__(self, prompt: Prompt, options: dict[str, Any], *, streaming: bool = True) -> None:
        self.streaming = streaming
        check_options(options)
        given = {name: options.pop(name) for name in _GENERATION_FIELDS & set(options)}
        config = options.pop("config", None) or GenerationConfig()
        self.config = replace(config, **{name: value for name, value in given.items() if value is not None})
        self.messages = as_messages(prompt)
        self.tools = as_tools(options.pop("tools", None))
        self.response_format = as_response_format(options.pop("response_format", None))
        self.chain: dict[str, Any] = {name: options.pop(name, None) for name in ("fallbacks", "max_retries")}
        self.metadata = dict(options.pop("metadata", None) or {})
        if (strict := options.pop("strict_parameters", None)) is not None:
            self.metadata["strict_parameters"] = strict
        self.rest = {name: options.pop(name) for name in ("model_name", "tool_choice", "timeout") if name in options}
        self.request_id = options.pop("request_id", None)
        options.pop("stream", None)  # says again what the method's name says
        if options:
            known = sorted(_GENERATION_FIELDS | _CALL_OPTIONS)
            unknown = next(iter(options))
            near = difflib.get_close_matches(unknown, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"options are {', '.join(known)}"
            raise InvalidRequestError(f"unknown option {unknown!r}; {hint}")
        self._checked = self._request()

    def request(self, config: LLMConfig) -> InferenceRequest:
        """The request, its deadline counted from now."""
        timeout = self._checked.timeout if self._checked.timeout is not None else config.default_timeout
        return self._checked if timeout is None else replace(self._checked, deadline=time.monotonic() + timeout)

    def _request(self) -> InferenceRequest:
        given = {} if self.request_id is None else {"request_id": self.request_id}
        return InferenceRequest(
            messages=self.messages,
            config=self.config,
            tools=self.tools,
            response_format=self.response_format,
            metadata=self.metadata,
            streaming=self.streaming,
            **self.rest,
            **given,
        )


_CALL_OPTIONS = frozenset(
    {
        "model_name", "timeout", "stream", "tools", "tool_choice", "response_format", "max_retries", "fallbacks",
        "strict_parameters", "metadata", "request_id", "config",
    }
)  # fmt: skip


async def _fold(chunks: AsyncGenerator[Chunk, None]) -> InferenceResponse:
    response: InferenceResponse | None = None
    async with aclosing(chunks) as stream:
        async for chunk in stream:
            response = chunk.response or response
    assert response is not None  # the last chunk of every stream that ends without an error holds it
    return response


class _progress_bar:
    """A bar on standard error for `total` items, or nothing for None."""

    def __init__(self, total: int | None) -> None:
        self._total = total

    def __enter__(self) -> Callable[[], None] | None:
        if self._total is None:
            return None
        from rich.console import Console
        from rich.progress import Progress

        self._progress = Progress(console=Console(stderr=True))
        self._progress.start()
        return partial(self._progress.advance, self._progress.add_task("generating", total=self._total))

    def __exit__(self, *error: object) -> None:
        if self._total is not None:
            self._progress.stop()


def _as_config(config: Config) -> LLMConfig:
    if isinstance(config, LLMConfig):
        return config
    if isinstance(config, Mapping):
        return LLMConfig.load(values=config)
    if config is not None and not isinstance(config, (str, os.PathLike)):
        raise ConfigurationError(
            f"a configuration is an LLMConfig, a mapping or a YAML file's path, not {config!r:.60}"
        )
    return LLMConfig.load(Path(config) if config is not None else None)


# ------------------------------------------------------------------------------------------------------ quick_generate
_shared: tuple[int, LLMFramework] | None = None  # with the process that made it
_shared_lock = threading.Lock()


def shared_framework() -> LLMFramework:
    """The framework behind `quick_generate`: made at its first use, as configured then, and closed at exit."""
    global _shared
    with _shared_lock:
        if _shared is None or _shared[0] != os.getpid():
            _shared = os.getpid(), LLMFramework()
            sync_bridge._get_portal()  # exit functions run in reverse: the loop that closes us must end after us
            atexit.register(_close_shared, os.getpid())
        return _shared[1]


def _close_shared(pid: int) -> None:
    if _shared is not None and pid == os.getpid():
        asyncio.run(_shared[1].close())  # on a loop of its own: the background one may have ended already


async def quick_generate(prompt: Prompt, **options: Unpack[GenerateOptions]) -> str:
    """One call, no set-up: the answer's text. A framework behind it is shared by all such calls and closed at exit."""
    return (await shared_framework().generate(prompt, **options)).text
