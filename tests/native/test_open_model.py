"""`open_model` and `NativeModel`: right numbers for every family, and a way of life without surprises."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llm_framework.errors import (
    ContextOverflowError,
    InvalidRequestError,
    ModelLoadError,
)
from llm_framework.native import NativeModel, open_model
from llm_framework.types import GenerationConfig

GREEDY = GenerationConfig(temperature=0, max_tokens=12)


@pytest.fixture(scope="module")
def bundled(bundled_path: Path) -> Iterator[NativeModel]:
    with open_model(bundled_path, num_threads=2) as model:
        yield model


@pytest.fixture
def small(hf_folder: Callable[..., Path]) -> Iterator[NativeModel]:
    with open_model(hf_folder(), num_threads=1) as model:
        yield model


def transformers_logits(folder: Path, ids: list[int]) -> np.ndarray:
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    network = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager"
    )
    with torch.no_grad():
        logits: np.ndarray = network.eval()(torch.tensor([ids])).logits[0].numpy()
    return logits


ROPE5 = {
    "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
    "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
}


@pytest.mark.parametrize(
    ("model_type", "changes"),
    [
        ("gemma", {}),
        ("gemma2", {}),
        ("gemma2", {"attn_logit_softcapping": None, "final_logit_softcapping": None, "rope_theta": 5000.0}),
        ("gemma3_text", {}),
        ("gemma3_text", {"rope_scaling": {"rope_type": "linear", "factor": 8.0}, "rope_local_base_freq": 2e4}),
        ("gemma3_text", {"rope_parameters": ROPE5}),
        ("gemma3_text", {"layer_types": ["full_attention", "sliding_attention", "full_attention"]}),
    ],
)
def test_every_family_computes_what_transformers_does(
    hf_folder: Callable[..., Path],
    hf_config: Any,
    monkeypatch: pytest.MonkeyPatch,
    model_type: str,
    changes: dict[str, Any],
) -> None:
    """In float32 the logits are Transformers' own, past the sliding window, for every form of config."""
    monkeypatch.setenv("LLM_FRAMEWORK_ISA", "scalar")
    folder = hf_folder(model_type, config={**hf_config(model_type), **changes})
    ids = np.random.default_rng(5).integers(0, 64, 40).tolist()
    expected = transformers_logits(folder, ids)
    with open_model(folder, num_threads=1) as model:
        assert np.abs(model.logits(ids) - expected).max() <= 1e-3


def test_multimodal_gemma3_computes_what_transformers_does(
    hf_folder: Callable[..., Path], hf_config: Any, hf_tensors: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The language model of a checkpoint with a vision tower is the same one as on its own."""
    monkeypatch.setenv("LLM_FRAMEWORK_ISA", "scalar")
    alone = hf_folder(name="alone")
    config = {"model_type": "gemma3", "text_config": hf_config("gemma3_text")}
    within = hf_folder(config=config, tensors=hf_tensors("gemma3_text", "language_model.model."), name="within")
    logits = []
    for folder in (alone, within):
        with open_model(folder, num_threads=1) as model:
            logits.append(model.logits([2, 9, 4]))
    assert np.array_equal(*logits)


def test_an_untied_head_is_used(hf_folder: Callable[..., Path], hf_config: Any, hf_tensors: Callable[..., Any]) -> None:
    """With tie_word_embeddings false the logits come from lm_head."""
    tensors = {**hf_tensors("gemma2"), "lm_head.weight": np.zeros((64, 32), np.float32)}
    config = {**hf_config("gemma2"), "tie_word_embeddings": False}
    with open_model(hf_folder(config=config, tensors=tensors), num_threads=1) as model:
        assert not model.logits([1, 2]).any()


@pytest.mark.parametrize("dtype", ["F16", "BF16"])
def test_half_precision_weights(hf_folder: Callable[..., Path], hf_tensors: Callable[..., Any], dtype: str) -> None:
    """F16 and BF16 files decode to their values, and run."""
    with open_model(hf_folder(dtype=dtype), num_threads=1) as model:
        name = "model.layers.1.mlp.up_proj.weight"
        true = hf_tensors("gemma3_text")[name]
        assert np.abs(model.tensor(name) - true).max() <= np.abs(true).max() * 2**-7
        assert np.isfinite(model.logits([2, 3])).all()


def test_bundled_model(bundled: NativeModel) -> None:
    """The bundled model opens with tokenizer, template and end tokens, and answers in words."""
    assert (bundled.format, bundled.config.family, bundled.config.weight_type) == ("safetensors", "gemma3", "bf16")
    assert bundled.chat_template is not None
    assert "<start_of_turn>" in bundled.chat_template
    tokenizer = bundled.require_tokenizer()
    prompt = "<start_of_turn>user\nHello<end_of_turn>\n<start_of_turn>model\n"
    new = bundled.generate(tokenizer.encode(prompt, add_bos=True), GREEDY)
    assert tokenizer.decode(new).strip().isprintable()
    assert not set(new) & bundled.config.eos_ids


# --------------------------------------------------------------------------------------------------- tensors and calls
def test_tensors_by_name(small: NativeModel, hf_tensors: Callable[..., Any]) -> None:
    """`tensor` gives the file's values in the file's shape; an unknown name says what is near."""
    expected = hf_tensors("gemma3_text")
    assert small.tensor_names() == list(expected)
    for name, values in expected.items():
        assert np.array_equal(small.tensor(name), values)
        assert small.tensor(name).shape == values.shape
    with pytest.raises(InvalidRequestError, match=r"model\.norm\.weight"):
        small.tensor("model.norm.weights")


def test_logits_are_of_a_fresh_text_each_time(small: NativeModel) -> None:
    """Each call of `logits` is a text of its own, causal, float32 [len(ids), vocab]."""
    first = small.logits([2, 5, 7, 11])
    assert first.shape == (4, 64)
    assert first.dtype == np.float32
    small.logits([9, 9])
    assert np.allclose(small.logits([2, 5, 7]), first[:3], atol=1e-4)
    assert np.allclose(small.logits(np.array([2, 5, 7, 11])), first, atol=1e-4)


@pytest.mark.parametrize(
    ("ids", "error"),
    [
        ([], InvalidRequestError),
        ([-1], InvalidRequestError),
        ([64], InvalidRequestError),
        ([2**70], InvalidRequestError),
        (["a"], InvalidRequestError),
        ([1.5], InvalidRequestError),
        ([2] * 129, ContextOverflowError),
    ],
)
def test_ids_that_make_no_sense(small: NativeModel, ids: list[Any], error: type[Exception]) -> None:
    """No ids, ids outside the vocabulary, and more than the context holds are typed errors."""
    with pytest.raises(error):
        small.logits(ids)
    with pytest.raises(error):
        small.generate(ids)


def test_generate_needs_room_for_a_token(small: NativeModel) -> None:
    """A prompt that fills the context leaves none for an answer; one below it leaves one token."""
    with pytest.raises(ContextOverflowError) as error:
        small.generate([2] * 128)
    assert (error.value.tokens, error.value.limit) == (128, 127)
    assert len(small.generate([2] * 127, GREEDY)) <= 1


def test_greedy_follows_the_logits(small: NativeModel) -> None:
    """Temperature 0 takes the likeliest token each time, and an end token ends the answer and is no part of it."""
    ids = [2, 17, 40]
    for _ in range(12):
        best = int(small.logits(ids)[-1].argmax())
        if best in small.config.eos_ids:
            break
        ids.append(best)
    assert small.generate([2, 17, 40], GREEDY) == ids[3:]


def test_the_end_token_ends(small: NativeModel) -> None:
    """A bias that makes the end token certain gives an empty answer."""
    assert small.generate([2, 5], GenerationConfig(temperature=0, logit_bias={1: 100.0})) == []


def test_seeds_repeat(small: NativeModel) -> None:
    """The same seed draws the same tokens, another one others; without one, draws differ."""

    def draw(seed: int | None) -> list[int]:
        return small.generate([2, 5], GenerationConfig(temperature=5, max_tokens=40, seed=seed, logit_bias={1: -100}))

    assert draw(1) == draw(1)
    assert len({tuple(draw(seed)) for seed in (1, -2, 2**64 - 1, None, None)}) == 5


def test_a_long_prompt_is_taken_in_pieces(bundled: NativeModel) -> None:
    """A prompt longer than one piece of prefill continues as its logits say."""
    ids = (bundled.require_tokenizer().encode("one two three four five ", add_bos=True) * 200)[:1300]
    best = int(bundled.logits(ids)[-1].argmax())
    bias = dict.fromkeys(bundled.config.eos_ids - {best}, -100.0)
    assert bundled.generate(ids, GenerationConfig(temperature=0, max_tokens=1, logit_bias=bias)) in ([best], [])


def test_stop_strings_end_an_answer(bundled: NativeModel) -> None:
    """An answer ends with the token that completes a stop string."""
    tokenizer = bundled.require_tokenizer()
    ids = tokenizer.encode("<start_of_turn>user\nHello<end_of_turn>\n<start_of_turn>model\n", add_bos=True)
    whole = tokenizer.decode(bundled.generate(ids, GenerationConfig(temperature=0, max_tokens=60)))
    stop = whole[3:6]
    cut = tokenizer.decode(bundled.generate(ids, GenerationConfig(temperature=0, max_tokens=60, stop=(stop,))))
    assert stop in cut
    assert whole.startswith(cut)
    assert len(cut) < len(whole)


def test_calls_from_many_threads_take_turns(small: NativeModel) -> None:
    """Threads may call at once; each gets what it would get alone."""
    expected = [small.generate([2, id], GREEDY) for id in range(6)]
    found: dict[int, list[int]] = {}
    threads = [
        threading.Thread(target=lambda id=id: found.update({id: small.generate([2, id], GREEDY)})) for id in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[id] for id in range(6)] == expected


# ------------------------------------------------------------------------------------------------------ open and close
def test_close_twice_and_use_after(hf_folder: Callable[..., Path]) -> None:
    """Closing is safe to repeat; using a closed model is a typed error."""
    model = open_model(hf_folder(), num_threads=1)
    values = model.tensor("model.norm.weight")
    model.close()
    model.close()
    assert values.shape == (32,)
    for use in (lambda: model.logits([1]), lambda: model.generate([1]), lambda: model.tensor("model.norm.weight")):
        with pytest.raises(InvalidRequestError, match="closed"):
            use()


def test_a_closed_model_lets_go_of_its_file(hf_folder: Callable[..., Path]) -> None:
    """After close no part of the file is mapped."""
    folder = hf_folder()
    model = open_model(folder, num_threads=1)
    maps = model._file.maps
    model.close()
    assert all(mapped.closed for mapped in maps)


def test_config_and_tokenizer_from_elsewhere(hf_folder: Callable[..., Path], bundled_path: Path) -> None:
    """`config` and `tokenizer` serve files that carry none, as paths, folders or values."""
    folder = hf_folder()
    config = json.loads((folder / "config.json").read_text())
    shutil.move(folder / "config.json", folder / "elsewhere.json")
    with pytest.raises(ModelLoadError, match=r"config\.json"):
        open_model(folder)
    for given in (config, folder / "elsewhere.json", str(folder / "elsewhere.json")):
        with open_model(folder, config=given, tokenizer=bundled_path, num_threads=1) as model:
            assert model.tokenizer is not None
            assert model.config.eos_ids == {1, 5}
    with open_model(folder, config=config, tokenizer=bundled_path / "tokenizer.model", num_threads=1) as model:
        loaded = model.tokenizer
    with open_model(folder, config=config, tokenizer=loaded, num_threads=1) as model:
        assert model.tokenizer is loaded


def test_a_model_without_a_tokenizer(small: NativeModel) -> None:
    """Without a tokenizer ids still work, and asking for it says what to pass."""
    assert small.tokenizer is None
    assert small.generate([2], GREEDY) is not None
    with pytest.raises(ModelLoadError, match="tokenizer="):
        small.require_tokenizer()


def test_recommended_sampling_is_the_default(hf_folder: Callable[..., Path]) -> None:
    """generation_config.json's sampling and end tokens count where the caller says nothing."""
    folder = hf_folder()
    values = {"temperature": 0.0, "top_k": 64, "top_p": 0.95, "eos_token_id": [1, 7], "do_sample": True}
    (folder / "generation_config.json").write_text(json.dumps(values))
    with open_model(folder, num_threads=1) as model:
        assert model.default_sampling == {"temperature": 0.0, "top_k": 64, "top_p": 0.95}
        assert model.config.eos_ids == {1, 7}
        assert model.generate([2, 5]) == model.generate([2, 5], GenerationConfig(temperature=0))


def test_a_model_that_says_no_sampling_is_greedy(hf_folder: Callable[..., Path]) -> None:
    """`do_sample: false` in generation_config.json means the likeliest token."""
    folder = hf_folder()
    (folder / "generation_config.json").write_text(json.dumps({"do_sample": False, "top_k": 5}))
    with open_model(folder, num_threads=1) as model:
        assert model.default_sampling == {"temperature": 0.0}


def test_options_that_are_not_there(bundled_path: Path) -> None:
    """A quantisation is refused as unsupported, a senseless number of threads as invalid."""
    with pytest.raises(InvalidRequestError, match="quantization"):
        open_model(bundled_path, quantization="sfp")
    with pytest.raises(InvalidRequestError, match="num_threads"):
        open_model(bundled_path, num_threads=0)


def test_importing_the_package_loads_neither_numpy_nor_the_engine() -> None:
    """`import llm_framework.native` and reading headers cost no heavy import."""
    code = (
        "import sys, llm_framework.native.formats, llm_framework.native;"
        "assert not {'numpy', 'sentencepiece', 'tokenizers', 'llm_framework.native._native'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
