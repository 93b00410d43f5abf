"""Each format's tensor names -> the engine's, with the shape that the config makes each.

The tables are the whole truth: an engine tensor, the file's name of it, its shape [rows, cols]. What no table names
(vision towers, projectors) is left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable

from .config import ModelConfig

Wanted = tuple[str, str, tuple[int, int]]  # engine name, file name, shape


class _Shapes:
    """The shapes [rows, cols] that a config implies: the model's, and those of one layer."""

    def __init__(self, config: ModelConfig, layer: int = 0) -> None:
        shape, d = config.shape(layer), config.model_dim
        q, kv = config.num_heads * shape.head_dim, shape.num_kv_heads * shape.head_dim
        self.embedding = (config.vocab_size, d)
        self.norm, self.head_norm = (1, d), (1, shape.head_dim)
        self.q, self.k, self.kv, self.qkv = (q, d), (kv, d), (2 * kv, d), (q + 2 * kv, d)
        self.out, self.out_heads = (d, q), (config.num_heads * d, shape.head_dim)
        self.gate, self.gate_up, self.down = (shape.ffn_dim, d), (2 * shape.ffn_dim, d), (d, shape.ffn_dim)


# ------------------------------------------------------------------------------------------------------- Hugging Face
_HF_PREFIXES = ("model.", "language_model.model.", "model.language_model.", "language_model.", "")
_HF_HEADS = ("lm_head.weight", "language_model.lm_head.weight")


def hf_tensors(config: ModelConfig, present: Container[str]) -> Iterable[Wanted]:
    """The tensors of a Hugging Face folder; prefixes and heads as those that are `present` have them."""
    shapes = _Shapes(config)
    prefix = next((p for p in _HF_PREFIXES if f"{p}embed_tokens.weight" in present), "model.")
    yield "embedding", f"{prefix}embed_tokens.weight", shapes.embedding
    yield "final_norm", f"{prefix}norm.weight", shapes.norm
    if not config.tied_embeddings:
        yield "lm_head", next((name for name in _HF_HEADS if name in present), _HF_HEADS[0]), shapes.embedding
    if config.per_layer_dim:
        width = config.num_layers * config.per_layer_dim
        tokens = (config.per_layer_vocab_size, width)
        yield "per_layer_embedding", f"{prefix}embed_tokens_per_layer.weight", tokens
        yield "per_layer_projection", f"{prefix}per_layer_model_projection.weight", (width, config.model_dim)
        yield "per_layer_norm", f"{prefix}per_layer_projection_norm.weight", (1, config.per_layer_dim)
    for stream in range(1, config.num_streams):
        square = (config.model_dim, config.model_dim)
        yield f"stream_in.{stream}", f"{prefix}altup_projections.{stream - 1}.weight", square
        yield f"stream_out.{stream}", f"{prefix}altup_unembed_projections.{stream - 1}.weight", square
    for layer in range(config.num_layers):
        for engine_name, hf_name, shape in _hf_layer(config, layer):
            yield f"layers.{layer}.{engine_name}", f"{prefix}layers.{layer}.{hf_name}.weight", shape
        for engine_name, hf_name, shape in _hf_layer_bare(config):
            yield f"layers.{layer}.{engine_name}", f"{prefix}layers.{layer}.{hf_name}", shape
        scalar = f"{prefix}layers.{layer}.layer_scalar"
        if scalar in present:
            yield f"layers.{layer}.output_scale", scalar, (1, 1)


def _hf_layer(config: ModelConfig, layer: int) -> Iterable[Wanted]:
    shapes, kinds = _Shapes(config, layer), config.shape(layer)
    yield "q", "self_attn.q_proj", shapes.q
    if kinds.shared_kv < 0:  # the file may hold keys and values also where another layer's are read
        yield "k", "self_attn.k_proj", shapes.k
        if not kinds.values_are_keys:
            yield "v", "self_attn.v_proj", shapes.k
    yield "attention_out", "self_attn.o_proj", shapes.out
    yield "gate", "mlp.gate_proj", shapes.gate
    yield "up", "mlp.up_proj", shapes.gate
    yield "down", "mlp.down_proj", shapes.down
    yield "pre_attention_norm", "input_layernorm", shapes.norm
    if config.post_norms:
        yield "post_attention_norm", "post_attention_layernorm", shapes.norm
        yield "pre_ffn_norm", "pre_feedforward_layernorm", shapes.norm
        yield "post_ffn_norm", "post_feedforward_layernorm", shapes.norm
    else:  # Gemma 1 calls the norm before its feed-forward layer by where it stands: after the attention
        yield "pre_ffn_norm", "post_attention_layernorm", shapes.norm
    if config.qk_norm:
        yield "query_norm", "self_attn.q_norm", shapes.head_norm
        if kinds.shared_kv < 0:
            yield "key_norm", "self_attn.k_norm", shapes.head_norm
    if config.per_layer_dim:
        yield "per_layer_gate", "per_layer_input_gate", (config.per_layer_dim, config.model_dim)
        yield "per_layer_out", "per_layer_projection", (config.model_dim, config.per_layer_dim)
        yield "post_per_layer_norm", "post_per_layer_input_norm", shapes.norm
    if config.num_experts:
        yield "router", "router.proj", (config.num_experts, config.model_dim)
        yield "pre_experts_norm", "pre_feedforward_layernorm_2", shapes.norm
        yield "post_dense_norm", "post_feedforward_layernorm_1", shapes.norm
        yield "post_experts_norm", "post_feedforward_layernorm_2", shapes.norm
    if config.num_streams:
        yield from _hf_altup(config, shapes)


def _hf_altup(config: ModelConfig, shapes: _Shapes) -> Iterable[Wanted]:
    streams = config.num_streams
    yield "altup_router_norm", "altup.router_norm", shapes.norm
    yield "altup_router", "altup.modality_router", (streams, config.model_dim)
    yield "altup_prediction", "altup.prediction_coefs", (streams * streams, streams)
    yield "altup_correction", "altup.correction_coefs", (streams, streams)
    yield "laurel_left", "laurel.linear_left", (config.laurel_rank, config.model_dim)
    yield "laurel_right", "laurel.linear_right", (config.model_dim, config.laurel_rank)
    yield "laurel_norm", "laurel.post_laurel_norm", shapes.norm


def _hf_layer_bare(config: ModelConfig) -> Iterable[Wanted]:
    """What is no module's weight, and so is called by its name alone."""
    experts, dim = config.num_experts, config.model_dim
    if experts:
        yield "router_norm", "router.scale", (1, dim)
        yield "expert_scales", "router.per_expert_scale", (1, experts)
        yield "experts_gate_up", "experts.gate_up_proj", (experts * 2 * config.expert_dim, dim)
        yield "experts_down", "experts.down_proj", (experts * dim, config.expert_dim)
    if config.scales_active_stream:
        yield "altup_output_scale", "altup.correct_output_scale", (1, dim)


# ---------------------------------------------------------------------------------------------------------------- sbs
def sbs_tensors(config: ModelConfig, present: Container[str]) -> Iterable[Wanted]:
    """The tensors of a .sbs file, in the forms of those that are `present`."""
    shapes = _Shapes(config)
    yield "embedding", "c_embedding", shapes.embedding
    yield "final_norm", "c_final_norm", shapes.norm
    for layer in range(config.num_layers):

        def has(base: str, layer: int = layer) -> bool:
            return f"{base}_{layer}" in present

        for engine_name, base, shape in _sbs_layer(config, shapes, has):
            yield f"layers.{layer}.{engine_name}", f"{base}_{layer}", shape


def _sbs_layer(config: ModelConfig, shapes: _Shapes, has: Callable[[str], bool]) -> Iterable[Wanted]:
    if has("qkv1_w"):
        yield "q", "qkv1_w", shapes.q
        yield "kv", "qkv2_w", shapes.kv
    else:
        yield "qkv", "qkv_ein", shapes.qkv
    if has("att_w"):
        yield "attention_out", "att_w", shapes.out
    else:
        yield "attention_out_heads", "att_ein", shapes.out_heads
    if has("gating1_w"):
        yield "gate", "gating1_w", shapes.gate
        yield "up", "gating2_w", shapes.gate
    else:
        yield "gate_up", "gating_ein", shapes.gate_up
    yield "down", "linear_w", shapes.down
    yield "pre_attention_norm", "pre_att_ns", shapes.norm
    yield "pre_ffn_norm", "pre_ff_ns", shapes.norm
    if config.post_norms:
        yield "post_attention_norm", "post_att_ns", shapes.norm
        yield "post_ffn_norm", "post_ff_ns", shapes.norm
    if config.qk_norm:
        yield "query_norm", "query_norm", shapes.head_norm
        yield "key_norm", "key_norm", shapes.head_norm


# --------------------------------------------------------------------------------------------------------------- gguf
def gguf_tensors(config: ModelConfig, present: Container[str]) -> Iterable[Wanted]:
    """The tensors of a GGUF file, which has one form of each."""
    shapes = _Shapes(config)
    yield "embedding", "token_embd.weight", shapes.embedding
    yield "final_norm", "output_norm.weight", shapes.norm
    if not config.tied_embeddings:
        yield "lm_head", "output.weight", shapes.embedding
    for layer in range(config.num_layers):
        for engine_name, gguf_name, shape in _gguf_layer(config, shapes):
            yield f"layers.{layer}.{engine_name}", f"blk.{layer}.{gguf_name}.weight", shape


def _gguf_layer(config: ModelConfig, shapes: _Shapes) -> Iterable[Wanted]:
    yield "q", "attn_q", shapes.q
    yield "k", "attn_k", shapes.k
    yield "v", "attn_v", shapes.k
    yield "attention_out", "attn_output", shapes.out
    yield "gate", "ffn_gate", shapes.gate
    yield "up", "ffn_up", shapes.gate
    yield "down", "ffn_down", shapes.down
    yield "pre_attention_norm", "attn_norm", shapes.norm
    yield "pre_ffn_norm", "ffn_norm", shapes.norm
    if config.post_norms:
        yield "post_attention_norm", "post_attention_norm", shapes.norm
        yield "post_ffn_norm", "post_ffw_norm", shapes.norm
    if config.qk_norm:
        yield "query_norm", "attn_q_norm", shapes.head_norm
        yield "key_norm", "attn_k_norm", shapes.head_norm
