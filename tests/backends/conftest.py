"""Scripted servers; small models of several families, with random weights and a tokenizer trained here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from servers.chat_server import ChatServer, Handler, Reply
from servers.openai_calls import VARIABLES

TEXT = ["The quick brown fox jumps over the lazy dog.", "user assistant system tool hello world", "naïve café 東京 🙂"]
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SIZES = {
    "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 256,
}  # fmt: skip
FAMILIES: dict[str, dict[str, Any]] = {
    "Llama": SIZES,
    "Qwen2": SIZES,
    "Mistral": {**SIZES, "sliding_window": 16},
    "GPT2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 256},
    "Mamba": {"hidden_size": 32, "state_size": 8, "num_hidden_layers": 2},
}


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenAI's SDK reads variables of its own, which this machine may have set."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def serve() -> Iterator[Callable[..., ChatServer]]:
    """Starts a server that plays these replies, or a handler's."""
    with ExitStack() as stack:

        def start(*replies: Reply, handler: Handler | None = None) -> ChatServer:
            return stack.enter_context(ChatServer(*replies, handler=handler))

        yield start


@pytest.fixture(scope="session")
def make_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Writes the folder of a random model: `make_model("Qwen2", template=...)`, the same for the same arguments."""
    made: dict[tuple[str, str | None], Path] = {}

    def make(family: str, template: str | None = CHATML) -> Path:
        key = (family, template)
        if key not in made:
            made[key] = tmp_path_factory.mktemp(family.lower())
            write_model(made[key], family, template)
        return made[key]

    return make


def write_model(folder: Path, family: str, template: str | None) -> None:
    """A model with random weights and a byte-level tokenizer, as Transformers saves them."""
    import torch
    import transformers

    tokenizer = small_tokenizer(template)
    torch.manual_seed(0)
    config = getattr(transformers, f"{family}Config")(
        vocab_size=len(tokenizer), bos_token_id=None, eos_token_id=tokenizer.eos_token_id, **FAMILIES[family]
    )
    network = transformers.AutoModelForCausalLM.from_config(config)
    for parameter in network.parameters():  # the usual start says the same word for ever
        if parameter.dim() == 2:
            torch.nn.init.normal_(parameter, std=0.3)
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def small_tokenizer(template: str | None) -> Any:
    """A byte-level tokenizer of a few hundred tokens, with ChatML's specials."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    backend.train_from_iterator(
        TEXT, trainers.BpeTrainer(vocab_size=320, special_tokens=specials, initial_alphabet=alphabet)
    )
    backend.add_tokens(["<tool_call>", "</tool_call>"])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    if template is not None:
        tokenizer.chat_template = template
    return tokenizer
