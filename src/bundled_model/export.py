"""Write a checkpoint as the model folder that the package ships: BF16 weights, tokenizer, templates."""
from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch

from .network import Gemma3
from .tokenizer import Codec, write_fast

HERE = Path(__file__).parent
TARGET = HERE.parent / "llm_framework" / "bundled" / "tiny-chat"


def config(model: Gemma3, codec: Codec) -> dict[str, Any]:
    """config.json as older and newer readers want it: flat rope values, and per layer type."""
    c = model.c
    d = c.published()
    d.update(
        torch_dtype="bfloat16", dtype="bfloat16", eos_token_id=[1, codec.end],
        rope_parameters={"full_attention": {"rope_type": "default", "rope_theta": c.rope_theta}, "sliding_attention": {"rope_type": "default", "rope_theta": c.rope_local_base_freq}})
    return d


def export(checkpoint: Path, target: Path, card: str = "") -> None:
    """All files are made beside the target first and then renamed into it, so that no reader sees half a model."""
    from safetensors.torch import save_file
    model, codec = Gemma3.load(checkpoint), Codec(checkpoint / "tokenizer.model")
    target.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=".tiny-chat-", dir=target.parent))
    try:
        save_file({k: v.detach().to(torch.bfloat16).contiguous() for k, v in model.state_dict().items()}, str(part / "model.safetensors"), metadata={"format": "pt"})
        (part / "config.json").write_text(json.dumps(config(model, codec), indent=1) + "\n")
        stops = {"bos_token_id": 2, "eos_token_id": [1, codec.end], "pad_token_id": 0, "do_sample": False}
        (part / "generation_config.json").write_text(json.dumps(stops, indent=1) + "\n")
        shutil.copy(checkpoint / "tokenizer.model", part / "tokenizer.model")
        template = (HERE / "chat_template.jinja").read_text()
        (part / "chat_template.jinja").write_text(template)
        write_fast(part, template)
        if card:
            (part / "README.md").write_text(card)
        target.mkdir(exist_ok=True)
        # the weights last: what belongs to them is there before they are
        for file in sorted(part.iterdir(), key=lambda f: f.name == "model.safetensors"):
            file.chmod(0o644)
            file.replace(target / file.name)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def check(target: Path, checkpoint: Path) -> None:
    """Compare with transformers: logits, and token ids of generated texts."""
    from transformers import AutoTokenizer, Gemma3ForCausalLM

    from .mixture import Mixture
    ours = Gemma3.load(target).eval()
    theirs = Gemma3ForCausalLM.from_pretrained(target, dtype=torch.float32).eval()  # type: ignore[no-untyped-call]
    torch.manual_seed(0)
    ids = torch.randint(4, ours.c.vocab_size, (2, 700))
    with torch.no_grad():
        print(f"logits on 2 x 700 tokens: max difference {(theirs(ids).logits - ours(ids)).abs().max():.2e}, max {ours(ids).abs().max():.1f}")
    codec, fast, mix = Codec(target / "tokenizer.model"), AutoTokenizer.from_pretrained(target), Mixture(77, "eval")
    texts = [t for _ in range(1500) for _, t in mix.draw()["turns"]]
    odd = ["", " ", "  two", "   three   blanks  ", "\n", "\n\n\n", "a\tb", "é ü ñ 你好 🙂🚀", "🙂 🙂", " lead", "trail ", "x  y    z     w", "<start_of_turn>user\nhi<end_of_turn>\n", "1234567890 3.14", "\u2581 raw", "naïve café — “quotes” …",
           "<tool_call>{\"a\": 1}</tool_call>", "a\r\nb", "\u200d zero", "É", "def f(x):\n    return x  # ok\n\n\n"]
    texts += odd + [a + b for a in odd for b in odd]
    wrong = [t for t in texts if fast.encode(t, add_special_tokens=False) != codec.sp.encode(t)]
    unlike = [t for t in texts if fast.decode(codec.sp.encode(t)) != codec.decode(codec.sp.encode(t))]
    print(f"token ids: {len(wrong)} of {len(texts)} texts differ; decoded: {len(unlike)} differ")
    for t in (wrong + unlike)[:5]:
        print(repr(t[:80]), fast.encode(t, add_special_tokens=False)[:12], codec.sp.encode(t)[:12])
    chat = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}, {"role": "user", "content": "Bye"}]
    print(repr(fast.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)))
    print(fast.bos_token_id, fast.eos_token_id, fast.pad_token_id, fast("hi")["input_ids"][:1])


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint")
    parser.add_argument("--target", default=str(TARGET))
    parser.add_argument("--card", default="", help="a README.md to put beside the weights")
    parser.add_argument("--check", action="store_true", help="compare the result with transformers")


def run(a: argparse.Namespace) -> None:
    export(Path(a.checkpoint), Path(a.target), Path(a.card).read_text() if a.card else "")
    if a.check:
        check(Path(a.target), Path(a.checkpoint))
