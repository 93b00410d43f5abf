"""The configuration: every setting, where it came from, the YAML file and its JSON schema."""

from __future__ import annotations

from .settings import (
    CONFIG_FILE,
    DEFAULT_CONCURRENCY,
    NATIVE_CONCURRENCY,
    SECTIONS,
    Credentials,
    LLMConfig,
    default_cache_path,
    default_models_dir,
    find_yaml,
    num_cores,
    usual_files,
)

__all__ = [
    "CONFIG_FILE",
    "DEFAULT_CONCURRENCY",
    "NATIVE_CONCURRENCY",
    "SECTIONS",
    "Credentials",
    "LLMConfig",
    "default_cache_path",
    "default_models_dir",
    "find_yaml",
    "num_cores",
    "usual_files",
]
