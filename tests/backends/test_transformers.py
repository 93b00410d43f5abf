"""`HuggingFaceBackend` on the bundled model and on random models of several families."""

from __future__ import annotations

import asyncio
import json
import math
import shutil
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
import transformers

from llm_framework.backends.torch_engine import TorchEngine, TorchRow
from llm_framework.backends.transformers import HubModel, HuggingFaceBackend
from llm_framework.decoding import lark
from llm_framework.errors import (
    ConfigurationError,
    ContextOverflowError,
    InvalidRequestError,
    MissingDependencyError,
    ModelLoadError,
    ProviderUnavailableError,
    UnsupportedFeatureError,
)
from llm_framework.native.backend import GemmaNativeBackend
from llm_framework.registry import ModelInfo, ModelRegistry
from llm_framework.testing import check_backend
from llm_framework.types import (
    Chunk,
    GenerationConfig,
    InferenceRequest,
    InferenceResponse,
    ResponseBuilder,
    ResponseFormat,
)

PROMPTS = [
    "Hello!", "Who are you?", "What can you do?", "Thank you!", "Count from one to twenty in words.",
    "Anna is 30 years old and lives in Paris. How old is Anna?", "What is the capital of France?",
    "Tell me a story about a café in 東京 🙂.", "The word is " + "very " * 60 + "long.", "Reply with one word.",
]  # fmt: skip
ENDLESS: dict[str, Any] = {"max_tokens": 1500, "temperature": 5.0, "seed": 1}


def info(path: Path, **fields: Any) -> ModelInfo:
    """The model in the folder, for this backend."""
    return ModelInfo(path.name, backend_type="transformers", path=path, **fields)


def request(prompt: str = "Hello!", **values: Any) -> InferenceRequest:
    """A request; `values` are its config's."""
    return InferenceRequest(prompt, config=GenerationConfig(**{"max_tokens": 12, "seed": 1, **values}))


async def chunks(backend: HuggingFaceBackend, asked: InferenceRequest) -> list[Chunk]:
    """All chunks of an answer."""
    return [chunk async for chunk in backend.stream(asked)]


async def answer(backend: HuggingFaceBackend, asked: InferenceRequest) -> InferenceResponse:
    """The whole answer."""
    builder = ResponseBuilder()
    for chunk in await chunks(backend, asked):
        builder.add(chunk)
    return builder.response()


def loaded(backend: HuggingFaceBackend) -> HubModel:
    """What the backend has loaded."""
    assert isinstance(backend._loaded, HubModel)
    return backend._loaded


def engine_threads() -> set[threading.Thread]:
    """The threads that run models now."""
    return {thread for thread in threading.enumerate() if thread.name.startswith("llm-framework")}


async def idle(backend: HuggingFaceBackend) -> None:
    """Wait until no request waits or runs."""
    assert await asyncio.to_thread(loaded(backend).scheduler.wait_idle, 30)


@pytest.fixture
async def backend(bundled_path: Path) -> AsyncIterator[HuggingFaceBackend]:
    """The bundled model, loaded."""
    opened = HuggingFaceBackend(info(bundled_path), {"num_threads": 2, "device": "cpu"})
    await opened.load_model()
    yield opened
    await opened.unload_model()


# ------------------------------------------------------------------------------------------------------------- answers
async def test_the_bundled_model_answers_as_in_our_own_engine(backend: HuggingFaceBackend, bundled_path: Path) -> None:
    """Greedy answers in float32 are the same, word for word."""
    native = GemmaNativeBackend(ModelInfo("tiny-chat", path=bundled_path), {"num_threads": 2})
    config = GenerationConfig(temperature=0, max_tokens=48)
    try:
        for prompt in PROMPTS:
            assert await backend.generate_text(prompt, config) == await native.generate_text(prompt, config), prompt
            asked = InferenceRequest(prompt)
            assert await backend.count_tokens(asked) == await native.count_tokens(asked)
    finally:
        await native.unload_model()


async def test_it_keeps_the_contract(bundled_path: Path) -> None:
    """The contract of every backend, tools in the history included."""
    gone = info(bundled_path / "nothing")
    await check_backend(
        HuggingFaceBackend, info(bundled_path), {"device": "cpu"}, tools=True, response_format=True, failing_info=gone
    )


async def test_an_answer_keeps_to_a_grammar(backend: HuggingFaceBackend) -> None:
    """Masks hold an answer to a grammar here too, to the end of its budget."""
    source = 'start: item (", " item)*\nitem: NAME "(" [item] ")"\nNAME: /[a-z]+/'
    for seed in range(3):
        form = ResponseFormat(lark=source)
        got = await answer(backend, replace(request(temperature=2.0, seed=seed), response_format=form))
        assert lark.matches(source, got.text)


async def test_a_grammar_is_refused_where_calls_are_in_the_way(make_model: Callable[..., Path]) -> None:
    """A model whose own template writes calls is held to no grammar, and says so."""
    folder = make_model("Qwen2", template="{{ messages[0]['content'] }}{% if tools %}<tool_call>{% endif %}")
    backend = HuggingFaceBackend(info(folder), {"device": "cpu"})
    with pytest.raises(UnsupportedFeatureError, match="no Lark grammar"):
        await answer(backend, replace(request(), response_format=ResponseFormat(lark='start: "a"')))
    await backend.unload_model()


async def test_an_answer_is_streamed(backend: HuggingFaceBackend) -> None:
    """Text comes in several pieces, then one chunk with finish reason, usage and timings."""
    *pieces, last = await chunks(backend, request("Hello, who are you?", temperature=0, max_tokens=60))
    assert len(pieces) > 1
    assert all(chunk.finish_reason is None and chunk.usage is None for chunk in pieces)
    assert (last.finish_reason, last.text) == ("stop", "")
    assert last.usage is not None
    assert last.usage.input_tokens > 5
    assert len(pieces) <= last.usage.output_tokens < 60
    assert last.timings is not None
    assert 0 < last.timings.first_token <= last.timings.total


async def test_the_same_seed_gives_the_same_answer(backend: HuggingFaceBackend) -> None:
    """A seed fixes the answer, alone or beside others; without one it is drawn anew."""
    first, again, other = [await answer(backend, request(temperature=3.0, seed=seed)) for seed in (1, 1, 2)]
    assert first.text == again.text != other.text
    beside = await asyncio.gather(*(answer(backend, request(temperature=3.0, seed=seed)) for seed in (2, 1, 3)))
    assert [beside[0].text, beside[1].text] == [other.text, first.text]
    drawn = {(await answer(backend, request(temperature=5.0, seed=None))).text for _ in range(3)}
    assert len(drawn) > 1


async def test_limits_end_the_text(backend: HuggingFaceBackend) -> None:
    """max_tokens ends an answer with "length", a stop string with "stop" and without itself."""
    cut = await answer(backend, request("What can you do?", temperature=0, max_tokens=3))
    assert (cut.finish_reason, cut.usage.output_tokens) == ("length", 3)
    whole = await answer(backend, request("What can you do?", temperature=0, max_tokens=40))
    stop = whole.text.split()[3]
    stopped = await answer(backend, request("What can you do?", temperature=0, max_tokens=40, stop=(stop,)))
    assert stopped.finish_reason == "stop"
    assert stopped.text == whole.text[: whole.text.index(stop)]


async def test_logprobs_are_the_models_own(backend: HuggingFaceBackend) -> None:
    """Every token comes with its log-probability and the alternatives, likeliest first, whatever the temperature."""
    got = await answer(backend, request(temperature=0, logprobs=3, max_tokens=5))
    assert len(got.logprobs) == got.usage.output_tokens
    for entry in got.logprobs:
        assert len(entry.top) == 3
        assert entry.top[0][1:] == (entry.token_id, entry.logprob)
        assert entry.logprob <= 0
        assert math.fsum(math.exp(logprob) for _, _, logprob in entry.top) <= 1 + 1e-5


async def test_a_bias_forbids_and_forces(backend: HuggingFaceBackend) -> None:
    """logit_bias is added to the logits; an id outside of the vocabulary is refused."""
    token = loaded(backend).tokenizer.encode("Paris", parse_special=False)[-1]
    forced = await answer(backend, request(logit_bias={token: 1e4}, max_tokens=2))
    assert "Paris"[-1] in forced.text
    with pytest.raises(InvalidRequestError, match="logit_bias"):
        await answer(backend, request(logit_bias={10**6: 1.0}))


async def test_a_prompt_without_room_is_refused(backend: HuggingFaceBackend) -> None:
    """Before anything is computed, and the error says by how much."""
    with pytest.raises(ContextOverflowError) as caught:
        await answer(backend, request("word " * 3000))
    assert caught.value.limit == 2048
    assert caught.value.tokens
    assert caught.value.tokens > 2048


# -------------------------------------------------------------------------------------------------------- cancellation
async def test_closing_a_stream_stops_the_work(backend: HuggingFaceBackend) -> None:
    """The engine takes no step for a request whose stream was closed, and no thread is left over."""
    await answer(backend, request())
    threads = engine_threads()
    async with aclosing(backend.stream(request(**ENDLESS))) as stream:
        await anext(stream)
    await idle(backend)
    assert loaded(backend).scheduler.num_steps < 1000
    assert engine_threads() == threads


async def test_cancelling_a_task_stops_the_work(backend: HuggingFaceBackend) -> None:
    """Also where the task waits for a token; the others go on."""
    begun = asyncio.Event()

    async def read() -> None:
        async for _ in backend.stream(request(**ENDLESS)):
            begun.set()

    task = asyncio.ensure_future(read())
    other = asyncio.ensure_future(answer(backend, request(temperature=0, max_tokens=8)))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await other).text
    await idle(backend)


async def test_unloading_ends_the_thread(make_model: Callable[..., Path]) -> None:
    """What still runs fails with a typed error, the thread is gone, and the model can be loaded again."""
    threads = engine_threads()
    backend = HuggingFaceBackend(info(make_model("Llama")), {"device": "cpu"})
    stream = backend.stream(request(max_tokens=200, temperature=1.0, logit_bias={2: -100.0}))
    await anext(stream)
    await backend.unload_model()
    with pytest.raises(ProviderUnavailableError, match="unloaded"):
        async for _ in stream:
            pass
    assert engine_threads() == threads
    assert (await answer(backend, request())).usage.output_tokens
    await backend.unload_model()


# ------------------------------------------------------------------------------------------------------------ families
@pytest.mark.parametrize("family", ["Llama", "Qwen2", "Mistral", "GPT2", "Mamba"])
async def test_a_family_generates_what_transformers_does(family: str, make_model: Callable[..., Path]) -> None:
    """Greedy tokens are those of Transformers' own `generate`, from the prompt of its own chat template."""
    folder = make_model(family)
    backend = HuggingFaceBackend(info(folder), {"device": "cpu"})
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    network = transformers.AutoModelForCausalLM.from_pretrained(folder)
    chat = [{"role": "user", "content": "hello 東京 " + "the quick brown fox " * 8}]
    ids = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=True, return_tensors="pt")
    expected = network.generate(**ids, max_new_tokens=24, do_sample=False)[0, ids["input_ids"].shape[1] :]
    got = await answer(backend, request(chat[0]["content"], temperature=0, max_tokens=24, logprobs=0))
    await backend.unload_model()
    assert got.usage.input_tokens == ids["input_ids"].shape[1]
    assert [entry.token_id for entry in got.logprobs] == [t for t in expected.tolist() if t != tokenizer.eos_token_id]
    assert got.text == tokenizer.decode(expected, skip_special_tokens=True)


async def test_a_long_prompt_in_pieces_is_the_same(make_model: Callable[..., Path]) -> None:
    """Prompts that are read piece by piece, over a sliding window too, give what one piece gives."""
    folder = make_model("Mistral")
    answers = []
    for prefill in (7, 512):
        backend = HuggingFaceBackend(info(folder), {"device": "cpu"})
        await backend.load_model()
        loaded(backend).scheduler._prefill_tokens = prefill
        answers.append((await answer(backend, request("hello " * 40, temperature=0))).text)
        await backend.unload_model()
    assert answers[0] == answers[1]


async def test_specials_in_a_users_text_stay_text(make_model: Callable[..., Path]) -> None:
    """What a user writes cannot end the turn."""
    backend = HuggingFaceBackend(info(make_model("Llama")), {"device": "cpu"})
    await backend.load_model()
    end = loaded(backend).tokenizer.specials["<|im_end|>"]
    assert loaded(backend).prompt(InferenceRequest("hello")).count(end) == 1
    assert loaded(backend).prompt(InferenceRequest("hello<|im_end|>")).count(end) == 1
    await backend.unload_model()


def test_token_bytes_join_to_the_text(make_model: Callable[..., Path]) -> None:
    """The bytes of the tokens of a text are the text's bytes, for letters of any script."""
    from llm_framework.backends.hub_tokenizer import HubTokenizer

    tokenizer = HubTokenizer(transformers.AutoTokenizer.from_pretrained(make_model("Llama")))
    text = "naïve café, 東京 🙂\n\ttab <tool_call>x</tool_call> <|im_end|>"
    assert b"".join(map(tokenizer.token_bytes, tokenizer.encode(text))).decode() == text
    assert tokenizer.decode(tokenizer.encode(text)) == text.removesuffix("<|im_end|>")
    spelt_out = tokenizer.encode(text, parse_special=False)
    assert not any(map(tokenizer.is_special, spelt_out))
    assert b"".join(map(tokenizer.token_bytes, spelt_out)).decode() == text


# -------------------------------------------------------------------------------------------------------------- engine
def test_a_mask_allows_what_it_says(make_model: Callable[..., Path]) -> None:
    """With a mask, only tokens whose bit is set are drawn."""
    import numpy as np

    from llm_framework.backends.torch_sampling import TorchSampler

    engine = TorchEngine(transformers.AutoModelForCausalLM.from_pretrained(make_model("Llama")))
    mask = np.zeros(11, dtype=np.uint32)
    mask[40 // 32] = 1 << (40 % 32)
    mask[77 // 32] |= 1 << (77 % 32)
    drawn = set()
    for seed in range(30):
        sampled = engine.step([TorchRow(engine.new_sequence(8), [5, 6], TorchSampler(seed, temperature=50.0), mask)])[0]
        assert sampled is not None
        drawn.add(sampled.token)
    assert drawn == {40, 77}


def test_a_failed_step_leaves_the_others_as_they_were(make_model: Callable[..., Path]) -> None:
    """A row that fails does not change the sequences of the rows before it."""
    from llm_framework.backends.torch_sampling import TorchSampler

    engine = TorchEngine(transformers.AutoModelForCausalLM.from_pretrained(make_model("Llama")))
    good, bad = engine.new_sequence(8), engine.new_sequence(8)
    engine.step([TorchRow(good, [5, 6])])
    with pytest.raises(IndexError):
        engine.step([TorchRow(good, [7]), TorchRow(bad, [10**6])])
    assert (good.length, bad.length) == (2, 0)
    again = engine.step([TorchRow(good, [7], TorchSampler(0, temperature=0.0))])[0]
    fresh = engine.step([TorchRow(engine.new_sequence(8), [5, 6, 7], TorchSampler(0, temperature=0.0))])[0]
    assert again is not None
    assert fresh is not None
    assert again.token == fresh.token


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        ({"top_k": 2}, {0, 1}), ({"top_p": 0.6}, {0, 1}), ({"top_p": 0.5}, {0}), ({"min_p": 0.5}, {0, 1}),
        ({"top_k": 3, "top_p": 0.8}, {0, 1}), ({"temperature": 0.0}, {0}), ({"top_k": 1}, {0}), ({}, {0, 1, 2, 3}),
        ({"logit_bias": {3: 100.0}}, {3}),
    ],
)  # fmt: skip
def test_cuts_keep_the_likeliest(settings: dict[str, Any], kept: set[int]) -> None:
    """top_k, top_p, min_p and bias leave the tokens that their definitions leave."""
    from llm_framework.backends.torch_sampling import TorchSampler

    logits = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()
    assert {TorchSampler(seed, **settings).sample(logits.clone()).token for seed in range(200)} == kept


def test_penalties_count_what_they_should() -> None:
    """Repetition counts the prompt's tokens too; presence and frequency count drawn ones only."""
    from llm_framework.backends.torch_sampling import TorchSampler

    logits = torch.tensor([2.0, 1.5, -1.0])
    repeating = TorchSampler(0, temperature=0.0, repetition_penalty=2.0)
    assert repeating.sample(logits.clone()).token == 0
    assert repeating.sample(logits.clone()).token == 1
    observed = TorchSampler(0, temperature=0.0, repetition_penalty=2.0)
    observed.observe([0])
    assert observed.sample(logits.clone()).token == 1
    for settings in ({"presence_penalty": 0.6}, {"frequency_penalty": 0.6}):
        sampler = TorchSampler(0, temperature=0.0, **settings)
        sampler.observe([0])
        assert [sampler.sample(logits.clone()).token for _ in range(2)] == [0, 1]


# ------------------------------------------------------------------------------------------------------------- loading
async def test_pickled_weights_are_refused(tmp_path: Path, make_model: Callable[..., Path]) -> None:
    """A folder without safetensors is refused by the names of its files; nothing is unpickled."""
    folder = shutil.copytree(make_model("Llama"), tmp_path / "m")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelLoadError, match="pickled"):
        await HuggingFaceBackend(info(folder)).load_model()


async def test_foreign_code_is_not_run(tmp_path: Path, make_model: Callable[..., Path]) -> None:
    """A model that brings its own code is refused unless the settings trust it."""
    folder = shutil.copytree(make_model("Llama"), tmp_path / "m")
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "strange", "auto_map": {"AutoConfig": "code.Strange", "AutoModelForCausalLM": "code.Net"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "code.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(ModelLoadError, match="trust_remote_code"):
        await HuggingFaceBackend(info(folder)).load_model()
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("file", ["config.json", "model.safetensors", "tokenizer.json"])
async def test_broken_files_are_named(file: str, tmp_path: Path, make_model: Callable[..., Path]) -> None:
    """Whatever Transformers raises becomes a `ModelLoadError` that names the folder."""
    folder = shutil.copytree(make_model("Llama"), tmp_path / "m")
    (folder / file).write_bytes(b"\xff{ broken")
    with pytest.raises(ModelLoadError, match=str(folder)):
        await HuggingFaceBackend(info(folder), {"device": "cpu"}).load_model()


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"dtype": "float7"}, ConfigurationError), ({"device": "abacus"}, ConfigurationError),
        ({"quantization": "sfp"}, ConfigurationError), ({"device": "cuda:0"}, ConfigurationError),
    ],
)  # fmt: skip
async def test_wrong_settings_are_named(settings: dict[str, Any], error: type, make_model: Callable[..., Path]) -> None:
    """A setting that makes no sense here is refused with its name."""
    if settings.get("device") == "cuda:0" and torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    with pytest.raises(error, match=next(iter(settings))):
        await HuggingFaceBackend(info(make_model("Llama")), settings).load_model()


async def test_what_is_not_installed_is_named(make_model: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Spreading and quantising need packages of their own."""
    import importlib.util

    find = importlib.util.find_spec
    hidden = ("accelerate", "bitsandbytes")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name in hidden else find(name, *rest))
    for settings in ({"device_map": "auto"}, {"quantization": "4bit"}):
        with pytest.raises(MissingDependencyError, match="transformers-gpu"):
            await HuggingFaceBackend(info(make_model("Llama")), settings).load_model()


async def test_a_dtype_is_obeyed(make_model: Callable[..., Path]) -> None:
    """float32 on the processor unless something else is asked for."""
    for settings, dtype in (({}, torch.float32), ({"dtype": "bfloat16"}, torch.bfloat16)):
        backend = HuggingFaceBackend(info(make_model("Llama")), {"device": "cpu", **settings})
        assert (await answer(backend, request())).usage.output_tokens
        assert loaded(backend).engine._model.dtype == dtype
        await backend.unload_model()


# ------------------------------------------------------------------------------------------------------------ registry
def test_a_path_names_a_model_of_this_backend(make_model: Callable[..., Path], tmp_path: Path) -> None:
    """`transformers:/path/to/folder`, for families of ours and of others."""
    registry = ModelRegistry(tmp_path, tmp_path / "cache.json")
    found = registry.get_model(f"transformers:{make_model('Qwen2')}")
    assert (found.backend_type, found.path, found.error) == ("transformers", make_model("Qwen2"), None)
    assert found.context_length == 256
    assert registry.get_model("transformers:tiny-chat").backend_type == "transformers"


def test_other_families_are_found_for_this_backend(make_model: Callable[..., Path], tmp_path: Path) -> None:
    """A folder of an architecture that our engine does not run is listed for Transformers, with what its headers say;
    one that makes no text is listed with an error."""
    shutil.copytree(make_model("Qwen2"), tmp_path / "qwen-it")
    shutil.copytree(make_model("GPT2", template=None), tmp_path / "gpt")
    shutil.copytree(make_model("Llama"), tmp_path / "judge")
    config = json.loads((tmp_path / "judge" / "config.json").read_text())
    config["architectures"] = ["LlamaForSequenceClassification"]
    (tmp_path / "judge" / "config.json").write_text(json.dumps(config))
    found = {model.name: model for model in ModelRegistry(tmp_path, tmp_path / "cache.json").discover_models()}
    assert {model.backend_type for model in found.values()} == {"transformers"}
    assert (found["qwen-it"].model_type, found["qwen-it"].error) == ("chat", None)
    assert found["qwen-it"].parameters
    assert (found["gpt"].model_type, found["gpt"].context_length) == ("completion", 256)
    assert "does not generate text" in (found["judge"].error or "")


async def test_the_framework_runs_it(make_model: Callable[..., Path], tmp_path: Path) -> None:
    """By name through the whole line, from the registry to the answer."""
    from llm_framework import LLMFramework

    async with LLMFramework() as framework:
        response = await framework.generate("Hello!", model_name="transformers:tiny-chat", temperature=0.0)
        native = await framework.generate("Hello!", model_name="tiny-chat", temperature=0.0)
    assert response.text == native.text
