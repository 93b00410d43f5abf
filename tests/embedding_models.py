"""Small embedding models with random weights, as Sentence Transformers lays their folders out, and what their files
say a vector is, computed by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

WIDTH = 32
MAX_TOKENS = 48
WORDS = [
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "query", "document", ":", "the", "cat", "dog", "sat", "on", "a",
    "mat", "sky", "is", "blue", "paris", "france",
]  # fmt: skip
LETTERS = "abcdefghijklmnopqrstuvwxyz"
PROMPTS = {"query": "query : ", "document": "the document : "}
TEXTS = ("the cat sat on a mat", "dog", "The sky is blue", "paris is in france the the the the", "x y z " * 5)
SIZES: dict[str, Any] = {
    "vocab_size": len(WORDS) + 2 * len(LETTERS), "hidden_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 40, "max_position_embeddings": MAX_TOKENS, "pad_token_id": 0,
}  # fmt: skip
OF_DECODERS = {**SIZES, "num_key_value_heads": 1, "head_dim": 16}
FAMILIES: dict[str, dict[str, Any]] = {
    "Bert": SIZES,
    "Gemma3Text": {**OF_DECODERS, "use_bidirectional_attention": True},  # EmbeddingGemma's
    "Qwen3": OF_DECODERS,
}


def write_network(folder: Path, family: str = "Bert", *, padding_side: str = "right", seed: int = 0) -> Path:
    """A network without a head, and its tokenizer."""
    import torch
    import transformers

    torch.manual_seed(seed)
    config = getattr(transformers, f"{family}Config")(**FAMILIES[family])
    network = transformers.AutoModel.from_config(config)
    network.save_pretrained(folder)
    write_tokenizer(folder, padding_side)
    return folder


def write_tokenizer(folder: Path, padding_side: str = "right") -> None:
    """A tokenizer of a few words and all letters."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = [*WORDS, *LETTERS, *(f"##{letter}" for letter in LETTERS)]
    backend = Tokenizer(models.WordPiece({word: id for id, word in enumerate(words)}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    ends = [("[CLS]", words.index("[CLS]")), ("[SEP]", words.index("[SEP]"))]
    backend.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
        mask_token="[MASK]", model_max_length=MAX_TOKENS, padding_side=padding_side,
    )  # fmt: skip
    tokenizer.save_pretrained(folder)


def write_model(
    folder: Path,
    *modules: tuple[str, Mapping[str, Any]],
    family: str = "Bert",
    prompts: Mapping[str, str] | None = None,
    **network: Any,
) -> Path:
    """An embedding model: the network, then these modules, each with what its config.json says."""
    folder.mkdir(parents=True, exist_ok=True)
    write_network(folder, family, **network)
    mean = {"word_embedding_dimension": WIDTH, "pooling_mode_mean_tokens": True}
    modules = modules or (("Pooling", mean), ("Normalize", {}))
    listed = [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}]
    for number, (kind, settings) in enumerate(modules, 1):
        path = f"{number}_{kind}"
        listed.append(
            {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{kind}"}
        )
        (folder / path).mkdir(exist_ok=True)
        if kind != "Normalize":
            _write(folder / path / "config.json", settings)
        if kind in ("Dense", "LayerNorm"):
            _write_weights(folder / path, kind, settings, number)
    _write(folder / "modules.json", listed)
    _write(folder / "sentence_bert_config.json", {"max_seq_length": MAX_TOKENS, "do_lower_case": False})
    _write(folder / "config_sentence_transformers.json", {"prompts": prompts or {}, "default_prompt_name": None})
    return folder


def dense(size: int, out: int, activation: str = "linear.Identity", bias: bool = False) -> tuple[str, dict[str, Any]]:
    """A Dense module, as EmbeddingGemma has two."""
    activation = f"torch.nn.modules.{activation}"
    return "Dense", {"in_features": size, "out_features": out, "bias": bias, "activation_function": activation}


def write_embedding_gemma(folder: Path) -> Path:
    """EmbeddingGemma's layout: a Gemma that looks both ways, the mean, two matrices, vectors of length 1, prompts."""
    pooling = ("Pooling", {"word_embedding_dimension": WIDTH, "pooling_mode_mean_tokens": True})
    modules = (pooling, dense(WIDTH, 4 * WIDTH), dense(4 * WIDTH, WIDTH), ("Normalize", {}))
    return write_model(folder, *modules, family="Gemma3Text", prompts=PROMPTS)


def by_hand(folder: Path, texts: Sequence[str], prompt: str = "") -> list[list[float]]:
    """The vectors of a model of one mean, any number of Dense modules without bias, and Normalize: one text at a
    time, so that nothing is filled up."""
    import torch
    import transformers
    from safetensors.torch import load_file

    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    network = transformers.AutoModel.from_pretrained(folder).eval()
    vectors = []
    for text in texts:
        with torch.inference_mode():
            states = network(**tokenizer(prompt + text, return_tensors="pt")).last_hidden_state
        vector = states[0].mean(dim=0)
        for path in sorted(folder.glob("*_Dense")):
            vector = load_file(path / "model.safetensors")["linear.weight"] @ vector
        vectors.append((vector / vector.norm()).tolist())
    return vectors


def _write(path: Path, values: Any) -> None:
    path.write_text(json.dumps(values))


def _write_weights(folder: Path, kind: str, settings: Mapping[str, Any], seed: int) -> None:
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(seed)
    if kind == "LayerNorm":
        size = settings["dimension"]
        save_file({"norm.weight": torch.rand(size), "norm.bias": torch.rand(size)}, folder / "model.safetensors")
        return
    tensors = {"linear.weight": torch.randn(settings["out_features"], settings["in_features"])}
    if settings["bias"]:
        tensors["linear.bias"] = torch.randn(settings["out_features"])
    save_file(tensors, folder / "model.safetensors")
