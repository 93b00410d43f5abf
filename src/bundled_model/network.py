"""The Gemma 3 text decoder in plain PyTorch, fast on a CPU.

Parameter names equal those of transformers' Gemma3ForCausalLM, so a checkpoint saved
here loads there and in any engine that reads that layout.
"""
from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Past = list[Tensor | None]


@dataclass
class Config:
    vocab_size: int = 3456
    hidden_size: int = 256
    intermediate_size: int = 576
    num_hidden_layers: int = 6
    num_attention_heads: int = 4
    num_key_value_heads: int = 2
    head_dim: int = 64
    sliding_window: int = 512
    sliding_window_pattern: int = 2  # every n-th layer is global
    rope_theta: float = 1_000_000.0
    rope_local_base_freq: float = 10_000.0
    max_position_embeddings: int = 2048
    rms_norm_eps: float = 1e-6
    layer_types: list[str] = field(default_factory=list)  # without it, by the pattern

    def __post_init__(self) -> None:
        n = self.sliding_window_pattern
        self.layer_types = self.layer_types or ["full_attention" if (i + 1) % n == 0 else "sliding_attention" for i in range(self.num_hidden_layers)]

    def published(self) -> dict[str, Any]:
        """config.json in the layout of the released Gemma 3 text models."""
        d = asdict(self)
        d.pop("sliding_window_pattern")
        d.update(
            architectures=["Gemma3ForCausalLM"], model_type="gemma3_text", _sliding_window_pattern=self.sliding_window_pattern,
            query_pre_attn_scalar=self.head_dim, hidden_activation="gelu_pytorch_tanh", attention_bias=False, attention_dropout=0.0, tie_word_embeddings=True,
            attn_logit_softcapping=None, final_logit_softcapping=None, rope_scaling=None, pad_token_id=0, eos_token_id=[1, 5], bos_token_id=2, use_cache=True,
            initializer_range=0.02, torch_dtype="float32")
        return d


class RMSNorm(nn.Module):
    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(dim))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        y = x.float()
        y = y * torch.rsqrt(y.pow(2).mean(-1, keepdim=True) + self.eps)
        return (y * (1.0 + self.weight)).to(x.dtype)


def rope(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    a, b = x.chunk(2, -1)
    return x * cos + torch.cat((-b, a), -1) * sin


class Attention(nn.Module):
    """The query heads that share a key/value head are stacked into one tall matrix."""

    def __init__(self, c: Config, local: bool) -> None:
        super().__init__()
        self.c, self.local = c, local
        self.q_proj = nn.Linear(c.hidden_size, c.num_attention_heads * c.head_dim, bias=False)
        self.k_proj = nn.Linear(c.hidden_size, c.num_key_value_heads * c.head_dim, bias=False)
        self.v_proj = nn.Linear(c.hidden_size, c.num_key_value_heads * c.head_dim, bias=False)
        self.o_proj = nn.Linear(c.num_attention_heads * c.head_dim, c.hidden_size, bias=False)
        self.q_norm = RMSNorm(c.head_dim, c.rms_norm_eps)
        self.k_norm = RMSNorm(c.head_dim, c.rms_norm_eps)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor, past: Past | None = None) -> Tensor:
        c = self.c
        b, t, _ = x.shape
        h, kv, d = c.num_attention_heads, c.num_key_value_heads, c.head_dim
        q = self.q_norm(self.q_proj(x).view(b, t, h, d)).transpose(1, 2)
        k = self.k_norm(self.k_proj(x).view(b, t, kv, d)).transpose(1, 2)
        v = self.v_proj(x).view(b, t, kv, d).transpose(1, 2)
        q, k = rope(q, cos, sin).to(v.dtype), rope(k, cos, sin).to(v.dtype)
        if past is not None:
            if past[0] is not None and past[1] is not None:
                k, v = torch.cat([past[0], k], 2), torch.cat([past[1], v], 2)
            past[0], past[1] = k, v
        # written out, because the fused CPU kernel is several times slower in the backward pass
        k, v = k.reshape(b * kv, -1, d), v.reshape(b * kv, -1, d)
        scores = torch.bmm(q.reshape(b * kv, h // kv * t, d), k.transpose(1, 2)).view(b, h, t, -1)
        weights = torch.softmax(scores * d ** -0.5 + mask.to(scores.dtype), -1)
        y = torch.bmm(weights.to(v.dtype).view(b * kv, h // kv * t, -1), v).view(b, h, t, d)
        out: Tensor = self.o_proj(y.transpose(1, 2).reshape(b, t, -1))
        return out


class MLP(nn.Module):
    def __init__(self, c: Config) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(c.hidden_size, c.intermediate_size, bias=False)
        self.up_proj = nn.Linear(c.hidden_size, c.intermediate_size, bias=False)
        self.down_proj = nn.Linear(c.intermediate_size, c.hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down_proj(F.gelu(self.gate_proj(x), approximate="tanh") * self.up_proj(x))
        return out


class Layer(nn.Module):
    def __init__(self, c: Config, local: bool) -> None:
        super().__init__()
        self.self_attn = Attention(c, local)
        self.mlp = MLP(c)
        self.input_layernorm = RMSNorm(c.hidden_size, c.rms_norm_eps)
        self.post_attention_layernorm = RMSNorm(c.hidden_size, c.rms_norm_eps)
        self.pre_feedforward_layernorm = RMSNorm(c.hidden_size, c.rms_norm_eps)
        self.post_feedforward_layernorm = RMSNorm(c.hidden_size, c.rms_norm_eps)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor, past: Past | None = None) -> Tensor:
        x = x + self.post_attention_layernorm(self.self_attn(self.input_layernorm(x), cos, sin, mask, past))
        out: Tensor = x + self.post_feedforward_layernorm(self.mlp(self.pre_feedforward_layernorm(x)))
        return out


class Decoder(nn.Module):
    def __init__(self, c: Config) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(c.vocab_size, c.hidden_size)
        self.layers = nn.ModuleList(Layer(c, t == "sliding_attention") for t in c.layer_types)
        self.norm = RMSNorm(c.hidden_size, c.rms_norm_eps)


class Gemma3(nn.Module):
    def __init__(self, c: Config) -> None:
        super().__init__()
        self.c = c
        self.model = Decoder(c)
        self.tables: dict[bool, tuple[Tensor, Tensor]] = {}
        for local, theta in ((True, c.rope_local_base_freq), (False, c.rope_theta)):
            inv = 1.0 / theta ** (torch.arange(0, c.head_dim, 2).float() / c.head_dim)
            f = torch.arange(c.max_position_embeddings).float()[:, None] * inv
            f = torch.cat((f, f), -1)
            self.tables[local] = (f.cos(), f.sin())
        for name, p in self.named_parameters():
            if p.dim() == 2:
                nn.init.normal_(p, std=0.02 if "embed" in name else p.shape[1] ** -0.5)

    def masks(self, start: int, stop: int, lefts: Tensor | None) -> dict[bool, Tensor]:
        """What is added to the scores, for local and global layers; `lefts`: padding in front of each row."""
        i, j = torch.arange(start, stop)[:, None], torch.arange(stop)[None, :]
        out = {}
        for local in (True, False):
            bad = j > i
            if local:
                bad = bad | (j <= i - self.c.sliding_window)
            if lefts is not None:
                bad = bad[None, None] | (j[None, None] < lefts[:, None, None, None])
            out[local] = torch.zeros(bad.shape).masked_fill(bad, -1e4)
        return out

    def hidden(self, ids: Tensor, pasts: list[Past] | None = None, lefts: Tensor | None = None) -> Tensor:
        """The final states. Left-padded rows may be shifted: rotary positions are relative."""
        c = self.c
        start = 0
        if pasts is not None and pasts[0][0] is not None:
            start = pasts[0][0].shape[2]
        stop = start + ids.shape[1]
        x = self.model.embed_tokens(ids) * math.sqrt(c.hidden_size)
        masks = self.masks(start, stop, lefts)
        for i, layer in enumerate(self.model.layers):
            local = c.layer_types[i] == "sliding_attention"
            cos, sin = (t[start:stop] for t in self.tables[local])
            x = layer(x, cos, sin, masks[local], None if pasts is None else pasts[i])
        out: Tensor = self.model.norm(x)
        return out

    def logits(self, h: Tensor) -> Tensor:
        return F.linear(h, self.model.embed_tokens.weight)

    def forward(self, ids: Tensor, weights: Tensor | None = None) -> Tensor:
        """The logits; or, with a weight for each token, the loss of predicting it from those before."""
        h = self.hidden(ids)
        if weights is None:
            return self.logits(h)
        counted = weights[:, 1:] > 0  # logits are only made where there is something to learn
        share = weights[:, 1:][counted]
        each = F.cross_entropy(self.logits(h[:, :-1][counted]).float(), ids[:, 1:][counted], reduction="none")
        return (each * share).sum() / share.sum()

    def save(self, folder: Path) -> None:
        from safetensors.torch import save_file
        folder.mkdir(parents=True, exist_ok=True)
        save_file({k: v.detach().float().contiguous() for k, v in self.state_dict().items()}, str(folder / "model.part"), metadata={"format": "pt"})
        (folder / "model.part").replace(folder / "model.safetensors")
        (folder / "config.json").write_text(json.dumps(self.c.published(), indent=1))

    @classmethod
    def load(cls, folder: Path) -> Gemma3:
        from safetensors.torch import load_file
        d = json.loads((Path(folder) / "config.json").read_text())
        d["sliding_window_pattern"] = d["_sliding_window_pattern"]
        d.setdefault("rope_theta", 1e6)
        m = cls(Config(**{k: d[k] for k in Config.__dataclass_fields__ if k in d}))
        m.load_state_dict({k: v.float() for k, v in load_file(str(Path(folder) / "model.safetensors")).items()})
        return m
