"""`InferenceEngine`: takes one request to one model and brings its stream of chunks back.

On the way down: the model's name, configured defaults, pre hooks, a slot, the loaded backend, attempts up to the
first visible chunk. On the way up: the chunks, and at the end the whole response with usage, timings and the post
hooks' say. One deadline holds over all of it. Falling back to another model is the framework's.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from functools import partial
from types import AsyncGeneratorType
from typing import Any

import anyio
import anyio.to_thread

from ..backends import backend_names
from ..backends.base import ModelBackend
from ..config import DEFAULT_CONCURRENCY, LLMConfig
from ..embedding import EmbeddingLimits, EmbeddingRequest, EmbeddingResponse
from ..errors import ContentFilterError, LLMFrameworkError, ModelNotFoundError, RequestCancelledError
from ..gateways import GATEWAYS
from ..logs import get_logger
from ..plugins import PluginManager
from ..registry import ModelRegistry
from ..registry.model_info import ModelInfo
from ..types import Chunk, InferenceRequest, InferenceResponse, Usage
from . import embedding
from .batch import gather_in_order
from .filling_in import replace_last_user_text, with_defaults
from .limiter import Limiter
from .metrics import Metrics, Outcome
from .pool import BackendPool
from .prices import Prices
from .rate_limit import estimated_prompt_tokens
from .retry import with_retries
from .running import CallOptions, RunningRequest, raise_from
from .target import Targets
from .telemetry import Telemetry

__all__ = ["CallOptions", "InferenceEngine"]

logger = get_logger(__name__)

_engines: weakref.WeakSet[InferenceEngine] = weakref.WeakSet()


class InferenceEngine:
    """Runs requests. May be used from several threads and event loops at the same time; limits hold over all of them.

    `config` and `plugin_manager` default to the configuration as it is found and to no plugins.
    """

    def __init__(
        self,
        registry: ModelRegistry,
        config: LLMConfig | None = None,
        plugin_manager: PluginManager | None = None,
    ) -> None:
        self.registry = registry
        self.config = config if config is not None else LLMConfig()
        self.plugin_manager = plugin_manager if plugin_manager is not None else PluginManager()
        self.metrics = Metrics()
        endpoints = {
            name: section.provider for name, section in self.config.api_credentials.items() if section.provider
        }
        self.telemetry = Telemetry(endpoints, with_content=self.config.telemetry_content)
        self.prices = Prices(endpoints)
        self.declare_providers()
        self._before_fork: list[Any] = []
        self._reset()
        _engines.add(self)

    def declare_providers(self) -> None:
        """Tell the registry the names that may stand before a colon: plugins, gateways, installed backends, and
        endpoints of the configuration. Later ones win."""
        self._declared = self.plugin_manager.generation
        for name, backend_type in self.plugin_manager.providers().items():
            self.registry.declare_provider(name, backend_type)
        for name in GATEWAYS:
            self.registry.declare_provider(name, "openai_compatible")
        for name in backend_names():
            self.registry.declare_provider(name, name)
        for name, credentials in self.config.api_credentials.items():
            if credentials.provider is not None:
                dialect = "openai_compatible" if credentials.provider in GATEWAYS else credentials.provider
                self.registry.declare_provider(name, dialect)

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._limiters: dict[str, Limiter] = {}
        self._targets = Targets(self.config)
        self._running: dict[int, RunningRequest] = {}
        self.pool = BackendPool(self.config, self.plugin_manager)

    def _after_fork(self) -> None:
        # Locks may be held, and the threads of loaded models are not there. Keep what the parent had alive (freeing it
        # would wait for those threads) and begin anew.
        self._before_fork.append((self.pool, self._limiters, self._targets, self._running))
        self._reset()

    # ------------------------------------------------------------------------------------------------------ requests
    async def generate_text(
        self, request: InferenceRequest, *, options: CallOptions | None = None
    ) -> InferenceResponse:
        """The whole answer: the stream, folded. Errors as in `generate_stream`."""
        response: InferenceResponse | None = None
        request = replace(request, streaming=False)
        async with aclosing(self.generate_stream(request, options=options)) as chunks:
            async for chunk in chunks:
                response = chunk.response or response
        assert response is not None  # the last chunk of every stream that ends without an error holds it
        return response

    async def generate_batch(
        self,
        requests: Iterable[InferenceRequest],
        *,
        max_concurrency: int | None = None,
        return_exceptions: bool = False,
    ) -> list[InferenceResponse]:
        """The answers in the order of the requests, `max_concurrency` of them at a time (default: the model's own
        limit). The first error cancels the rest, unless `return_exceptions` puts errors in the answers' places."""
        requests = list(requests)
        await self.plugins_ready()
        if max_concurrency is None:
            max_concurrency = self.concurrency_of(request.model_name for request in requests)
        return await gather_in_order(
            [partial(self.generate_text, request) for request in requests],
            max_concurrency=max_concurrency,
            return_exceptions=return_exceptions,
        )

    async def generate_stream(
        self, request: InferenceRequest, *, options: CallOptions | None = None
    ) -> AsyncGenerator[Chunk, None]:
        """The answer's chunks as they come; the last one holds finish_reason, usage and the whole `response`.

        Closing the iterator stops the work underneath. Raises the errors of `llm_framework.errors`; what breaks off
        after the first visible chunk is `StreamInterruptedError` (or the limit that passed) with the partial response.
        """
        run = self._begin(request, options or CallOptions())
        last: Chunk | None = None
        error: Exception | None = None
        try:
            async with AsyncExitStack() as held:
                with run.scope:
                    await self._prepare(run)
                    await self._take_slot(run, held)
                    stream, first_chunks = await self._open_with_retries(run, held)
                if run.recording is not None and first_chunks:
                    run.recording.chunk()
                for chunk in first_chunks:
                    yield chunk
                while (next_chunk := await run.next_chunk(stream)) is not None:
                    yield next_chunk
                with run.scope:
                    last = await self._finish(run)
        except Exception as cause:
            error = run.explain(cause)
            raise_from(error, cause)
        finally:  # before the last chunk goes out: its reader may never come back for more
            self._end(run, last, error)
        assert last is not None
        yield last

    async def embed(self, request: EmbeddingRequest, *, options: CallOptions | None = None) -> EmbeddingResponse:
        """A vector for each of the request's texts, in their order; equal texts are asked for once.

        What the model does not take at once goes in parts, as many of them side by side as it may have requests; each
        part is a request of its own with its slot, rate limits and retries, all under the one deadline. Raises the
        errors of `llm_framework.errors`: the first part that fails cancels the others.
        """
        return await embedding.embed(self, request, options)

    async def embedding_limits(self, request: EmbeddingRequest) -> EmbeddingLimits:
        """What the request's backend takes at once. It is loaded for that; where it cannot be, the request itself shall
        say so, and count as failed."""
        run = RunningRequest(request, self.config, CallOptions())
        run.info = self.resolve(request.model_name)
        try:
            async with AsyncExitStack() as held:
                return (await self._backend(run, held)).embedding_limits
        except LLMFrameworkError:
            return EmbeddingLimits(texts=len(request.texts))

    def _begin(self, request: InferenceRequest, options: CallOptions) -> RunningRequest:
        run = RunningRequest(request, self.config, options)
        with self._lock:
            self._running[id(run)] = run
        run.record(self.telemetry.begin(request, self.resolve, options.parent))
        return run

    def _end(self, run: RunningRequest, last: Chunk | None, error: Exception | None) -> None:
        """Write down how a request ended: with its last chunk, an error, or neither, where its reader went away."""
        with self._lock:
            self._running.pop(id(run), None)
        run.settle()
        response = None if last is None else last.response
        outcome: Outcome = "failed" if error is not None else "ok" if last is not None else "cancelled"
        if isinstance(error, RequestCancelledError):
            outcome = "cancelled"
        cost = response.cost if response is not None else None if run.has_begun else 0.0
        self.metrics.record(run.model_name, outcome, run.usage(), run.timings(), cost)
        run.end_recording(response, error)
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("%s", run.summary(outcome))

    # ------------------------------------------------------------------------------------------------------ steps down
    async def _prepare(self, run: RunningRequest) -> None:
        """Find the model; fill in configured defaults; let the pre hooks look."""
        if self._are_plugins_new:
            await run.interrupter.step(self.plugins_ready, run.deadline)
        run.info = self.resolve(run.request.model_name)
        run.target = self._targets.of(run.info)
        run.target.check()  # what is known to be down need not be waited for
        if isinstance(run.request, EmbeddingRequest):  # neither defaults nor hooks concern it
            run.tell_request()
            return
        request = with_defaults(run.request, self.config)
        run.hook_prompt = request.last_user_text

        async def hooks() -> InferenceRequest:
            prompt, config = await self.plugin_manager.run_pre_hooks(run.info, run.hook_prompt, request.config)
            changed = request if config == request.config else replace(request, config=config)
            return changed if prompt == run.hook_prompt else replace_last_user_text(changed, prompt)

        run.request = await run.interrupter.step(hooks, run.deadline) if self.plugin_manager.has_plugins else request
        run.tell_request()

    def resolve(self, name: str | None) -> ModelInfo:
        """The model of that name; None is the configured default, else the best chat model there is."""
        name = name or self.config.default_model
        if not name:
            return self.registry.best_chat_model(self.config.memory_limit_gb)
        try:
            return self.registry.get_model(name)
        except ModelNotFoundError:
            if not self._learn_providers():
                raise
            return self.registry.get_model(name)

    @property
    def _are_plugins_new(self) -> bool:
        return self._declared != self.plugin_manager.generation or not self.plugin_manager.is_ready

    async def plugins_ready(self) -> None:
        """Import and initialise the plugins that are not yet, and make their names known."""
        await self.plugin_manager.ready()
        if self._declared != self.plugin_manager.generation:
            self.declare_providers()

    def _learn_providers(self) -> bool:
        """Whether plugins have names to tell that were not known; those that are not imported yet are."""
        self.plugin_manager.load_pending()
        if self._declared == self.plugin_manager.generation:
            return False
        self.declare_providers()
        return True

    async def _take_slot(self, run: RunningRequest, held: AsyncExitStack) -> None:
        limiter = self._limiter_of(run.info)
        if not limiter.acquire_nowait():
            run.check_rate()
            started = time.monotonic()
            limit = run.deadline._replace(name="queue") if run.deadline else None
            await run.interrupter.step(limiter.acquire, limit)
            run.queue_seconds = time.monotonic() - started
        held.callback(limiter.release)

    def _limiter_of(self, info: ModelInfo) -> Limiter:
        with self._lock:
            if info.name not in self._limiters:
                limit = self.config.concurrency_of(info.name, info.backend_type)
                self._limiters[info.name] = Limiter(limit, self.config.max_queue)
            return self._limiters[info.name]

    async def _open_with_retries(
        self, run: RunningRequest, held: AsyncExitStack
    ) -> tuple[AsyncIterator[Chunk | str], list[Chunk]]:
        """The stream, once an attempt got as far as its first visible chunk.

        The breaker lets a whole call through or none of it: it has all its attempts, also where the others' failures
        open the breaker meanwhile. A probe has one.
        """
        target = run.target
        assert target is not None
        probe = target.admit()
        if probe:
            held.callback(target.release, probe)

        async def attempt() -> tuple[AsyncIterator[Chunk | str], list[Chunk]]:
            await run.keep_rate()
            run.start_attempt()
            async with AsyncExitStack() as tried:
                try:
                    opened = await self._open(run, tried)
                except Exception as error:
                    ours = run.attempt_failed(error)
                    run.lose_attempt()
                    target.failed(ours, probe)
                    run.settle(otherwise=0)
                    raise_from(ours, error)
                target.succeeded()
                held.push_async_exit(tried.pop_all())
                return opened

        deadline = run.deadline.at if run.deadline else None
        retries = run.options.max_retries if run.options.max_retries is not None else self.config.max_retries
        return await with_retries(attempt, max_retries=0 if probe else retries, deadline=deadline, sleep=run.sleep)

    async def _open(self, run: RunningRequest, held: AsyncExitStack) -> tuple[AsyncIterator[Chunk | str], list[Chunk]]:
        """Load the backend, start its stream, and read up to the first chunk that a reader would see."""
        run.backend = await self._backend(run, held)
        stream = aiter(embedding.stream_of(run.backend, run.request))
        held.push_async_callback(_close, stream, run)
        return stream, await run.first_chunks(stream)

    async def _backend(self, run: RunningRequest, held: AsyncExitStack) -> ModelBackend:
        entry = self.pool.enter(run.info)
        held.push_async_callback(self.pool.leave, entry)
        if entry.backend is not None:
            return entry.backend
        started = time.monotonic()
        backend = await run.interrupter.step(lambda: self.pool.loaded(entry), run.deadline)
        run.load_seconds += time.monotonic() - started
        return backend

    async def _finish(self, run: RunningRequest) -> Chunk:
        """The last chunk, with the whole response as the post hooks leave it."""
        if not run.is_counted:
            await run.interrupter.step(run.count)  # it has a limit of its own: a whole answer is not lost for it
        if self.prices.must_load(run.info):
            await run.interrupter.step(partial(anyio.to_thread.run_sync, self.prices.load))
        response = run.response()
        cost = self.prices.cost_of(run.info, response.usage, response.provider_data)
        response = response if cost is None else replace(response, cost=cost)
        if self.config.fallback_on_content_filter and is_refusal(response):
            message = f"{run.model_name!r} refused the request for its content"
            raise ContentFilterError(message, model=run.model_name, response=response)

        async def hooks() -> InferenceResponse:
            text = await self.plugin_manager.run_post_hooks(
                run.info, run.hook_prompt, response.text, run.request.config
            )
            return run.checked(response, text)

        if self.plugin_manager.has_plugins and not isinstance(run.request, EmbeddingRequest):
            return run.last_chunk(await run.interrupter.step(hooks, run.deadline))
        return run.last_chunk(run.checked(response, response.text))

    # ------------------------------------------------------------------------------------------------- looking around
    def get_active_requests(self) -> list[dict[str, Any]]:
        """What runs or waits now: dicts with request_id, model_name, started_at (Unix time), tokens (so far)."""
        with self._lock:
            return [run.describe() for run in self._running.values()]

    async def cancel(self, request_id: str) -> bool:
        """Cancel the running request of that id: its reader gets `RequestCancelledError` with the partial response.
        False where there is none. May be called from any thread or event loop."""
        with self._lock:
            runs = [run for run in self._running.values() if run.request.request_id == request_id]
        for run in runs:
            run.interrupter.cancel()
        return bool(runs)

    def concurrency_of(self, names: Iterable[str | None]) -> int:
        """How many requests to these models may run at once: the largest of their limits."""
        limits = [DEFAULT_CONCURRENCY]
        for name in set(names):
            try:
                info = self.resolve(name)
            except ModelNotFoundError:  # its request will say so
                continue
            limits.append(self.config.concurrency_of(info.name, info.backend_type))
        return max(limits[1:], default=limits[0])

    async def count_tokens(self, request: InferenceRequest) -> Usage:
        """The tokens of the request's prompt; `LLMFramework.count_tokens` says more."""
        await self.plugins_ready()
        async with self.pool.use(self.resolve(request.model_name)) as backend:
            counted = await backend.count_tokens(request)
        if counted is None:
            return Usage(estimated_prompt_tokens(request), estimated=True)
        return Usage(counted)

    async def load_model(self, name: str) -> ModelInfo:
        """Load a model now, so that its first request need not wait. Raises `ModelNotFoundError`, `ModelLoadError`."""
        await self.plugins_ready()
        info = self.resolve(name)
        async with self.pool.use(info):
            return info

    async def unload_model(self, name: str) -> bool:
        """Free a model, after the requests that use it. False where it was not loaded."""
        return await self.pool.unload(self.resolve(name).name)

    def get_performance_stats(self) -> dict[str, Any]:
        """Counters and latencies; `LLMFramework.get_performance_stats` lists the keys."""
        with self._lock:
            active = len(self._running)
        figures = self.metrics.snapshot()
        for name, model in figures["models"].items():
            model["breaker"] = self._targets.breaker_state(name)
        return {**figures, "active_requests": active, "loaded_models": len(self.pool.loaded_models())}

    async def close(self) -> None:
        """Cancel what runs and free every model. The engine may be used again afterwards."""
        with self._lock:
            runs = list(self._running.values())
        for run in runs:
            run.interrupter.cancel()
        await self.pool.unload_all()


def is_refusal(response: InferenceResponse) -> bool:
    """Whether a content filter left nothing of the answer."""
    return response.finish_reason == "content_filter" and not response.message.parts


async def _close(stream: Any, run: RunningRequest) -> None:
    """Close a backend's stream, also while our own task is being cancelled, but do not wait for it for ever."""
    close = getattr(stream, "aclose", None)
    if close is None or (isinstance(stream, AsyncGeneratorType) and stream.ag_frame is None):  # it has ended
        return
    with run.scope, anyio.move_on_after(run.overtime(), shield=True):
        try:
            await close()
        except Exception as error:
            logger.debug("closing a backend's stream failed: %s: %s", type(error).__name__, error)


def _reset_engines() -> None:
    for engine in list(_engines):
        engine._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_engines)
