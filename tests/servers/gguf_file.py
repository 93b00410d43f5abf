"""The bundled model as a GGUF file, for servers that read no other format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_TENSORS = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "post_attention_layernorm": "post_attention_norm",
    "pre_feedforward_layernorm": "ffn_norm",
    "post_feedforward_layernorm": "post_ffw_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
_TURNS = ("<start_of_turn>", "<end_of_turn>")
_TAGS = ("<tool_call>", "</tool_call>", "<tool_result>", "</tool_result>")


def write_gguf(folder: Path, file: Path) -> None:
    """Write the Gemma 3 model in `folder` (Hugging Face's format, with a SentencePiece tokenizer), in single
    precision."""
    import gguf

    config = json.loads((folder / "config.json").read_text())
    writer = gguf.GGUFWriter(file, "gemma3")
    _write_sizes(writer, config)
    _write_tokenizer(writer, folder)
    _write_tensors(writer, folder, config)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _write_sizes(writer: Any, config: dict[str, Any]) -> None:
    writer.add_name("tiny-chat")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(config["head_dim"])
    writer.add_value_length(config["head_dim"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_float32("gemma3.rope.freq_base_swa", config["rope_local_base_freq"])
    writer.add_sliding_window(config["sliding_window"])
    writer.add_sliding_window_pattern([kind == "sliding_attention" for kind in config["layer_types"]])
    writer.add_file_type(0)  # single precision


def _write_tokenizer(writer: Any, folder: Path) -> None:
    from gguf import TokenType
    from sentencepiece import SentencePieceProcessor

    pieces = SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))

    def kind(token: int) -> TokenType:
        if pieces.is_unknown(token):
            return TokenType.UNKNOWN
        if pieces.is_control(token) or pieces.id_to_piece(token) in _TURNS:
            return TokenType.CONTROL
        if pieces.is_byte(token):
            return TokenType.BYTE
        return TokenType.USER_DEFINED if pieces.id_to_piece(token) in _TAGS else TokenType.NORMAL

    tokens = range(pieces.get_piece_size())
    writer.add_tokenizer_model("llama")
    writer.add_token_list([pieces.id_to_piece(token) for token in tokens])
    writer.add_token_scores([pieces.get_score(token) for token in tokens])
    writer.add_token_types([kind(token) for token in tokens])
    writer.add_bos_token_id(pieces.bos_id())
    writer.add_eos_token_id(pieces.eos_id())
    writer.add_eot_token_id(pieces.piece_to_id("<end_of_turn>"))
    writer.add_unk_token_id(pieces.unk_id())
    writer.add_pad_token_id(pieces.pad_id())
    writer.add_add_bos_token(True)
    writer.add_add_space_prefix(False)
    writer.add_chat_template((folder / "chat_template.jinja").read_text())


def _write_tensors(writer: Any, folder: Path, config: dict[str, Any]) -> None:
    from llm_framework.native import open_model

    model = open_model(folder)
    try:
        names = {"model.embed_tokens": "token_embd", "model.norm": "output_norm"}
        for layer in range(config["num_hidden_layers"]):
            names |= {f"model.layers.{layer}.{ours}": f"blk.{layer}.{theirs}" for ours, theirs in _TENSORS.items()}
        for ours, theirs in names.items():
            values = model.tensor(f"{ours}.weight")
            # Gemma multiplies by one more than a norm's weight; llama.cpp wants that added beforehand.
            writer.add_tensor(f"{theirs}.weight", values + 1 if "norm" in theirs else values)
    finally:
        model.close()
