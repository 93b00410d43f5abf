"""How long the registry takes to look through thousands of models: for the first time, and when nothing has changed.

    python benchmarks/discovery.py [--models 3000] [--rounds 5] [--folder DIR]

Writes small whole models, a third each as Hugging Face folders, .gguf and .sbs files (some of them broken), into a few
folders, and looks through them in fresh processes, as commands do. Printed are seconds from the making of the registry
to the list of models; the start of Python and its imports are not part of them.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

FOLDERS = ("gemma", "others", "downloads")
BROKEN_EVERY = 50
LOOK = """
import json, sys, time
from llm_framework.registry import ModelRegistry, description, discovery
import llm_framework.native.formats, llm_framework.native.config, filelock
begin = time.perf_counter()
found = ModelRegistry(sys.argv[1], sys.argv[2]).discover_models()
seconds = time.perf_counter() - begin
print(json.dumps({"seconds": seconds, "models": len(found), "faults": sum(info.error is not None for info in found)}))
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=3000, help="how many there are")
    parser.add_argument("--rounds", type=int, default=5, help="looks at unchanged files; the median counts")
    parser.add_argument("--folder", type=Path, help="where to write them (default: a temporary folder)")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir=given.folder, prefix="models-"))
    try:
        measure(folder, given.models, given.rounds)
    finally:
        shutil.rmtree(folder)


def measure(folder: Path, models: int, rounds: int) -> None:
    """Write so many models below a folder, look through them, print a table."""
    write_models(folder / "models", models)
    num_files = sum(len(files) for _, _, files in os.walk(folder / "models"))
    print(f"{models} models in {num_files} files below {len(FOLDERS)} folders, fresh process each")
    first = look(folder)
    again = [look(folder) for _ in range(rounds)]
    one = next((folder / "models").rglob("*.gguf"))
    one.rename(one.with_name("renamed.gguf"))
    renamed = look(folder)
    print(f"first look, every header read   {first['seconds']:6.3f} s  ({first['faults']} with a fault)")
    print(f"nothing changed                 {statistics.median(run['seconds'] for run in again):6.3f} s  (median)")
    print(f"one file renamed                {renamed['seconds']:6.3f} s")
    counts = {run["models"] for run in (first, *again, renamed)}
    assert counts == {models}, counts


def look(folder: Path) -> dict[str, float]:
    """One look in a process of its own."""
    command = [sys.executable, "-c", LOOK, str(folder / "models"), str(folder / "cache.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


# ------------------------------------------------------------------------------------------------------------- models
def write_models(folder: Path, count: int) -> None:
    """So many small models below a folder, a third of each format."""
    originals = folder.parent / "originals"
    config, tensors = small_gemma()
    hub = write_hub_folder(originals / "hub", config, tensors)
    gguf = write_gguf(originals / "small.gguf", config, tensors)
    sbs = write_sbs(originals / "small.sbs", hub)
    for number in range(count):
        parent = folder / FOLDERS[number % len(FOLDERS)]
        parent.mkdir(parents=True, exist_ok=True)
        source = (hub, gguf, sbs)[number // len(FOLDERS) % 3]
        target = parent / f"model-{number:05}-it{source.suffix}"
        (shutil.copytree if source.is_dir() else shutil.copyfile)(source, target)
        if number % BROKEN_EVERY == 0:
            broken = target / "model.safetensors" if target.is_dir() else target
            os.truncate(broken, broken.stat().st_size // 2)


def small_gemma() -> tuple[dict[str, object], dict[str, np.ndarray]]:
    """A Gemma 1 of one layer: its config.json and its tensors."""
    width, heads, head_dim, inner, vocabulary = 16, 2, 8, 32, 64
    config: dict[str, object] = {
        "model_type": "gemma", "architectures": ["GemmaForCausalLM"], "hidden_size": width, "num_hidden_layers": 1,
        "intermediate_size": inner, "num_attention_heads": heads, "num_key_value_heads": 1, "head_dim": head_dim,
        "vocab_size": vocabulary, "max_position_embeddings": 128, "rms_norm_eps": 1e-6,
        "hidden_act": "gelu_pytorch_tanh",
    }  # fmt: skip
    shapes = {
        "model.embed_tokens": (vocabulary, width), "model.norm": (width,),
        "model.layers.0.input_layernorm": (width,), "model.layers.0.post_attention_layernorm": (width,),
        "model.layers.0.self_attn.q_proj": (heads * head_dim, width),
        "model.layers.0.self_attn.k_proj": (head_dim, width), "model.layers.0.self_attn.v_proj": (head_dim, width),
        "model.layers.0.self_attn.o_proj": (width, heads * head_dim),
        "model.layers.0.mlp.gate_proj": (inner, width), "model.layers.0.mlp.up_proj": (inner, width),
        "model.layers.0.mlp.down_proj": (width, inner),
    }  # fmt: skip
    return config, {f"{name}.weight": np.zeros(shape, np.float32) for name, shape in shapes.items()}


def write_hub_folder(folder: Path, config: dict[str, object], tensors: dict[str, np.ndarray]) -> Path:
    """A Hugging Face folder, its tokenizer the bundled model's."""
    import llm_framework

    bundled = Path(llm_framework.__file__).parent / "bundled" / "tiny-chat"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    for name in ("tokenizer.model", "tokenizer_config.json", "chat_template.jinja", "generation_config.json"):
        shutil.copyfile(bundled / name, folder / name)
    header, data = {}, b""
    for name, values in tensors.items():
        raw = values.tobytes()
        header[name] = {"dtype": "F32", "shape": values.shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    head = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(head)) + head + data)
    return folder


def write_sbs(file: Path, source: Path) -> Path:
    """The same model as one .sbs file."""
    from llm_framework.native.convert import convert_model

    return convert_model(source, file)


def write_gguf(file: Path, config: dict[str, object], tensors: dict[str, np.ndarray]) -> Path:
    """The same model as a .gguf file, with a vocabulary of a thousand words in its metadata."""
    sizes = {
        "context_length": "max_position_embeddings", "embedding_length": "hidden_size",
        "block_count": "num_hidden_layers", "feed_forward_length": "intermediate_size",
        "attention.head_count": "num_attention_heads", "attention.head_count_kv": "num_key_value_heads",
        "attention.key_length": "head_dim", "attention.value_length": "head_dim",
    }  # fmt: skip
    entries = [_text("general.architecture") + struct.pack("<I", 8) + _text("gemma")]
    entries += [_number(f"gemma.{key}", int(str(config[name]))) for key, name in sizes.items()]
    words = b"".join(_text(f"word{number}") for number in range(1000))
    entries.append(_text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, 1000) + words)
    infos, data = [], b""
    for name, values in tensors.items():
        dims = values.shape[::-1]
        infos.append(_text(gguf_name(name)) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, 0, len(data)))
        data += values.tobytes()
        data += bytes(-len(data) % 32)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(infos), len(entries)) + b"".join(entries) + b"".join(infos)
    file.write_bytes(head + bytes(-len(head) % 32) + data)
    return file


def gguf_name(name: str) -> str:
    """What llama.cpp calls a tensor."""
    whole = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight"}
    parts = {
        "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q",
        "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
        "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
    }  # fmt: skip
    inner = name.removeprefix("model.layers.0.").removesuffix(".weight")
    return whole.get(name) or f"blk.0.{parts[inner]}.weight"


def _text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def _number(key: str, value: int) -> bytes:
    return _text(key) + struct.pack("<II", 4, value)


if __name__ == "__main__":
    main()
