"""What comes before any model is read with Transformers: its folder looked at, the settings as `from_pretrained` takes
them, and errors in our own words."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError, LLMFrameworkError, MissingDependencyError, ModelLoadError

if TYPE_CHECKING:
    from ..registry import ModelInfo

UNKNOWN_CONTEXT = 4096  # for the few models whose files do not say how much they read
_DTYPES = ("auto", "float32", "float16", "bfloat16")
_QUANTIZATIONS = {"4bit": "load_in_4bit", "int4": "load_in_4bit", "8bit": "load_in_8bit", "int8": "load_in_8bit"}


def checked_folder(model_info: ModelInfo) -> Path:
    """The model's folder, which has what is needed. Weights are looked at by name alone: nothing is unpickled."""
    name, path = model_info.name, model_info.path
    if path is None:
        message = f"the model {name!r} has no path; name a folder, as in transformers:/path/to/folder"
        raise ModelLoadError(message, model=name)
    folder = Path(path).expanduser()
    if not (folder / "config.json").is_file():
        fault = f"{folder} is no Hugging Face folder: it has no config.json"
    elif not any(folder.glob("*.safetensors")):
        pickled = sorted(file.name for pattern in ("*.bin", "*.pt", "*.pth", "*.ckpt") for file in folder.glob(pattern))
        fault = f"{folder} has no safetensors file"
        if pickled:
            fault = (
                f"{folder} has pickled weights only ({', '.join(pickled[:3])}), which can run code when they are read "
                "and are refused; convert them to safetensors"
            )
    else:
        return folder
    raise ModelLoadError(fault, model=name, path=str(folder))


def require_transformers() -> Any:
    try:
        import torch  # noqa: F401 - Transformers imports without it, and then has no models
        import transformers
    except ImportError as error:
        raise MissingDependencyError("the backend 'transformers'", "transformers") from error
    return transformers


def load_options(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What `from_pretrained` is told beside the folder. Raises `ConfigurationError` for a value that is unknown."""
    options: dict[str, Any] = {"dtype": _dtype(settings)}
    if settings.get("device_map") is not None:
        _require("accelerate", "spreading a model over devices (device_map)")
        options["device_map"] = settings["device_map"]
    if settings.get("quantization") is not None:
        options["quantization_config"] = _quantization(str(settings["quantization"]))
        options.setdefault("device_map", {"": device_of(settings)})
    return options


def device_of(settings: Mapping[str, Any]) -> str:
    import torch

    if settings.get("device") not in (None, "auto"):
        device = str(settings["device"])
        try:
            torch.device(device)
        except (RuntimeError, ValueError) as error:
            raise ConfigurationError(f"device is {device!r}, which torch does not know; try cpu or cuda") from error
        if device.startswith("cuda") and not torch.cuda.is_available():
            raise ConfigurationError(f"device is {device!r}, and torch finds no CUDA device here; use cpu")
        return device
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _dtype(settings: Mapping[str, Any]) -> str:
    dtype = settings.get("dtype")
    if dtype is None:
        return "float32" if device_of(settings) == "cpu" and settings.get("device_map") is None else "auto"
    name = str(dtype).removeprefix("torch.")
    if name not in _DTYPES:
        raise ConfigurationError(f"dtype is {dtype!r}; it must be one of {', '.join(_DTYPES)}")
    return name


def _quantization(name: str) -> Any:
    from transformers import BitsAndBytesConfig

    if name not in _QUANTIZATIONS:
        raise ConfigurationError(f"quantization is {name!r}; this backend knows {', '.join(_QUANTIZATIONS)}")
    for package in ("bitsandbytes", "accelerate"):
        _require(package, f"quantization={name!r}")
    config: Any = BitsAndBytesConfig
    return config(**{_QUANTIZATIONS[name]: True})


def _require(package: str, feature: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise MissingDependencyError(f"{feature} with the backend 'transformers'", "transformers-gpu")


@contextmanager
def typed_errors(folder: Path, name: str) -> Iterator[None]:
    """Whatever Transformers, torch and safetensors raise while they load, as a `ModelLoadError` of one sentence."""
    try:
        yield
    except LLMFrameworkError:
        raise
    except Exception as error:
        said = " ".join(str(error).split())
        if "trust_remote_code" in said:
            message = f"{folder} needs code that comes with it, which is not run unless trust_remote_code is set"
        elif type(error).__name__ == "OutOfMemoryError":
            message = f"{folder} does not fit the device's memory; set dtype, quantization or device_map"
        else:
            message = f"{folder} cannot be loaded by Transformers: {type(error).__name__}: {said[:300]}"
        raise ModelLoadError(message, model=name, path=str(folder)) from error


@contextmanager
def quiet(transformers: Any) -> Iterator[None]:
    """Without Transformers' progress bars, which a library does not draw."""
    logging = transformers.utils.logging
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
