"""One package to run language models: local ones on our own CPU engine, and the cloud providers'.

Names are loaded when they are first used, so importing this package loads no SDK, no LangChain and no numpy.
"""

from __future__ import annotations

import importlib
import logging
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from .backends.base import ModelBackend as ModelBackend
    from .config import LLMConfig as LLMConfig
    from .embedding import EmbeddingRequest as EmbeddingRequest
    from .embedding import EmbeddingResponse as EmbeddingResponse
    from .embedding import Embeddings as Embeddings
    from .engine import InferenceEngine as InferenceEngine
    from .errors import AuthenticationError as AuthenticationError
    from .errors import BadResponseError as BadResponseError
    from .errors import ConfigurationError as ConfigurationError
    from .errors import ConnectionFailedError as ConnectionFailedError
    from .errors import ContentFilterError as ContentFilterError
    from .errors import ContextOverflowError as ContextOverflowError
    from .errors import InvalidRequestError as InvalidRequestError
    from .errors import LLMFrameworkError as LLMFrameworkError
    from .errors import MissingDependencyError as MissingDependencyError
    from .errors import ModelLoadError as ModelLoadError
    from .errors import ModelNotFoundError as ModelNotFoundError
    from .errors import PermissionDeniedError as PermissionDeniedError
    from .errors import PluginError as PluginError
    from .errors import ProviderUnavailableError as ProviderUnavailableError
    from .errors import QueueFullError as QueueFullError
    from .errors import QuotaExceededError as QuotaExceededError
    from .errors import RateLimitError as RateLimitError
    from .errors import RequestCancelledError as RequestCancelledError
    from .errors import RequestTimeoutError as RequestTimeoutError
    from .errors import StreamInterruptedError as StreamInterruptedError
    from .errors import StructuredOutputError as StructuredOutputError
    from .errors import UnsupportedFeatureError as UnsupportedFeatureError
    from .framework import LLMFramework as LLMFramework
    from .framework import quick_generate as quick_generate
    from .plugins import BaseModelPlugin as BaseModelPlugin
    from .plugins import PluginManager as PluginManager
    from .plugins import PluginMetadata as PluginMetadata
    from .registry import ModelInfo as ModelInfo
    from .registry import ModelRegistry as ModelRegistry
    from .registry import ModelType as ModelType
    from .types import Attempt as Attempt
    from .types import Chunk as Chunk
    from .types import DocumentPart as DocumentPart
    from .types import GenerationConfig as GenerationConfig
    from .types import ImagePart as ImagePart
    from .types import InferenceRequest as InferenceRequest
    from .types import InferenceResponse as InferenceResponse
    from .types import Message as Message
    from .types import ResponseFormat as ResponseFormat
    from .types import TextPart as TextPart
    from .types import ThinkingPart as ThinkingPart
    from .types import Timings as Timings
    from .types import TokenLogprob as TokenLogprob
    from .types import ToolCall as ToolCall
    from .types import ToolCallDelta as ToolCallDelta
    from .types import ToolResult as ToolResult
    from .types import ToolSpec as ToolSpec
    from .types import Usage as Usage

_EXPORTS: dict[str, tuple[str, ...]] = {
    "framework": ("LLMFramework", "quick_generate"),
    "config": ("LLMConfig",),
    "embedding": ("EmbeddingRequest", "EmbeddingResponse", "Embeddings"),
    "engine": ("InferenceEngine",),
    "registry": ("ModelInfo", "ModelRegistry", "ModelType"),
    "plugins": ("BaseModelPlugin", "PluginManager", "PluginMetadata"),
    "backends.base": ("ModelBackend",),
    "types": (
        "Attempt", "Chunk", "DocumentPart", "GenerationConfig", "ImagePart", "InferenceRequest", "InferenceResponse",
        "Message", "ResponseFormat", "TextPart", "ThinkingPart", "Timings", "TokenLogprob", "ToolCall",
        "ToolCallDelta", "ToolResult", "ToolSpec", "Usage",
    ),
    "errors": (
        "AuthenticationError", "BadResponseError", "ConfigurationError", "ConnectionFailedError", "ContentFilterError",
        "ContextOverflowError", "InvalidRequestError", "LLMFrameworkError", "MissingDependencyError", "ModelLoadError",
        "ModelNotFoundError", "PermissionDeniedError", "PluginError", "ProviderUnavailableError", "QueueFullError",
        "QuotaExceededError", "RateLimitError", "RequestCancelledError", "RequestTimeoutError",
        "StreamInterruptedError", "StructuredOutputError", "UnsupportedFeatureError",
    ),
}  # fmt: skip
_MODULE_OF = {name: module for module, names in _EXPORTS.items() for name in names}

__all__ = ["__version__", *sorted(_MODULE_OF)]

logging.getLogger(__name__).addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_MODULE_OF[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE_OF})
