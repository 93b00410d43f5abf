"""From any model that is read here to one .sbs file."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InvalidRequestError, UnsupportedFeatureError
from .architecture.config import ModelConfig
from .config import read_config
from .formats import open_model_file
from .formats.gguf_tokenizer import GgufTokenizer
from .formats.sbs_record import SbsConfig, SbsLayer
from .formats.sbs_writer import SbsTensor, write_sbs
from .reading.strict_json import read_object
from .reading.view import TensorView, fault, read_bytes
from .sbs_config import config_from_sbs
from .tokenizer import MAX_TOKENIZER_BYTES, load_tokenizer
from .weights import engine_views, without_added_one

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from .formats.model_file import ModelFile

WEIGHTS = ("keep", "f32", "bf16", "sfp")
Progress = Callable[[int, int], None]  # bytes written, bytes in all

_KEPT = ("f32", "bf16", "sfp", "nuq", "i8")  # the types of the format
_GROUPED = ("nuq", "i8")  # whose groups run on over row ends
CHUNK_VALUES = 1 << 22
CHUNK_BYTES = 1 << 24

# An engine's tensor -> its name in the file. Rows of q, and of k and v head by head, stand in two tensors, as do gate
# and up: the layout that every type allows. A layer's tensors are written in this order, as gemma.cpp does.
_NAMES = {
    "attention_out": "att_w", "attention_out_heads": "att_ein", "q": "qkv1_w", "kv": "qkv2_w", "qkv": "qkv_ein",
    "gate": "gating1_w", "up": "gating2_w", "gate_up": "gating_ein", "down": "linear_w",
    "pre_attention_norm": "pre_att_ns", "pre_ffn_norm": "pre_ff_ns", "post_attention_norm": "post_att_ns",
    "post_ffn_norm": "post_ff_ns", "key_norm": "key_norm", "query_norm": "query_norm",
}  # fmt: skip


def convert_model(
    source: str | Path,
    target: str | Path,
    *,
    weights: str = "keep",
    config: Mapping[str, Any] | str | Path | None = None,
    tokenizer: str | Path | None = None,
    on_progress: Progress | None = None,
) -> Path:
    """Write the model at `source` (all that `open_model` takes) as the .sbs file `target`; gives its path.

    `weights` "keep" leaves each tensor in its type where .sbs has that type, and takes BF16 for all others; "f32",
    "bf16" and "sfp" recode the matrices (with "sfp" the embedding is BF16, as in the published files). Norms are F32 or
    BF16. `config` and `tokenizer` (a SentencePiece model, or a folder with one) are for sources that carry none. The
    file appears when it is whole, in place of an older one; what cannot be said in it is refused beforehand.
    Raises `ModelLoadError`, `UnsupportedFeatureError`, `InvalidRequestError`.
    """
    if weights not in WEIGHTS:
        raise InvalidRequestError(f"weights={weights!r}: known are {', '.join(WEIGHTS)}")
    target = Path(target).expanduser()
    if target.suffix != ".sbs" or target.is_dir():
        raise InvalidRequestError(f"{target}: the converted model is one file, and its name ends with .sbs")
    if isinstance(config, (str, Path)):
        config = read_object(Path(config).expanduser(), "model config")
    file = open_model_file(source, config)
    try:
        model = read_config(file)
        record = sbs_config(model, file, target)
        tensors = _tensors(file, model, weights)
        total, done = sum(tensor.num_bytes for tensor in tensors), 0

        def report(count: int) -> None:
            nonlocal done
            done += count
            if on_progress is not None:
                on_progress(done, total)

        write_sbs(target, record, tensors, _tokenizer(file, tokenizer), report)
    except OSError as error:
        raise fault(target, f"this file cannot be written ({error.strerror or error})") from error
    finally:
        file.close()
    return target


# ------------------------------------------------------------------------------------------------------------- config
# (family, layers) -> the format's code of the model, by which a reader knows the rope of global layers.
_CODES = {
    ("gemma1", 18): 1, ("gemma1", 28): 2, ("gemma2", 26): 7, ("gemma2", 42): 3, ("gemma2", 46): 4,
    ("gemma3", 18): 18, ("gemma3", 26): 15, ("gemma3", 34): 14, ("gemma3", 48): 16, ("gemma3", 62): 17,
}  # fmt: skip
_SCALED_CODES = (14, 16, 17)  # linear rope scaling by 8
_SAME = (
    "num_layers", "model_dim", "ffn_dim", "num_heads", "num_kv_heads", "head_dim", "vocab_size", "max_seq_len",
    "windows", "rope_bases", "rope_scales", "query_scale", "attention_softcap", "final_softcap", "norm_eps", "qk_norm",
    "post_norms",
)  # fmt: skip


def sbs_config(model: ModelConfig, file: ModelFile, target: Path) -> SbsConfig:
    """The config record of a model; `UnsupportedFeatureError` where a reader of it would compute something else."""
    if model.family not in ("gemma1", "gemma2", "gemma3"):
        raise UnsupportedFeatureError(f"{file.path}: .sbs files hold Gemma 1, 2 and 3, not {model.architecture}")
    if not model.tied_embeddings:
        raise UnsupportedFeatureError(
            f"{file.path}: the model has an output head of its own, which .sbs has no room for"
        )
    layer = SbsLayer(
        model.model_dim, model.ffn_dim, model.num_heads, model.num_kv_heads, model.head_dim, False, model.post_norms,
        0, 0, 0, model.qk_norm,
    )  # fmt: skip
    if file.sbs_config is not None:
        wrapping = file.sbs_config.wrapping
    else:
        wrapping = 1 if file.chat_template is None and file.format != "sbs" else 0
    record = SbsConfig(
        display_name=target.stem,
        model=_code(model),
        wrapping=wrapping,
        num_layers=model.num_layers,
        model_dim=model.model_dim,
        vocab_size=model.vocab_size,
        max_seq_len=model.max_seq_len,
        attention_softcap=model.attention_softcap,
        final_softcap=model.final_softcap,
        absolute_pe=False,
        query_scale=0 if math.isclose(model.query_scale, model.head_dim**-0.5, rel_tol=1e-6) else 1,
        layers=(layer,) * model.num_layers,
        attention_window_sizes=tuple(window or model.max_seq_len for window in model.windows),
        eos_ids=tuple(sorted(model.eos_ids))[:2] or (1,),
    )
    _check_same(model, config_from_sbs(record, file.path), file.path)
    return record


def _code(model: ModelConfig) -> int:
    if model.family == "gemma3" and max(model.rope_scales) != 1:
        code = _CODES.get(("gemma3", model.num_layers), 14)
        return code if code in _SCALED_CODES else 14
    code = _CODES.get((model.family, model.num_layers), {"gemma1": 1, "gemma2": 7}.get(model.family, 15))
    return 15 if code in _SCALED_CODES else code


def _check_same(model: ModelConfig, read: ModelConfig, path: Path) -> None:
    for name in _SAME:
        wanted, found = getattr(model, name), getattr(read, name)
        pairs = zip(wanted, found, strict=True) if isinstance(wanted, tuple) else [(wanted, found)]
        if not all(math.isclose(a, b, rel_tol=1e-6) for a, b in pairs):
            raise UnsupportedFeatureError(f"{path}: an .sbs file cannot say the model's {name} ({str(wanted)[:200]})")


# ------------------------------------------------------------------------------------------------------------ tensors
def _tensors(file: ModelFile, model: ModelConfig, weights: str) -> list[SbsTensor]:
    """All tensors in the order in which they are written."""
    views = engine_views(file, model)
    if file.format == "gguf":
        views = without_added_one(views, file.path)
    parts: dict[str, list[TensorView]] = {name: [view] for name, view in views.items()}
    for layer in range(model.num_layers):
        _split_and_join(parts, f"layers.{layer}.", model)
    return [_tensor(name, parts[name], weights) for name in sorted(parts, key=_order)]


def _order(name: str) -> tuple[int, int]:
    """Where a tensor stands in the file: what belongs to no layer first, then layer by layer."""
    if not name.startswith("layers."):
        return -1, ("embedding", "final_norm").index(name)
    _, layer, base = name.split(".")
    return int(layer), list(_NAMES).index(base)


def _split_and_join(parts: dict[str, list[TensorView]], prefix: str, model: ModelConfig) -> None:
    """Bring q, k and v into the order of the format: all of q, then k and v of each key/value head in turn."""
    d = model.head_dim
    if f"{prefix}k" in parts:
        (k,), (v,) = parts.pop(f"{prefix}k"), parts.pop(f"{prefix}v")
        heads = range(model.num_kv_heads)
        parts[f"{prefix}kv"] = [_rows(view, d * head, d) for head in heads for view in (k, v)]
    elif f"{prefix}qkv" in parts and model.qkv_layout == "per_head":
        (qkv,) = parts.pop(f"{prefix}qkv")
        heads = range(model.num_heads)
        parts[f"{prefix}q"] = [_rows(qkv, 3 * head * d, d) for head in heads]
        parts[f"{prefix}kv"] = [_rows(qkv, (3 * head + 1) * d, 2 * d) for head in heads]


def _rows(view: TensorView, begin: int, count: int) -> TensorView:
    """`count` rows of a matrix. Where groups run on over row ends, only such as begin and end with a group."""
    per_group = 256 if view.type in _GROUPED else 1
    if begin * view.cols % per_group or (count * view.cols % per_group and begin + count != view.rows):
        message = f"the tensor {view.name} has the type {view.type}, whose heads cannot be told apart here"
        raise UnsupportedFeatureError(message)
    first, last = (_offset(view, row) for row in (begin, begin + count))
    return replace(view, shape=(count, view.cols), data=view.data[first:last])


def _offset(view: TensorView, row: int) -> int:
    """Where a row begins in the data."""
    values = row * view.cols
    if row == view.rows:
        return len(view.data)
    if view.type == "nuq":
        return values // 256 * 144
    if view.type == "i8":
        return values // 128 * 132
    return len(view.data) // view.rows * row


def _tensor(name: str, parts: list[TensorView], weights: str) -> SbsTensor:
    rows, cols = sum(view.rows for view in parts), parts[0].cols
    source = {view.type for view in parts}
    kind = _kind(name, source, weights)
    same = source == {kind} and len({view.scale for view in parts}) == 1 and (kind not in _GROUPED or len(parts) == 1)

    def encode() -> tuple[float, Iterator[bytes | memoryview]]:
        if same:
            return parts[0].scale, (piece for view in parts for piece in _pieces(view.data))
        return _encoded(parts, kind)

    return SbsTensor(_file_name(name), kind, rows, cols, encode)


def _kind(name: str, source: set[str], weights: str) -> str:
    """The type that a tensor gets."""
    first = next(iter(source))
    kept = first if len(source) == 1 and first in _KEPT else "bf16"
    if name.endswith("_norm"):
        return kept if kept in ("f32", "bf16") and source <= {"f32", "bf16"} else "f32"
    if weights == "keep":
        return kept
    return "bf16" if weights == "sfp" and name == "embedding" else weights


def _file_name(name: str) -> str:
    if not name.startswith("layers."):
        return {"embedding": "c_embedding", "final_norm": "c_final_norm"}[name]
    _, layer, base = name.split(".")
    return f"{_NAMES[base]}_{layer}"


def _pieces(data: memoryview) -> Iterator[memoryview]:
    return (data[at : at + CHUNK_BYTES] for at in range(0, len(data), CHUNK_BYTES))


def _encoded(parts: list[TensorView], kind: str) -> tuple[float, Iterator[bytes | memoryview]]:
    """(scale, the data in pieces) of a tensor that is recoded."""
    from .formats import encode

    if kind != "sfp":
        code = encode.to_bf16 if kind == "bf16" else lambda values: values
        return 1.0, (code(values).tobytes() for values in _values(parts))
    scale = encode.sfp_scale(max(float(abs(values).max()) for values in _values(parts)))
    return scale, (encode.to_sfp(values, scale).tobytes() for values in _values(parts))


def _values(parts: list[TensorView]) -> Iterator[NDArray[np.float32]]:
    """The true values in order, some millions at a time."""
    from . import _native

    for view in parts:
        step = max(1, CHUNK_VALUES // view.cols // 256) * 256  # whole groups, whatever the type
        for begin in range(0, view.rows, step):
            part = _rows(view, begin, min(step, view.rows - begin))
            yield _native.decode_tensor(part.engine_tensor())


# ---------------------------------------------------------------------------------------------------------- tokenizer
def _tokenizer(file: ModelFile, given: str | Path | None) -> bytes | None:
    """The serialized SentencePiece model, or None where the source has none of that kind."""
    source: Path | bytes | GgufTokenizer | None = file.tokenizer if given is None else Path(given).expanduser()
    if isinstance(source, GgufTokenizer):
        source = source.sentencepiece_model()
    if isinstance(source, Path):
        path = _sentencepiece_file(source)
        if path is None and given is not None:
            raise fault(source, "an .sbs file holds a SentencePiece model, and there is no tokenizer.model here")
        source = None if path is None else read_bytes(path, MAX_TOKENIZER_BYTES, "tokenizer")
    if source is not None:
        load_tokenizer(source, file.path)  # a broken one is said here
    return source


def _sentencepiece_file(path: Path) -> Path | None:
    """The SentencePiece model that `path` is, or that lies in or beside it."""
    if not path.is_dir() and path.suffix != ".json":
        return path
    beside = (path if path.is_dir() else path.parent) / "tokenizer.model"
    return beside if beside.is_file() else None
