"""`HuggingFaceBackend`: text models of every family that Transformers runs, on the processor or an accelerator."""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio.to_thread

from ..decoding.chat_template import SpecialGuard
from ..decoding.dialects import choose_dialect
from ..embedding import EmbeddingLimits, EmbeddingRequest, Embeddings
from ..errors import UnsupportedFeatureError
from ..native.model import recommended_sampling
from ..native.policy import STALL_SECONDS, PrefillBudget
from ..native.scheduler import Scheduler
from ..registry.description import CONTEXT_NAMES
from ..types import GenerationConfig
from .hub_loading import (
    UNKNOWN_CONTEXT,
    checked_folder,
    device_of,
    load_options,
    quiet,
    require_transformers,
    typed_errors,
)
from .local import LocalBackend, LocalModel, choose_constraints, choose_template

if TYPE_CHECKING:
    from ..registry import ModelInfo
    from .torch_embedding import TextEncoder
    from .torch_engine import TorchEngine
    from .torch_sampling import TorchSampler

MAX_BATCH = 16
# What ends a turn in templates whose models' files name the end of a text only.
_TURN_ENDS = ("<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<|end|>", "<end_of_turn>", "<turn|>")


class HuggingFaceBackend(LocalBackend):
    """A Hugging Face folder (config.json, safetensors, tokenizer) in Transformers.

    `settings`: `device` ("cuda", "cuda:1", "mps", "cpu"; default: an accelerator where there is one), `dtype`
    ("float32", "float16", "bfloat16", or "auto" for the file's own; default: float32 on the processor, else "auto"),
    `device_map` (as Transformers takes it, needs accelerate), `quantization` ("4bit" or "8bit", needs bitsandbytes),
    `trust_remote_code` (default False: code that comes with a model is not run), `num_threads` (at most so many; torch
    may take it for the whole process), `max_batch` (requests that decode in turn). Pickled weights are refused.
    Requests may come from several event loops at the same time. Closing a stream stops its work before the next token.
    Models that make embeddings are read by `hub_encoder`, which says what else they can be told.
    """

    embedding_limits = EmbeddingLimits(texts=256)

    def __init__(self, model_info: ModelInfo, settings: Mapping[str, Any] | None = None) -> None:
        super().__init__(model_info, settings)
        self._encoder: TextEncoder | None = None
        self._encoder_lock = threading.Lock()

    @property
    def makes_embeddings(self) -> bool:
        """Whether the model turns texts into vectors, rather than into other texts."""
        path, kind = self.model_info.path, self.model_info.model_type
        return str(kind) == "embedding" or (path is not None and (Path(path).expanduser() / "modules.json").is_file())

    async def load_model(self) -> None:
        """Read the weights, in a thread. Several calls at once read them once. Raises `ModelLoadError`."""
        if self.makes_embeddings:
            await self._require_encoder()
        else:
            await super().load_model()

    async def unload_model(self) -> None:
        """Free the weights and end the thread; requests that still run fail."""
        encoder, self._encoder = self._encoder, None
        if encoder is not None:
            await anyio.to_thread.run_sync(encoder.close)
        await super().unload_model()

    def open_model(self) -> HubModel:
        """Read the folder of a model that writes."""
        if self.makes_embeddings:
            message = f"{self.model_info.name} makes embeddings and writes no text; use embed, or name a chat model"
            raise UnsupportedFeatureError(message, feature="generate", model=self.model_info.name)
        return load(self.model_info, self.settings)

    async def embed(self, request: EmbeddingRequest) -> Embeddings:
        """A vector for each text, see `ModelBackend.embed`. Raises `ContextOverflowError` for a text that is too long;
        nothing is cut off. When it is cancelled, the work ends before the next pass."""
        if not self.makes_embeddings:
            return await super().embed(request)
        encoder = await self._require_encoder()
        stop = threading.Event()
        try:
            return await anyio.to_thread.run_sync(encoder.encode, request, stop, abandon_on_cancel=True)
        finally:
            stop.set()

    async def _require_encoder(self) -> TextEncoder:
        if (encoder := self._encoder) is not None:
            return encoder
        return await anyio.to_thread.run_sync(self._load_encoder, abandon_on_cancel=True)

    def _load_encoder(self) -> TextEncoder:
        from .hub_encoder import load_encoder

        with self._encoder_lock:
            if self._encoder is None:
                self._encoder = load_encoder(self.model_info, self.settings)
            return self._encoder


@dataclass(frozen=True, kw_only=True)
class HubModel(LocalModel):
    """A model in Transformers."""

    engine: TorchEngine

    def new_sampler(self, config: GenerationConfig, settings: Mapping[str, Any]) -> TorchSampler:
        """A sampler on the device of the model."""
        from .torch_sampling import TorchSampler

        seed = secrets.randbits(63) if config.seed is None else config.seed % 2**64
        return TorchSampler(seed, num_logprobs=-1 if config.logprobs is None else config.logprobs, **settings)

    def visible_bytes(self, token: int) -> bytes:
        """What a token adds to the answer: nothing, if the model's files declare it special and the dialect does not
        read it."""
        text = self.tokenizer.token_bytes(token)
        if self.tokenizer.is_silent(token) and text.decode() not in self.dialect.markers:
            return b""
        return text

    def close(self) -> None:
        """Stop the scheduler and free the model. Safe to call twice."""
        self.scheduler.close()
        if self.constraints is not None:
            self.constraints.close()
        self.engine.close()


def load(model_info: ModelInfo, settings: Mapping[str, Any]) -> HubModel:
    """Read the folder and choose what fits the model. Raises `ModelLoadError` and `MissingDependencyError`."""
    from .hub_tokenizer import HubTokenizer
    from .torch_engine import TorchEngine, TorchRow

    folder = checked_folder(model_info)
    transformers = require_transformers()
    options = load_options(settings)
    with typed_errors(folder, model_info.name), quiet(transformers):
        trust = {"trust_remote_code": bool(settings.get("trust_remote_code")), "local_files_only": True}
        hub_tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **trust)
        network = transformers.AutoModelForCausalLM.from_pretrained(folder, use_safetensors=True, **trust, **options)
        if "device_map" not in options:
            network.to(device_of(settings))
        engine = TorchEngine(network.eval(), settings.get("num_threads"))
    source = _chat_template(hub_tokenizer)
    eos_ids = _eos_ids(network, hub_tokenizer)
    tokenizer = HubTokenizer(hub_tokenizer, eos_ids=eos_ids)
    dialect, specials = choose_dialect(source), tokenizer.specials
    ends = [*dialect.ends, *(name for name in _TURN_ENDS if source and name in source)]
    max_batch = settings.get("max_batch") or MAX_BATCH
    vocab_size = network.get_input_embeddings().weight.shape[0]
    return HubModel(
        name=model_info.name,
        engine=engine,
        tokenizer=tokenizer,
        scheduler=Scheduler(
            engine, TorchRow, name=model_info.name, max_batch=max_batch, budget=_budget(engine.prefill_tokens)
        ),
        template=choose_template(source, tokenizer, eos_ids, model_info),
        dialect=dialect,
        guard=SpecialGuard(specials),
        context_length=_context_length(network, hub_tokenizer, model_info),
        vocab_size=vocab_size,
        stop_ids=eos_ids | {specials[name] for name in ends if name in specials},
        recommended=recommended_sampling(_json(folder / "generation_config.json")),
        constraints=choose_constraints(dialect, tokenizer, vocab_size, eos_ids),
    )


def _budget(prefill_tokens: int) -> PrefillBudget:
    """Prompts in pieces that keep other answers going, but for models that take them only as a whole."""
    from .torch_engine import WHOLE_PROMPTS

    return PrefillBudget(prefill_tokens, stall_seconds=None if prefill_tokens == WHOLE_PROMPTS else STALL_SECONDS)


# ----------------------------------------------------------------------------------------------------- what it says
def _chat_template(tokenizer: Any) -> str | None:
    template = tokenizer.chat_template
    if isinstance(template, dict):  # several, by purpose
        template = template.get("tool_use") or template.get("default")
    return template if isinstance(template, str) else None


def _eos_ids(network: Any, tokenizer: Any) -> frozenset[int]:
    sources = (network.generation_config, network.config, network.config.get_text_config(), tokenizer)
    ids: set[int] = set()
    for source in sources:
        value = getattr(source, "eos_token_id", None)
        ids.update(value if isinstance(value, (list, tuple)) else () if value is None else (value,))
    return frozenset(ids)


def _context_length(network: Any, tokenizer: Any, model_info: ModelInfo) -> int:
    """What the model can read: by its config, else by its tokenizer; the registry may set less."""
    config = network.config.get_text_config()
    named = (getattr(config, name, None) for name in CONTEXT_NAMES)
    limit: int | None = next((limit for limit in named if isinstance(limit, int) and limit > 0), None)
    if limit is None and 0 < tokenizer.model_max_length < 10**9:
        limit = int(tokenizer.model_max_length)
    if limit is None:
        limit = model_info.context_length or UNKNOWN_CONTEXT
    return min(limit, model_info.context_length or limit)


def _json(path: Path) -> Mapping[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}
