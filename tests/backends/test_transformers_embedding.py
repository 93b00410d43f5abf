"""Embeddings in Transformers: folders laid out as Sentence Transformers does, against that package and by hand."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
import transformers
from embedding_models import (
    MAX_TOKENS,
    PROMPTS,
    TEXTS,
    WIDTH,
    by_hand,
    dense,
    write_embedding_gemma,
    write_model,
    write_network,
    write_tokenizer,
)

from llm_framework import EmbeddingRequest, LLMFramework, ModelInfo
from llm_framework.backends.transformers import HuggingFaceBackend
from llm_framework.errors import (
    ConfigurationError,
    ContextOverflowError,
    InvalidRequestError,
    ModelLoadError,
    UnsupportedFeatureError,
)

MEAN = ("Pooling", {"word_embedding_dimension": WIDTH, "pooling_mode_mean_tokens": True})
NORMALIZE: tuple[str, dict[str, Any]] = ("Normalize", {})
LAST = ("Pooling", {"word_embedding_dimension": WIDTH, "pooling_mode": "lasttoken"})


def pooling(**settings: Any) -> tuple[str, dict[str, Any]]:
    return "Pooling", {"word_embedding_dimension": WIDTH, **settings}


CASES: dict[str, dict[str, Any]] = {
    "mean": {"modules": [MEAN]},
    "normalized": {"modules": [MEAN, NORMALIZE], "prompts": PROMPTS},
    "cls": {"modules": [pooling(pooling_mode_cls_token=True, pooling_mode_mean_tokens=False)]},
    "max": {"modules": [pooling(pooling_mode_max_tokens=True)]},
    "weighted": {"modules": [pooling(pooling_mode_weightedmean_tokens=True)]},
    "root": {"modules": [pooling(pooling_mode_mean_sqrt_len_tokens=True)]},
    "three": {"modules": [pooling(pooling_mode=["mean", "cls", "lasttoken"])]},
    "dense": {"modules": [MEAN, dense(WIDTH, 16, "activation.Tanh", bias=True), ("LayerNorm", {"dimension": 16})]},
    "prompt left out": {"modules": [pooling(pooling_mode="mean", include_prompt=False)], "prompts": PROMPTS},
    "decoder": {"modules": [LAST, NORMALIZE], "family": "Qwen3", "prompts": PROMPTS},
    "filled up on the left": {"modules": [LAST], "family": "Qwen3", "padding_side": "left"},
    "weighted on the left": {
        "modules": [pooling(pooling_mode="weightedmean")], "family": "Qwen3", "padding_side": "left",
    },
}  # fmt: skip


def info(path: Path, **fields: Any) -> ModelInfo:
    return ModelInfo(path.name, **{"model_type": "embedding", "backend_type": "transformers", "path": path, **fields})


@pytest.fixture
async def opened() -> AsyncIterator[Callable[..., HuggingFaceBackend]]:
    """Makes the backend of a folder, and frees it at the end."""
    backends: list[HuggingFaceBackend] = []

    def make(path: Path, settings: dict[str, Any] | None = None, **fields: Any) -> HuggingFaceBackend:
        backends.append(HuggingFaceBackend(info(path, **fields), {"device": "cpu", **(settings or {})}))
        return backends[-1]

    yield make
    for backend in backends:
        await backend.unload_model()


async def vectors(backend: HuggingFaceBackend, *texts: str, **fields: Any) -> list[list[float]]:
    made = await backend.embed(EmbeddingRequest(texts=texts or TEXTS, **fields))
    return [list(vector) for vector in made.vectors]


def distance(left: Any, right: Any) -> float:
    """The largest difference of two numbers of the vectors."""
    first, second = torch.tensor(left), torch.tensor(right)
    assert first.shape == second.shape
    return float((first - second).abs().max())


# ------------------------------------------------------------------------------------------------ what a vector is
@pytest.mark.parametrize("case", CASES)
async def test_vectors_are_those_of_sentence_transformers(
    case: str, tmp_path: Path, opened: Callable[..., HuggingFaceBackend]
) -> None:
    """Every pooling, module and prompt makes the vectors that Sentence Transformers' own package makes of them."""
    oracle = pytest.importorskip("sentence_transformers")
    settings = dict(CASES[case])
    folder = write_model(tmp_path / "model", *settings.pop("modules"), **settings)
    backend, reference = opened(folder), oracle.SentenceTransformer(str(folder), device="cpu")
    assert distance(await vectors(backend), reference.encode(TEXTS)) < 1e-6
    assert distance(await vectors(backend, task="query"), reference.encode_query(TEXTS)) < 1e-6
    assert distance(await vectors(backend, task="document"), reference.encode_document(TEXTS)) < 1e-6


async def test_embedding_gemma_by_hand(tmp_path: Path, opened: Callable[..., HuggingFaceBackend]) -> None:
    """EmbeddingGemma's layout makes what its files say, computed here step by step; queries and documents have their
    prompts, and vectors have the length 1."""
    folder = write_embedding_gemma(tmp_path / "embeddinggemma")
    backend = opened(folder)
    assert distance(await vectors(backend), by_hand(folder, TEXTS)) < 1e-6
    query = await vectors(backend, task="query")
    assert distance(query, by_hand(folder, TEXTS, PROMPTS["query"])) < 1e-6
    assert distance(await vectors(backend, task="document"), by_hand(folder, TEXTS, PROMPTS["document"])) < 1e-6
    assert all(math.isclose(sum(number * number for number in vector), 1, abs_tol=1e-5) for vector in query)


async def test_documents_under_another_name(tmp_path: Path, opened: Callable[..., HuggingFaceBackend]) -> None:
    """A prompt that is called "passage" or "corpus" stands before documents too; without a task there is the default
    one, and a task without a prompt has none."""
    folder = write_model(tmp_path / "model", prompts={"corpus": "a mat : ", "passage": "the document : "})
    values = json.loads((folder / "config_sentence_transformers.json").read_text())
    (folder / "config_sentence_transformers.json").write_text(json.dumps({**values, "default_prompt_name": "corpus"}))
    backend = opened(folder)
    assert distance(await vectors(backend, task="document"), by_hand(folder, TEXTS, "the document : ")) < 1e-6
    assert distance(await vectors(backend), by_hand(folder, TEXTS, "a mat : ")) < 1e-6
    assert distance(await vectors(backend, task="query"), by_hand(folder, TEXTS)) < 1e-6


async def test_a_text_has_the_same_vector_in_any_company(
    tmp_path: Path, opened: Callable[..., HuggingFaceBackend]
) -> None:
    """The order is the caller's, and the texts beside a text do not change its vector."""
    backend = opened(write_model(tmp_path / "model"))
    many = [text for number in range(40) for text in (*TEXTS, f"the dog sat on {'a ' * (number % 20)}mat")]
    together = await vectors(backend, *many)
    for index in (0, 1, 5, 100, len(many) - 1):
        assert distance([together[index]], await vectors(backend, many[index])) < 1e-6


async def test_shorter_vectors(tmp_path: Path, opened: Callable[..., HuggingFaceBackend]) -> None:
    """`dimensions` takes the first numbers, at length 1 again where the model's vectors have it; more than there are
    is an error that says how many there are."""
    folder = write_model(tmp_path / "model")
    backend = opened(folder)
    first = torch.tensor(by_hand(folder, TEXTS))[:, :8]
    wanted = (first / first.norm(dim=1, keepdim=True)).tolist()
    assert distance(await vectors(backend, dimensions=8), wanted) < 1e-6
    assert len((await vectors(backend, dimensions=WIDTH))[0]) == WIDTH
    with pytest.raises(InvalidRequestError, match="64 dimensions were asked for, and model makes vectors of 32"):
        await vectors(backend, dimensions=64)


async def test_tokens_are_counted_and_texts_not_cut(tmp_path: Path, opened: Callable[..., HuggingFaceBackend]) -> None:
    """Usage counts the tokens of all texts with their prompts; a text that is too long is told by its place, its
    length and the limit, and one that just fits is taken."""
    backend = opened(write_model(tmp_path / "model", prompts={"query": "query : "}))
    made = await backend.embed(EmbeddingRequest(texts=("the cat", "dog"), task="query"))
    assert made.usage is not None
    assert made.usage.input_tokens == (2 + 2 + 2) + (2 + 2 + 1)
    assert not made.usage.estimated
    assert await vectors(backend, "the " * (MAX_TOKENS - 2))
    with pytest.raises(ContextOverflowError, match=r"texts\[7\] has 49 tokens, and model reads 48 at most") as caught:
        await vectors(backend, "dog", "the " * (MAX_TOKENS - 1), positions=(3, 7))
    assert (caught.value.tokens, caught.value.limit) == (49, 48)
    assert (await vectors(backend, ""))[0] != (await vectors(backend, "dog"))[0]  # the marks at both ends alone


# ------------------------------------------------------------------------------------------------ in the framework
async def test_in_the_framework(tmp_path: Path) -> None:
    """A folder is embedded with by its path, at the same time from many tasks, and counted; it writes no text."""
    folder = write_model(tmp_path / "minilm")
    async with LLMFramework({"models_dir": str(tmp_path / "empty")}) as framework:
        name = f"transformers:{folder}"
        wanted = by_hand(folder, TEXTS)
        answers = await asyncio.gather(*(framework.embed(TEXTS, model_name=name) for _ in range(8)))
        assert all(distance(answer, wanted) < 1e-6 for answer in answers)
        assert framework.sync.embed("dog", model_name=name) == await framework.embed(["dog"], model_name=name)
        stats = framework.get_performance_stats()
        assert (stats["total_requests"], stats["failed_requests"], stats["loaded_models"]) == (10, 0, 1)
        with pytest.raises(UnsupportedFeatureError, match="makes embeddings and writes no text"):
            await framework.generate_text("hi", model_name=name)


async def test_a_chat_model_makes_none(bundled_path: Path, opened: Callable[..., HuggingFaceBackend]) -> None:
    """A model that writes text refuses, and says what to name instead."""
    with pytest.raises(UnsupportedFeatureError, match="makes no embeddings; name a model that does"):
        await vectors(opened(bundled_path, model_type="chat"))


# ------------------------------------------------------------------------------------------------ folders without files
async def test_a_plain_encoder_takes_the_mean(tmp_path: Path, opened: Callable[..., HuggingFaceBackend]) -> None:
    """Of a text encoder without modules.json the vectors are the normalized mean, unless a setting says otherwise."""
    folder = write_network(tmp_path / "bert")
    assert distance(await vectors(opened(folder)), by_hand(folder, TEXTS)) < 1e-6
    first = await vectors(opened(folder, {"pooling": "cls", "normalize": False}), "dog")
    network = transformers.AutoModel.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    with torch.inference_mode():
        states = network(**tokenizer("dog", return_tensors="pt")).last_hidden_state
    assert distance(first, states[:, 0].tolist()) < 1e-6
    with pytest.raises(ConfigurationError, match="pooling is 'average'; it must be one of"):
        await vectors(opened(folder, {"pooling": "average"}))


async def test_a_decoder_must_be_told_how(tmp_path: Path, opened: Callable[..., HuggingFaceBackend]) -> None:
    """A model that was made to write is refused without modules.json, and taken when the metadata names the pooling."""
    folder = write_network(tmp_path / "qwen", "Qwen3")
    with pytest.raises(UnsupportedFeatureError, match=r"no modules\.json .* set pooling in the model's metadata"):
        await vectors(opened(folder))
    assert len(await vectors(opened(folder, metadata={"pooling": "lasttoken"}))) == len(TEXTS)


# ------------------------------------------------------------------------------------------------ broken folders
BROKEN: dict[str, tuple[Callable[[Path], Any], str]] = {
    "not JSON": (lambda folder: (folder / "modules.json").write_text("["), r"modules\.json cannot be read"),
    "no list": (lambda folder: (folder / "modules.json").write_text("{}"), "is no list of modules"),
    "empty": (lambda folder: (folder / "modules.json").write_text("[]"), "does not begin with a Transformer"),
    "outside": (
        lambda folder: change(folder, 1, path="../elsewhere"), r"points to '\.\./elsewhere', which is no folder in it",
    ),
    "unknown module": (lambda folder: change(folder, 1, type="a.b.LSTM"), "asks for LSTM, which is not known here"),
    "unknown pooling": (
        lambda folder: (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode": "best"}'),
        "the pooling 'best' is not known here",
    ),
    "no weights": (lambda folder: (folder / "2_Dense" / "model.safetensors").unlink(), "pickled weights are refused"),
    "broken weights": (
        lambda folder: (folder / "2_Dense" / "model.safetensors").write_bytes(b"x"), "cannot be read, or does not hold",
    ),
    "no tensors": (lambda folder: (folder / "model.safetensors").unlink(), "has no safetensors file"),
    "unknown activation": (
        lambda folder: (folder / "2_Dense" / "config.json").write_text('{"activation_function": "os.system"}'),
        "a Dense module of a kind that is not known here",
    ),
}  # fmt: skip


def change(folder: Path, number: int, **fields: Any) -> None:
    modules = json.loads((folder / "modules.json").read_text())
    modules[number].update(fields)
    (folder / "modules.json").write_text(json.dumps(modules))


@pytest.mark.parametrize("case", BROKEN)
async def test_broken_folders(case: str, tmp_path: Path, opened: Callable[..., HuggingFaceBackend]) -> None:
    """What is wrong with a folder is a `ModelLoadError` that names the folder and the file."""
    folder = write_model(tmp_path / "model", MEAN, dense(WIDTH, 8))
    (tmp_path / "elsewhere").mkdir()
    damage, said = BROKEN[case]
    damage(folder)
    with pytest.raises(ModelLoadError, match=said) as caught:
        await opened(folder).load_model()
    assert str(folder) in str(caught.value)


async def test_an_older_folder(tmp_path: Path, opened: Callable[..., HuggingFaceBackend]) -> None:
    """A network in a folder of its own, 0_Transformer, as older models have it, is found there."""
    folder = write_model(tmp_path / "model")
    wanted = await vectors(opened(folder))
    inner = folder / "0_Transformer"
    inner.mkdir()
    for file in [
        file for file in folder.iterdir() if file.is_file() and not file.name.startswith(("modules", "config_"))
    ]:
        file.rename(inner / file.name)
    change(folder, 0, path="0_Transformer")
    assert await vectors(opened(folder)) == wanted


async def test_a_tokenizer_without_padding(tmp_path: Path, opened: Callable[..., HuggingFaceBackend]) -> None:
    """A decoder's tokenizer that names no token to fill up with still takes texts of different lengths."""
    folder = write_model(tmp_path / "model", LAST, family="Qwen3")
    wanted = await vectors(opened(folder))
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        if (folder / name).is_file():
            values = json.loads((folder / name).read_text())
            values.pop("pad_token", None)
            (folder / name).write_text(json.dumps(values))
    assert distance(await vectors(opened(folder)), wanted) < 1e-6
    write_tokenizer(folder)
