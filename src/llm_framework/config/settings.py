"""`LLMConfig`: every setting, and the one function that decides which source wins.

Environment `LLM_FRAMEWORK_<FIELD>` > values given in code > YAML > defaults. Nothing else in the package reads the
environment, except `secrets` for keys.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    TypeAdapter,
    ValidationError,
    field_serializer,
    model_serializer,
)

from .. import secrets
from ..errors import ConfigurationError
from ..logs import get_logger
from ..redaction import redact_value
from .origins import MAY_HOLD_SECRETS, Setting, explain, nearest
from .yaml_file import read_yaml

logger = get_logger(__name__)

ENV_PREFIX = "LLM_FRAMEWORK_"
CONFIG_VARIABLE = "LLM_FRAMEWORK_CONFIG"
CONFIG_FILE = "framework_config.yaml"
CONTENT_VARIABLE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"  # OpenTelemetry's own name for the wish
_OTHER_VARIABLES = {"CONFIG", "ISA"}  # ours, but no field: the YAML file's path, the C++ engine's kernel table
_APP = "llm-framework"

DEFAULT_CONCURRENCY = 10
NATIVE_CONCURRENCY = 64  # native models answer many requests in one batch

Positive = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def default_models_dir() -> Path:
    """`/.models` if it exists, else `models` in the user's data folder."""
    shared = Path("/.models")
    if shared.is_dir():
        return shared
    from platformdirs import user_data_path

    return user_data_path(_APP, appauthor=False) / "models"


def default_cache_path() -> Path:
    """Where the registry remembers what it found."""
    from platformdirs import user_cache_path

    return user_cache_path(_APP, appauthor=False) / "models.json"


def num_cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1


def _as_path(value: Any) -> Any:
    return Path(value).expanduser() if isinstance(value, str) and value else value


def _as_secret(value: Any) -> Any:
    return SecretStr(value) if isinstance(value, str) else value


def _as_upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
ExpandedPath = Annotated[Path, BeforeValidator(_as_path)]


class Credentials(BaseModel):
    """How to reach one provider or endpoint. `provider` names the dialect where the section's own name is none.

    Settings that only one provider knows stand beside these; they are passed on to its backend. No key is part of a
    repr, a dump or a pickle: in another process it is looked for anew, where `api_key_env` or the provider's usual
    variable says.
    """

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)

    provider: str | None = None
    api_key: Annotated[SecretStr, BeforeValidator(_as_secret)] | None = None
    api_key_env: str | None = None
    api_key_command: str | list[str] | None = None
    base_url: str | None = None
    requests_per_minute: Annotated[float, Field(gt=0)] | None = None
    tokens_per_minute: Annotated[float, Field(gt=0)] | None = None

    def model_post_init(self, context: Any, /) -> None:
        """Every secret among the settings is known from here on."""
        secrets.remember_settings(dict(self))

    def __repr_args__(self) -> Any:
        for name, value in super().__repr_args__():  # an unknown setting may be a secret
            yield name, redact_value(value) if name in type(self).model_fields else "***"

    @model_serializer(mode="wrap")
    def _without_keys(self, serialize: Any) -> Any:
        return redact_value(serialize(self))

    def __getstate__(self) -> dict[Any, Any]:
        state = super().__getstate__()
        fields = {**redact_value(state["__dict__"]), "api_key": None}
        return {**state, "__dict__": fields, "__pydantic_extra__": redact_value(state["__pydantic_extra__"])}


class LLMConfig(BaseModel):
    """The framework's settings; times are in seconds, None is no limit. A value once made does not change.

    `LLMConfig(**values)` and `LLMConfig.load(path, values)` both obey the environment and the YAML file. Raises
    `ConfigurationError` naming the key, and the file and line, for unknown keys and wrong types.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    # models
    models_dir: ExpandedPath = Field(
        default_factory=default_models_dir,
        description="the folder that is searched for models; default: `/.models` if it exists, else `models` in the "
        "user's data folder",
    )
    auto_discover_models: bool = Field(True, description="search it")
    default_model: str | None = Field(None, description="the model that answers where a call names none")
    quantization: str | None = Field(None, description="take weights to `q8` or `q4` (bits) when they are loaded")
    memory_limit_gb: Annotated[float, Field(gt=0)] | None = Field(
        None, description="for all local models together; the one used longest ago makes room"
    )
    num_threads: Positive = Field(
        default_factory=num_cores, description="of a local model; default: the cores of this machine"
    )
    prefix_cache_gb: Annotated[float, Field(ge=0, lt=1e6)] | None = Field(
        None,
        description="memory for texts that a local model has read, per model; none: an eighth of the machine's, 4 at "
        "most; 0: nothing is kept",
    )
    # performance
    max_concurrent_requests: Positive | dict[str, Positive] = Field(
        DEFAULT_CONCURRENCY,
        description="at once, per model: a number, or `{model: number}`; native models take 64 where nothing is set",
    )
    max_queue: Annotated[int, Field(ge=0)] = Field(1000, description="requests that wait, per model")
    default_timeout: Seconds | None = Field(
        300.0, description="seconds for a request with its retries, waits, fallbacks and the reading of its stream"
    )
    attempt_timeout: Seconds | None = Field(None, description="seconds for one attempt")
    connect_timeout: Seconds | None = Field(10.0, description="seconds to reach a server")
    first_token_timeout: Seconds | None = Field(None, description="seconds until the answer begins")
    idle_timeout: Seconds | None = Field(60.0, description="seconds without anything new in a stream")
    max_retries: Annotated[int, Field(ge=0)] = Field(2, description="further attempts after a fault that may pass")
    # generation
    default_max_tokens: Positive | None = Field(512, description="longest answer, in tokens")
    default_temperature: Annotated[float, Field(ge=0, le=100)] | None = Field(
        0.7, description="0 always takes the likeliest token"
    )
    default_top_p: Annotated[float, Field(ge=0, le=1)] | None = Field(
        None, description="draw from the likeliest tokens that hold this much probability"
    )
    default_top_k: Annotated[int, Field(ge=0)] | None = Field(None, description="draw from this many tokens; 0: all")
    # the rest: a section each
    api_credentials: dict[str, Credentials] = Field(
        default_factory=dict, description="how to reach a provider or endpoint, by its name"
    )
    enable_fallbacks: bool = Field(True, description="ask other models where one fails")
    fallback_models: list[str] = Field(default_factory=list, description="which ones, in this order")
    fallback_on_content_filter: bool = Field(False, description="also where a model refuses for the content")
    breaker_failures: Positive = Field(5, description="faults in a row after which a model is left alone for a while")
    breaker_cooldown: Seconds = Field(30.0, description="that while, in seconds")
    plugin_dirs: list[ExpandedPath] = Field(default_factory=list, description="folders whose plugins are loaded")
    plugins: dict[str, dict[str, Any]] = Field(
        default_factory=dict, repr=False, description="a plugin's own settings, by its name; they may hold keys"
    )
    plugin_timeout: Seconds = Field(30.0, description="seconds for each import, initialize and shutdown of a plugin")
    log_level: Annotated[LogLevel, BeforeValidator(_as_upper)] = Field("WARNING", description="of what is logged")
    telemetry_content: bool = Field(
        False, description="whether OpenTelemetry's spans hold prompts and answers, not only what is said of them"
    )

    _origins: dict[str, str] = PrivateAttr(default_factory=dict)
    _file: Path | None = PrivateAttr(default=None)

    @field_serializer("plugins")
    def _plugins_without_keys(self, plugins: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        return redact_value(plugins)

    def __getstate__(self) -> dict[Any, Any]:
        state = super().__getstate__()
        return {**state, "__dict__": {**state["__dict__"], "plugins": redact_value(self.plugins)}}

    def __init__(self, yaml_path: str | os.PathLike[str] | None = None, /, **values: Any) -> None:
        path = find_yaml(yaml_path)
        settings = _merge(path, values)
        try:
            super().__init__(**{name: setting.value for name, setting in settings.items()})
        except ValidationError as error:
            raise explain(error, settings) from None
        self._origins = {key: origin for name, setting in settings.items() for key, origin in setting.origins(name)}
        self._file = path
        for plugin_settings in self.plugins.values():
            secrets.remember_settings(plugin_settings)

    @classmethod
    def load(cls, path: str | os.PathLike[str] | None = None, values: Mapping[str, Any] | None = None) -> LLMConfig:
        """The configuration from a YAML file and values given in code. Without `path`: the file that
        `LLM_FRAMEWORK_CONFIG` names, else `framework_config.yaml` here or in the user's configuration folder."""
        return cls(path, **dict(values or {}))

    @property
    def file(self) -> Path | None:
        """The YAML file that was read; None where there is none."""
        return self._file

    def origin(self, field: str) -> str:
        """Where the field's value came from: "default", "code", "YAML file PATH, line N" or "environment variable
        NAME". What stands inside a field has a name with dots, "api_credentials.openai.base_url"."""
        parts = field.split(".")
        if parts[0] not in type(self).model_fields:
            raise ConfigurationError(f"no setting is named {field!r}{nearest(field, type(self).model_fields)}")
        outer = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
        return next((self._origins[name] for name in outer if name in self._origins), "default")

    def concurrency_of(self, model: str, backend_type: str) -> int:
        """How many requests of this model may run at once."""
        limit = self.max_concurrent_requests
        if isinstance(limit, dict) and model in limit:
            return limit[model]
        if isinstance(limit, int) and self.origin("max_concurrent_requests") != "default":
            return limit
        return NATIVE_CONCURRENCY if backend_type == "native" else DEFAULT_CONCURRENCY


# ----------------------------------------------------------------------------------------------------- the one merge
def _merge(path: Path | None, values: Mapping[str, Any]) -> dict[str, Setting]:
    """Every value that is given anywhere, the strongest source winning."""
    settings = _from_yaml(path) if path else {}
    settings.update(_from_code(values))
    settings.update(_from_environment())
    return settings


SECTIONS: dict[str, tuple[str, ...]] = {
    "models": (
        "models_dir", "auto_discover_models", "default_model", "quantization", "memory_limit_gb", "num_threads",
        "prefix_cache_gb",
    ),
    "performance": (
        "max_concurrent_requests", "max_queue", "default_timeout", "attempt_timeout", "connect_timeout",
        "first_token_timeout", "idle_timeout", "max_retries",
    ),
    "generation": ("default_max_tokens", "default_temperature", "default_top_p", "default_top_k"),
    "api_credentials": ("api_credentials",),
    "fallbacks": ("enable_fallbacks", "fallback_models", "fallback_on_content_filter"),
    "reliability": ("breaker_failures", "breaker_cooldown"),
    "plugins": ("plugin_dirs", "plugins", "plugin_timeout"),
    "logging": ("log_level", "telemetry_content"),
}  # fmt: skip
"""The YAML sections and their fields. Fields may also stand at the top level of the file."""


def _flatten(document: Mapping[Any, Any]) -> dict[tuple[str, ...], Any]:
    """The document's values by key path: ("generation", "default_top_p") or, flat, ("default_top_p",)."""
    flat: dict[tuple[str, ...], Any] = {}
    for key, value in document.items():
        name = str(key)
        if name not in SECTIONS or not isinstance(value, Mapping):
            if name not in SECTIONS or value is not None:  # of a section nothing may be left but its name
                flat[(name,)] = value
            continue
        inside = {str(k): v for k, v in value.items()}
        if name in LLMConfig.model_fields:  # `plugins` and `api_credentials` are both a section and a field
            flat.update({(name, k): inside.pop(k) for k in SECTIONS[name] if k in inside})
            if inside or (name, name) not in flat:
                flat[(name,)] = {**(flat.pop((name, name), None) or {}), **inside}
        else:
            flat.update({(name, k): v for k, v in inside.items()})
    return flat


def _check_known(path: tuple[str, ...], where: str) -> str:
    """The field that the key path names; an error if there is none."""
    section, key = (path[0], path[-1]) if len(path) > 1 else (None, path[0])
    known = SECTIONS[section] if section else tuple(LLMConfig.model_fields)
    if key in known:
        return key
    if section is None and key in SECTIONS:
        raise ConfigurationError(f"{where}: {key!r} is a section and must hold {', '.join(SECTIONS[key])}")
    home = next((name for name, fields in SECTIONS.items() if key in fields), None)
    if section and home:
        hint = f"; it belongs in the section {home!r}"
    else:
        hint = nearest(key, known if section else (*known, *SECTIONS))
    raise ConfigurationError(f"{where}: unknown setting {'.'.join(path)!r}{hint}")


def _from_code(values: Mapping[str, Any]) -> dict[str, Setting]:
    flat = _flatten(values)
    return {_check_known(path, "values given in code"): Setting(value, "code") for path, value in flat.items()}


def _from_environment() -> dict[str, Setting]:
    settings: dict[str, Setting] = {}
    if wish := os.environ.get(CONTENT_VARIABLE, "").strip():
        in_spans = wish.upper() in ("SPAN_ONLY", "SPAN_AND_EVENT", "TRUE")
        settings["telemetry_content"] = Setting(in_spans, f"environment variable {CONTENT_VARIABLE}")
    for variable, text in os.environ.items():
        if not variable.startswith(ENV_PREFIX):
            continue
        name = variable[len(ENV_PREFIX) :]
        if name in _OTHER_VARIABLES:
            continue
        field = name.lower()
        if field not in LLMConfig.model_fields or name != name.upper():
            logger.debug("ignoring the environment variable %s: no setting has that name", variable)
        elif text.strip() or _is_list(field):
            settings[field] = Setting(_parse_text(field, text, variable), f"environment variable {variable}")
    return settings


def _is_list(field: str) -> bool:
    return str(LLMConfig.model_fields[field].annotation).startswith("list[")


def _parse_text(field: str, text: str, variable: str) -> Any:
    """A variable's text as the field's type: comma-separated lists, JSON for mappings, none for "no value"."""
    text = text.strip()
    if _is_list(field):
        return [item.strip() for item in text.split(",") if item.strip()]
    if text.startswith("{"):
        try:
            return json.loads(text)
        except ValueError as error:
            raise ConfigurationError(f"environment variable {variable}: the value is not valid JSON: {error}") from None
    annotation: Any = LLMConfig.model_fields[field].annotation
    if text.lower() in ("none", "null") and type(None) in getattr(annotation, "__args__", ()):
        return None
    try:
        for constraint in LLMConfig.model_fields[field].metadata:
            annotation = Annotated[annotation, constraint]
        return TypeAdapter(annotation).validate_python(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        shown = "" if field in MAY_HOLD_SECRETS else f", not {text!r}"
        raise ConfigurationError(f"environment variable {variable} ({field}): {first['msg']}{shown}") from None


# -------------------------------------------------------------------------------------------------------------- YAML
def find_yaml(path: str | os.PathLike[str] | None = None) -> Path | None:
    """The configuration file: `path`, else the one that `LLM_FRAMEWORK_CONFIG` names, else the first of `usual_files`
    that exists. Raises `ConfigurationError` where one is named and is no file."""
    named = path or os.environ.get(CONFIG_VARIABLE)
    if named:
        found = Path(named).expanduser()
        if not found.is_file():
            source = "" if path else f" (named by {CONFIG_VARIABLE})"
            fault = "is not a file" if found.exists() else "does not exist"
            raise ConfigurationError(f"the configuration file {found}{source} {fault}")
        return found
    return next((candidate for candidate in usual_files() if candidate.is_file()), None)


def usual_files() -> tuple[Path, Path]:
    """Where a configuration file is looked for that nobody names, in this order."""
    from platformdirs import user_config_path

    return Path(CONFIG_FILE), user_config_path(_APP, appauthor=False) / CONFIG_FILE


def _from_yaml(path: Path) -> dict[str, Setting]:
    document, lines = read_yaml(path)
    settings: dict[str, Setting] = {}
    for key_path, value in _flatten(document).items():
        line = lines.get(key_path, 1)
        where = f"{path}, line {line}"
        name = _check_known(key_path, where)
        if name in settings:
            raise ConfigurationError(f"{where}: {name!r} is set twice in this file")
        settings[name] = Setting(value, f"YAML file {where}", path, _lines_below(lines, key_path, line))
    return settings


def _lines_below(
    lines: Mapping[tuple[str, ...], int], key_path: tuple[str, ...], line: int
) -> dict[tuple[str, ...], int]:
    length = len(key_path)
    below = {path[length:]: number for path, number in lines.items() if path[:length] == key_path}
    return {**below, (): line}
