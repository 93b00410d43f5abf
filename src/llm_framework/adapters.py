"""What the adapters of host libraries share: which framework answers, the name a model has there, and what a call's
options may be. It knows no host library."""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import fields
from importlib.metadata import entry_points
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

from .errors import ConfigurationError, InvalidRequestError, LLMFrameworkError, StructuredOutputError
from .types import GenerationConfig, InferenceRequest

if TYPE_CHECKING:
    from .backends.base import ModelBackend
    from .framework import LLMFramework
    from .registry.model_info import ModelInfo

T = TypeVar("T")

CONFIG_FIELDS: tuple[str, ...] = tuple(field.name for field in fields(GenerationConfig))
"""The names of `GenerationConfig`'s fields, which `LLMFramework.generate` takes as keywords."""

_ALSO_OPTIONS = ("timeout", "max_retries", "fallbacks", "strict_parameters", "tools", "tool_choice")
_CALL_OPTIONS = frozenset((*CONFIG_FIELDS, *_ALSO_OPTIONS))
_MAX_FRAMEWORKS = 32

_frameworks: OrderedDict[tuple[str, str | None, str | None], LLMFramework] = OrderedDict()
_lock = Lock()


def resolve(
    model: str | None,
    *,
    api_key: str | None = None,
    base_url: str | None = None,
    framework: LLMFramework | None = None,
) -> tuple[LLMFramework, str | None]:
    """The framework that answers for `model`, and the model's name there (None: the framework's default).

    Without credentials it is `framework`, or the one that the process shares. With `api_key` or `base_url` it is one
    made for them, which every adapter with the same credentials shares; they belong to the provider that `model`
    names, or to an OpenAI-compatible endpoint where it names none.

    Raises `ConfigurationError` where credentials come without a model or beside a framework.
    """
    if api_key is None and base_url is None:
        return framework or _shared_framework(), model
    if framework is not None:
        raise ConfigurationError("api_key and base_url belong into the framework's api_credentials when one is given")
    if model is None:
        raise ConfigurationError("api_key and base_url need a model name, such as 'openai:gpt-5-mini'")
    provider, name = _provider_of(model, base_url)
    return _framework_for(provider, api_key, base_url), f"{provider}:{name}"


def check_options(options: Mapping[str, Any], known: frozenset[str] = frozenset()) -> None:
    """Raise `InvalidRequestError` for a keyword that is no option of a call; it names the unknown one."""
    for name in options:
        if name not in _CALL_OPTIONS and name not in known:
            names = ", ".join(sorted(_CALL_OPTIONS))
            raise InvalidRequestError(f"{name!r} is not an option of a call; options are {names}")


async def completions(framework: LLMFramework, prompt: Any, options: Mapping[str, Any], number: int) -> list[Any]:
    """`number` answers to one prompt, asked for at the same time. With a seed each has its own: the seed, and those
    after it. A malformed answer stands as its `StructuredOutputError` in its place; other errors are raised."""
    from .engine.batch import gather_in_order

    async def one(index: int) -> Any:
        seed = options.get("seed")
        own = {**options, "seed": seed + index} if seed is not None else options
        try:
            return await framework.generate(prompt, **own)
        except StructuredOutputError as error:
            return error

    functions = [functools.partial(one, index) for index in range(number)]
    return await gather_in_order(functions, max_concurrency=number)


def model_info(framework: LLMFramework, name: str | None) -> ModelInfo | None:
    """What is known of the model that answers for `name`; None where only its provider knows it."""
    try:
        return framework.get_model_info(name or framework.default_model_name())
    except LLMFrameworkError:
        return None


def count_tokens(framework: LLMFramework, name: str | None, request: InferenceRequest) -> int | None:
    """The tokens of the request's prompt as a local model is shown it; None for models elsewhere, which are not asked.

    Loads the model where it is not loaded yet, and blocks meanwhile.
    """
    return _ask_local(framework, name, lambda backend: backend.count_tokens(request))


def token_ids(framework: LLMFramework, name: str | None, text: str) -> list[int] | None:
    """The text's tokens in a local model's vocabulary; None where that is not known. Loads and blocks, as above."""

    async def ask(backend: ModelBackend) -> list[int] | None:
        encode = getattr(backend, "token_ids", None)
        return None if encode is None else await encode(text)

    return _ask_local(framework, name, ask)


def _ask_local(
    framework: LLMFramework, name: str | None, ask: Callable[[ModelBackend], Awaitable[T | None]]
) -> T | None:
    from . import sync

    info = model_info(framework, name)
    if info is None or not info.is_local:
        return None

    async def use() -> T | None:
        await framework.start()
        async with framework.inference_engine.pool.use(info) as backend:
            return await ask(backend)

    return sync.run(use)


def _shared_framework() -> LLMFramework:
    from .framework import shared_framework

    return shared_framework()


def _framework_for(provider: str, api_key: str | None, base_url: str | None) -> LLMFramework:
    from .framework import LLMFramework

    key = (provider, api_key, base_url)
    with _lock:
        if key not in _frameworks:
            given = {"api_key": api_key, "base_url": base_url}
            credentials = {name: value for name, value in given.items() if value is not None}
            _frameworks[key] = LLMFramework({"api_credentials": {provider: credentials}})
        _frameworks.move_to_end(key)
        # A server may see a key per user: forget the ones not used for longest. Calls in progress keep their own.
        while len(_frameworks) > _MAX_FRAMEWORKS:
            _frameworks.popitem(last=False)
        return _frameworks[key]


def _provider_of(model: str, base_url: str | None) -> tuple[str, str]:
    from .registry import find_well_known

    provider, colon, name = model.partition(":")
    # At an endpoint a colon may be part of the name, as in Ollama's "llama3.2:1b".
    if colon and name and (base_url is None or provider in _providers()):
        return provider, name
    known = None if base_url else find_well_known(model)
    return (known.backend_type if known else "openai_compatible"), model


@functools.cache
def _providers() -> frozenset[str]:
    """What may stand before the colon where no configuration says more: providers, gateways, installed backends and
    plugins."""
    from .backends import backend_names
    from .gateways import GATEWAYS
    from .plugins import GROUP
    from .registry.registry import PROVIDERS

    plugins = (entry_point.name for entry_point in entry_points(group=GROUP))
    return frozenset((*PROVIDERS, *GATEWAYS, *backend_names(), *plugins))
