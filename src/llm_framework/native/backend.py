"""`GemmaNativeBackend`: requests to our own engine. What it shares with other local models stands in
`backends/local.py`; the work between prompt and answer is the scheduler's."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..backends.local import LocalBackend, LocalModel, choose_constraints, choose_template
from ..decoding.chat_template import SpecialGuard
from ..decoding.dialects import choose_dialect
from ..errors import InvalidRequestError, ModelLoadError
from ..types import GenerationConfig
from .memory import usable_memory
from .model import NativeModel, open_model
from .scheduler import MAX_BATCH, Scheduler

if TYPE_CHECKING:
    from ..registry import ModelInfo
    from . import _native


class GemmaNativeBackend(LocalBackend):
    """A Gemma model on this machine's processor.

    `settings`: `num_threads` (default: every core), `config` and `tokenizer` (paths, for files that carry none),
    `max_batch` (requests that decode at once), `prefix_cache_gb` (memory for texts that were read, so that a prompt
    which begins like an earlier one is not read again; default: an eighth of the machine's, 4 at most; 0: none),
    `drafts` (False: no token is guessed ahead from the text so far; what is drawn is the same).
    Requests may come from several event loops at the same time; they share the passes over the weights. Closing a
    stream stops its work before the next token.
    """

    def open_model(self) -> LoadedModel:
        """Read the model's files."""
        return load(self.model_info, self.settings)


@dataclass(frozen=True, kw_only=True)
class LoadedModel(LocalModel):
    """A model in our own engine."""

    model: NativeModel

    def new_sampler(self, config: GenerationConfig, settings: Mapping[str, Any]) -> _native.Sampler:
        """The engine's sampler."""
        from ._native import Sampler

        seed = secrets.randbits(63) if config.seed is None else config.seed % 2**64
        return Sampler(seed, num_logprobs=-1 if config.logprobs is None else config.logprobs, **settings)

    def close(self) -> None:
        """Stop the scheduler and free the model. Safe to call twice."""
        self.scheduler.close()
        if self.constraints is not None:
            self.constraints.close()
        self.model.close()


def load(model_info: ModelInfo, settings: Mapping[str, Any]) -> LoadedModel:
    """Open the model's files and choose what fits it. Raises `ModelLoadError`."""
    from ._native import Row

    if model_info.path is None:
        message = f"the model {model_info.name!r} has no path; name a file or folder, as in native:/path/to/model"
        raise ModelLoadError(message, model=model_info.name)
    given = {key: settings[key] for key in ("config", "tokenizer", "quantization") if settings.get(key) is not None}
    model = open_model(model_info.path, num_threads=settings.get("num_threads"), **given)
    try:
        tokenizer = model.require_tokenizer()
        template = choose_template(model.chat_template, tokenizer, model.config.eos_ids, model_info)
        scheduler = Scheduler(
            model.engine,
            Row,
            name=model_info.name,
            max_batch=settings.get("max_batch") or MAX_BATCH,
            prefix_cache_bytes=_prefix_cache_bytes(settings, model_info.name),
            drafts=settings.get("drafts") is not False,
        )
    except BaseException:
        model.close()
        raise
    dialect = choose_dialect(model.chat_template)
    specials = tokenizer.specials
    return LoadedModel(
        name=model_info.name,
        model=model,
        tokenizer=tokenizer,
        scheduler=scheduler,
        template=template,
        dialect=dialect,
        guard=SpecialGuard(specials),
        context_length=min(model.config.max_seq_len, model_info.context_length or model.config.max_seq_len),
        vocab_size=model.config.vocab_size,
        stop_ids=model.config.eos_ids | {specials[name] for name in dialect.ends if name in specials},
        recommended=model.default_sampling,
        constraints=choose_constraints(dialect, tokenizer, model.config.vocab_size, model.config.eos_ids),
    )


def _prefix_cache_bytes(settings: Mapping[str, Any], name: str) -> int:
    given = settings.get("prefix_cache_gb")
    if given is None:
        return min(usable_memory() // 8, 4 << 30)
    if isinstance(given, bool) or not isinstance(given, (int, float)) or not 0 <= given < 1e6:
        raise InvalidRequestError(
            f"prefix_cache_gb is {given!r}; it must be a number of gigabytes, 0 or more", model=name
        )
    return int(given * 1e9)
