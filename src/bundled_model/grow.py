"""Make a deeper, thinner network out of a trained one: copies of layers put in, the least used FFN neurons taken out.

The copies begin almost as identities (their post-norms are scaled down), so that the grown network starts near the
old one and learns to use them; stacking trained layers: Du et al. 2024, "Stacking Your Transformers", arXiv:2405.15319.
"""
from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from .mixture import Mixture
from .network import MLP, Gemma3, Layer
from .tokenizer import Codec


@torch.no_grad()
def neuron_order(model: Gemma3, codec: Codec, samples: int) -> list[Tensor]:
    """For each layer its FFN neurons, the most important first: by mean activation times the norm of what it writes."""
    sums = [torch.zeros(model.c.intermediate_size) for _ in model.model.layers]
    hooks = []
    for total, layer in zip(sums, model.model.layers, strict=True):
        assert isinstance(layer, Layer)
        hooks.append(layer.mlp.down_proj.register_forward_pre_hook(lambda _, inputs, total=total: total.add_(inputs[0].abs().mean((0, 1)))))
    mix = Mixture(99)
    for _ in range(samples):
        chat = mix.draw(1.0)
        model.hidden(torch.tensor([codec.encode(chat["turns"], False)[0][:1024]]))
    for hook in hooks:
        hook.remove()
    return [(total * layer.mlp.down_proj.weight.norm(dim=0)).argsort(descending=True) for total, layer in zip(sums, model.model.layers, strict=True)]  # type: ignore[operator,union-attr]


@torch.no_grad()
def take_neurons(target: MLP, source: MLP, which: Tensor) -> None:
    target.gate_proj.weight.copy_(source.gate_proj.weight[which])
    target.up_proj.weight.copy_(source.up_proj.weight[which])
    target.down_proj.weight.copy_(source.down_proj.weight[:, which])


@torch.no_grad()
def take_layer(target: Layer, source: Layer, neurons: Tensor, strength: float) -> None:
    """`strength` scales what the layer adds to the residual stream."""
    matrices = {name: value for name, value in source.state_dict().items() if not name.startswith("mlp.")}
    target.load_state_dict(matrices, strict=False)
    take_neurons(target.mlp, source.mlp, neurons)
    for norm in (target.post_attention_layernorm, target.post_feedforward_layernorm):
        norm.weight.copy_((1 + norm.weight) * strength - 1)


def grow(model: Gemma3, order: list[Tensor], first: int, count: int, ffn: int, strength: float) -> Gemma3:
    """`count` layers from `first` on are there twice afterwards, the copies right behind them."""
    sources = [*range(first + count), *range(first, first + count), *range(first + count, model.c.num_hidden_layers)]
    c = replace(model.c, intermediate_size=ffn, num_hidden_layers=len(sources), layer_types=[model.c.layer_types[i] for i in sources])
    grown = Gemma3(c)
    with torch.no_grad():
        grown.model.embed_tokens.weight.copy_(model.model.embed_tokens.weight)
        grown.model.norm.weight.copy_(model.model.norm.weight)
    for place, i in enumerate(sources):
        copy = first + count <= place < first + 2 * count
        # a copy gets the neurons that its original had to give up, then the best ones
        neurons = torch.cat((order[i][ffn:], order[i]))[:ffn] if copy else order[i][:ffn]
        target, source = grown.model.layers[place], model.model.layers[i]
        assert isinstance(target, Layer)
        assert isinstance(source, Layer)
        take_layer(target, source, neurons, strength if copy else 1.0)
    return grown


def arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("source", help="the trained checkpoint")
    add("out", help="the folder of the grown one")
    add("--first", type=int, default=2, help="the first layer to copy")
    add("--count", type=int, default=2, help="how many layers to copy")
    add("--ffn", type=int, default=384, help="FFN neurons that each layer keeps")
    add("--strength", type=float, default=0.2, help="what the copies add at first, as a share of what their originals add")
    add("--samples", type=int, default=200, help="chats by which the neurons are judged")


def run(a: argparse.Namespace) -> None:
    source, out = Path(a.source), Path(a.out)
    model, codec = Gemma3.load(source), Codec(source / "tokenizer.model")
    grown = grow(model, neuron_order(model, codec, a.samples), a.first, a.count, a.ffn, a.strength)
    grown.save(out)
    (out / "tokenizer.model").write_bytes((source / "tokenizer.model").read_bytes())
    print(f"{out}: {grown.c.num_hidden_layers} layers, {sum(p.numel() for p in grown.parameters()):,} parameters")
