"""`NativeModel`: a model file, its tokenizer and the engine, for scoring and for people who bring their own loop."""

from __future__ import annotations

import difflib
import operator
import secrets
import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ..errors import (
    ConfigurationError,
    ContextOverflowError,
    InvalidRequestError,
    UnsupportedFeatureError,
)
from ..types import GenerationConfig
from .architecture.config import ModelConfig
from .config import read_config
from .disk_cache import DiskCache
from .formats import ModelFile, open_model_file
from .formats.gguf_tokenizer import GgufTokenizer
from .packing import PackedWeights, check_quantization, make_plan, pack, pack_progress
from .reading.strict_json import read_object
from .reading.view import ENGINE_TYPES, fault
from .tokenizer import Tokenizer, load_tokenizer
from .weights import engine_tensors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from . import _native

DEFAULT_MAX_TOKENS = 512
TOKENIZER_CACHE_BYTES = 64 << 20  # Gemma 3's, built from a GGUF file, has 6 MB
PREFILL_TOKENS = 512  # a prompt is taken in such pieces, so that it needs bounded memory and can be interrupted


def open_model(
    path: str | Path,
    *,
    quantization: str | None = None,
    num_threads: int | None = None,
    config: Mapping[str, Any] | str | Path | None = None,
    tokenizer: Tokenizer | str | Path | None = None,
) -> NativeModel:
    """Open the model at `path`: a .gguf file (of a split one the first part), an .sbs file, a .safetensors file, or a
    Hugging Face folder.

    `num_threads` None uses every core. `config` (a config.json, or its content) and `tokenizer` (a tokenizer.json, a
    SentencePiece model, or a folder with either) are for files that carry none, and replace the file's own.
    `quantization` "q8" or "q4" takes weights of 16 or 32 bits to 8 or 4 bits in groups of 32 (the embedding keeps 8) as
    the model is loaded; the result is kept in the user's cache folder, so that this is done once.
    Raises `ModelLoadError`, naming the file and the fault, and `InvalidRequestError` for another `quantization`.
    """
    check_quantization(quantization)
    if num_threads is not None and num_threads < 1:
        raise InvalidRequestError(f"num_threads is {num_threads}; at least 1 is needed")
    if isinstance(config, (str, Path)):
        config = read_object(Path(config).expanduser(), "model config")
    file = open_model_file(path, config)
    try:
        return NativeModel(file, num_threads=num_threads or 0, tokenizer=tokenizer, quantization=quantization)
    except BaseException:
        file.close()
        raise


class NativeModel:
    """A model that is loaded and ready. A context manager; `close` frees it.

    `config` is its architecture, `tokenizer` a `Tokenizer` or None where the file has none, `engine` the
    `_native.Model` underneath, `chat_template` the Jinja source that came with it, or None. `default_sampling` holds
    what the model's makers recommend (temperature, top_k, top_p), as far as the file says. `logits` and `generate` may
    be called from any thread; one runs at a time.
    """

    def __init__(
        self,
        file: ModelFile,
        *,
        num_threads: int = 0,
        tokenizer: Tokenizer | str | Path | None = None,
        quantization: str | None = None,
    ) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._closed = False
        self._module = _engine_module()
        config = read_config(file)
        self.tokenizer = _tokenizer(file, config, tokenizer)
        self.config = _with_token_ids(config, self.tokenizer)
        self.default_sampling = recommended_sampling(file.generation_config)
        self._packed: PackedWeights | None = None
        self.engine: _native.Model = self._load(file, self.config, num_threads, quantization)

    @property
    def chat_template(self) -> str | None:
        """The Jinja source of the chat template that came with the model, or None."""
        return self.config.chat_template

    @property
    def path(self) -> Path:
        """The file or folder the model was opened from."""
        return self._file.path

    @property
    def format(self) -> str:
        """The file's format: "gguf", "sbs" or "safetensors"."""
        return self._file.format

    def require_tokenizer(self) -> Tokenizer:
        """The tokenizer; `ModelLoadError` where the file has none."""
        if self.tokenizer is None:
            raise fault(self.path, "this model comes without a tokenizer: pass tokenizer= (a tokenizer.model or .json)")
        return self.tokenizer

    def tensor_names(self) -> list[str]:
        """The names of the file's tensors, in the file's order."""
        return list(self._file.tensors)

    def tensor(self, name: str) -> NDArray[np.float32]:
        """A tensor's true values, in the file's own layout, as a new float32 array."""
        self._check_open()
        view = self._file.tensors.get(name)
        if view is None:
            near = difflib.get_close_matches(name, self._file.tensors, n=3)
            hint = f"; near: {', '.join(near)}" if near else ""
            raise InvalidRequestError(f"{self.path} has no tensor {name!r}{hint}")
        if view.type not in ENGINE_TYPES:
            raise UnsupportedFeatureError(f"{self.path}: the tensor {name} has the type {view.type}, not decoded yet")
        values: NDArray[np.float32] = self._module.decode_tensor(view.engine_tensor()).reshape(view.shape)
        return values

    def logits(self, ids: Iterable[int]) -> NDArray[np.float32]:
        """The logits after each of `ids`, as a text of its own: float32 [len(ids), vocab_size].

        Raises `InvalidRequestError` for no ids or ids outside the vocabulary, `ContextOverflowError` for too many.
        """
        tokens = self._checked(ids, self.config.max_seq_len)
        with self._lock:
            self._check_open()
            return self.engine.logits(self.engine.new_sequence(len(tokens)), tokens)

    def generate(self, ids: Iterable[int], config: GenerationConfig = GenerationConfig()) -> list[int]:
        """Continue `ids`: the new ids, without the end token (`config.eos_ids`) that ended them, if one did.

        At most `config.max_tokens` (default 512) and what the context has room for. The same seed draws the same ids.
        `stop` strings end the answer at the token that completes one. `thinking` and `logprobs` mean nothing here.
        """
        tokens = self._checked(ids, self.config.max_seq_len - 1)
        limit = min(config.max_tokens or DEFAULT_MAX_TOKENS, self.config.max_seq_len - len(tokens))
        sampler = self._sampler(config)
        stops = _StopStrings(config.stop, self.require_tokenizer()) if config.stop else None
        with self._lock:
            self._check_open()
            return self._decode(tokens, limit, sampler, stops)

    def close(self) -> None:
        """Free the engine's threads and memory, and the map of the file. Safe to call twice."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self.engine.close()
                if self._packed is not None:
                    self._packed.close()
                self._file.close()

    def __enter__(self) -> NativeModel:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<NativeModel {self.config.architecture} {self.config.weight_type} from {self.path}>"

    def _load(self, file: ModelFile, config: ModelConfig, num_threads: int, quantization: str | None) -> _native.Model:
        tensors = engine_tensors(file, config)
        try:
            plan = make_plan(tensors, quantization, packs=self._module.default_packs())
            if plan:
                with pack_progress(file.path) as progress:
                    self._packed = pack(
                        self._module, tensors, plan, file.files, num_threads=num_threads, progress=progress
                    )
                tensors |= self._packed.tensors
            engine: _native.Model = self._module.Model(config.engine_config(), tensors, num_threads=num_threads)
            return engine
        except (ValueError, TypeError, MemoryError, OverflowError, RuntimeError) as error:
            raise fault(file.path, f"the engine refuses this model: {error}") from error

    def _decode(self, tokens: list[int], limit: int, sampler: _native.Sampler, stops: _StopStrings | None) -> list[int]:
        sampler.observe(tokens)
        sequence = self.engine.new_sequence(len(tokens) + limit)
        while len(tokens) > PREFILL_TOKENS:
            self.engine.step([self._module.Row(sequence, tokens[:PREFILL_TOKENS])])
            tokens = tokens[PREFILL_TOKENS:]
        new: list[int] = []
        while len(new) < limit:
            sampled = self.engine.step([self._module.Row(sequence, tokens, sampler)])[0]
            if sampled is None or sampled.token in self.config.eos_ids:
                break
            new.append(sampled.token)
            if stops is not None and stops.completed_by(sampled.token):
                break
            tokens = [sampled.token]
        return new

    def _sampler(self, config: GenerationConfig) -> _native.Sampler:
        seed = secrets.randbits(63) if config.seed is None else config.seed & (2**64 - 1)
        settings: dict[str, Any] = dict(self.default_sampling)
        for name in _SAMPLER_SETTINGS:
            if getattr(config, name) is not None:
                settings[name] = getattr(config, name)
        if config.min_tokens or config.ignore_eos:
            settings["min_tokens"] = self.config.max_seq_len if config.ignore_eos else config.min_tokens
            settings["end_tokens"] = [id for id in self.config.eos_ids if id < self.config.vocab_size]
        try:
            sampler: _native.Sampler = self._module.Sampler(seed, **settings)
            return sampler
        except (ValueError, TypeError) as error:
            raise InvalidRequestError(f"the generation settings cannot be used: {error}") from error

    def _checked(self, ids: Iterable[int], limit: int) -> list[int]:
        self._check_open()
        try:
            tokens = [operator.index(id) for id in ids]
        except TypeError:
            raise InvalidRequestError("token ids must be integers") from None
        if not tokens:
            raise InvalidRequestError("there are no token ids: a text has at least its first token, usually bos")
        wrong = next((id for id in tokens if not 0 <= id < self.config.vocab_size), None)
        if wrong is not None:
            raise InvalidRequestError(f"the token id {wrong} is outside the vocabulary of {self.config.vocab_size}")
        if len(tokens) > limit:
            message = f"the text has {len(tokens)} tokens, and at most {limit} fit the model's context"
            raise ContextOverflowError(message, tokens=len(tokens), limit=limit)
        return tokens

    def _check_open(self) -> None:
        if self._closed:
            raise InvalidRequestError(f"the model {self.path} is closed")


_SAMPLER_SETTINGS = (
    "temperature", "top_k", "top_p", "min_p", "repetition_penalty", "presence_penalty", "frequency_penalty",
    "logit_bias",
)  # fmt: skip


class _StopStrings:
    """Watches an answer grow, token by token, for stop strings."""

    def __init__(self, stops: tuple[str, ...], tokenizer: Tokenizer) -> None:
        self._stops = [stop.encode() for stop in stops]
        self._keep = max(map(len, self._stops)) - 1
        self._tokenizer = tokenizer
        self._tail = b""

    def completed_by(self, token: int) -> bool:
        text = self._tail + self._tokenizer.token_bytes(token)
        self._tail = text[-self._keep :] if self._keep else b""
        return any(stop in text for stop in self._stops)


def _engine_module() -> Any:
    try:
        from . import _native
    except ImportError as error:
        message = f"the compiled engine of llm-framework cannot be loaded ({error}); reinstall the package"
        raise ConfigurationError(message) from error
    return _native


def _tokenizer(file: ModelFile, config: ModelConfig, given: Tokenizer | str | Path | None) -> Tokenizer | None:
    if isinstance(given, Tokenizer):
        return given
    source = given if given is not None else file.tokenizer
    if source is None:
        return None
    if isinstance(source, GgufTokenizer):
        source = DiskCache("tokenizers", TOKENIZER_CACHE_BYTES).get(source.key(), source.sentencepiece_model)
    return load_tokenizer(source, file.path, bos_id=config.bos_id, eos_ids=config.eos_ids)


def _with_token_ids(config: ModelConfig, tokenizer: Tokenizer | None) -> ModelConfig:
    """The config with the begin and end tokens that the tokenizer knows of as well."""
    if tokenizer is None:
        return config
    bos_id = config.bos_id if tokenizer.bos_id is None else tokenizer.bos_id
    return replace(config, bos_id=bos_id, eos_ids=config.eos_ids | tokenizer.eos_ids)


def recommended_sampling(generation: Mapping[str, Any]) -> dict[str, float]:
    """The sampling that generation_config.json recommends; what makes no sense there is left out. `do_sample: false`
    means greedy."""
    if generation.get("do_sample") is False:
        return {"temperature": 0.0}
    settings: dict[str, float] = {}
    for name, kind in (("temperature", float), ("top_k", int), ("top_p", float)):
        value = generation.get(name)
        if (
            isinstance(value, (int, float))
            and not isinstance(value, bool)
            and 0 <= value <= (1 if name == "top_p" else 1e6)
        ):
            settings[name] = kind(value)
    return settings
