"""Writes .sbs files: container V2, the config and tensor records. `sbs.py` reads what this writes."""

from __future__ import annotations

import os
import struct
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .sbs import NO_TOKENIZER
from .sbs_container import ALIGNMENT, ELEMENT_BYTES, HEADER, MAGIC, NUM_BYTES, TYPE_CODES
from .sbs_record import MAX_STRING_WORDS, SbsConfig, SbsLayer

PAGE = 65536  # a file is a whole number of these
MAX_KEY = 16

# gemma.cpp lists these in every config: the tensors that had scales before 2025.
_SCALED = ("att_ein", "qkv_ein", "gr_lin_x_w", "gr_lin_y_w", "gr_lin_out_w", "gr_gate_w", "gating_ein", "linear_w")

Report = Callable[[int], None]  # bytes written since the last call


@dataclass(frozen=True, slots=True)
class SbsTensor:
    """A tensor to be written: `encode` gives its scale and, in pieces, the bytes of its data in the type `kind`."""

    name: str
    kind: str
    rows: int
    cols: int
    encode: Callable[[], tuple[float, Iterator[bytes | memoryview]]]

    @property
    def num_bytes(self) -> int:
        """The size of the data in the file."""
        return NUM_BYTES[self.kind](self.rows * self.cols)


def write_sbs(
    path: Path, config: SbsConfig, tensors: Sequence[SbsTensor], tokenizer: bytes | None, report: Report
) -> None:
    """Write the file beside its place and put it there when it is whole. Raises `OSError`."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            writer = _Container(file)
            toc = b"".join(_write_tensor(writer, tensor, report) for tensor in tensors)
            writer.add("config", [config_record(config, {tensor.kind for tensor in tensors})])
            writer.add("tokenizer", [tokenizer or NO_TOKENIZER])
            writer.add("toc", [toc])
            writer.finish()
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _write_tensor(writer: _Container, tensor: SbsTensor, report: Report) -> bytes:
    """Write the data; gives the tensor's record."""
    scale, pieces = tensor.encode()
    writer.add(tensor.name, pieces, report)
    per_element = ELEMENT_BYTES[TYPE_CODES[tensor.kind]]
    return _record(
        _string(tensor.name), TYPE_CODES[tensor.kind], per_element, tensor.num_bytes // per_element, tensor.rows,
        tensor.cols, scale, tensor.cols,
    )  # fmt: skip


class _Container:
    """Blobs one after the other, the directory behind them."""

    def __init__(self, file: object) -> None:
        self._file: _Writable = file  # type: ignore[assignment]
        self._keys, self._ranges = b"", b""
        self._at = 0
        self._write(HEADER.pack(MAGIC, 0, PAGE).ljust(ALIGNMENT, b"\0"))

    def add(self, key: str, pieces: Iterator[bytes | memoryview] | list[bytes], report: Report | None = None) -> None:
        name = key.encode("ascii")
        if len(name) > MAX_KEY:
            raise ValueError(f"the tensor name {key!r} has more than {MAX_KEY} characters")
        self._write(bytes(-self._at % ALIGNMENT))
        begin = self._at
        for piece in pieces:
            self._write(piece)
            if report is not None:
                report(len(piece))
        self._keys += name.ljust(MAX_KEY, b"\0")
        self._ranges += struct.pack("<QQ", begin, self._at - begin)

    def finish(self) -> None:
        """The directory and the real header, at the end of a whole number of pages."""
        num_blobs = len(self._keys) // MAX_KEY
        tail = len(self._keys) + len(self._ranges) + HEADER.size
        size = -(-(self._at + tail) // PAGE) * PAGE
        self._write(bytes(size - self._at - tail) + self._keys + self._ranges)
        self._write(HEADER.pack(MAGIC, num_blobs, size))

    def _write(self, data: bytes | memoryview) -> None:
        self._file.write(data)
        self._at += len(data)


class _Writable:
    def write(self, data: bytes | memoryview) -> int:
        """As a file's."""
        raise NotImplementedError


# ------------------------------------------------------------------------------------------------------------ records
def config_record(config: SbsConfig, kinds: set[str]) -> bytes:
    """The config blob; `kinds` are the types of the tensors, the narrowest of which it names."""
    narrowest = min(kinds, key=lambda kind: NUM_BYTES[kind](1 << 16))
    first, second = (*config.eos_ids, *config.eos_ids[-1:], 1, 1)[:2]
    return _record(
        1, _string(config.display_name), config.model, config.wrapping, TYPE_CODES[narrowest], config.num_layers,
        config.model_dim, config.vocab_size, config.max_seq_len, 0, float(config.attention_softcap),
        float(config.final_softcap), int(config.absolute_pe), 0, config.query_scale, len(config.layers),
        b"".join(map(_layer_record, config.layers)), len(config.attention_window_sizes),
        struct.pack(f"<{len(config.attention_window_sizes)}I", *config.attention_window_sizes), 1,
        _record(0, 0, 0, 14, 224, 0, 1), 1, first, second, len(_SCALED), b"".join(map(_string, _SCALED)),
    )  # fmt: skip


def _layer_record(layer: SbsLayer) -> bytes:
    # the word before post_norm is about the checkpoint a file was made from; gemma.cpp sets it for Gemma 3 alone
    return _record(
        layer.model_dim, 0, layer.ffn_dim, layer.num_heads, layer.num_kv_heads, layer.head_dim, 0,
        int(layer.ffn_biases), 0, int(layer.qk_norm), int(layer.post_norm), layer.type, layer.activation, layer.post_qk,
        int(layer.qk_norm),
    )  # fmt: skip


def _record(*fields: int | float | bytes) -> bytes:
    """Fields as u32 words (floats by their bits, bytes as they are) behind their number."""
    body = b"".join(
        field if isinstance(field, bytes) else struct.pack("<f" if isinstance(field, float) else "<I", field)
        for field in fields
    )
    return struct.pack("<I", len(body) // 4) + body


def _string(text: str) -> bytes:
    raw = text.encode("ascii", "replace")[: 4 * MAX_STRING_WORDS]
    raw += bytes(-len(raw) % 4)
    return struct.pack("<I", len(raw) // 4) + raw
