"""Gemma 3n and Gemma 4 from Hugging Face folders: what Transformers saves, the engine reads and computes alike."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from llm_framework.errors import ModelLoadError
from llm_framework.native.architecture.hf import config_from_hf
from llm_framework.native.config import read_config
from llm_framework.native.formats import open_model_file
from llm_framework.native.header import inspect_model
from llm_framework.native.model import open_model
from llm_framework.native.weights import engine_tensors

_native = pytest.importorskip("llm_framework.native._native")
torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("transformers.models.gemma4")

VOCAB = 515  # no multiple of anything
WINDOW = 16
NUM_GREEDY = 24

# How far float32 sums may stray; activations that are split in two bf16 (as the wide kernels do with few tokens); and
# those rounded to one (with many), at the worst of a hundred positions.
F32_TOLERANCE = 1e-4
SPLIT_TOLERANCE = 2e-4
BF16_TOLERANCE = 2e-2

S, G = "sliding_attention", "full_attention"
BASE: dict[str, Any] = {
    "vocab_size": VOCAB, "hidden_size": 72, "intermediate_size": 136, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 24, "global_head_dim": 40, "max_position_embeddings": 1024,
    "sliding_window": WINDOW, "layer_types": [S, S, G, S, S, S, G], "num_hidden_layers": 7,
    "hidden_size_per_layer_input": 0, "vocab_size_per_layer_input": VOCAB, "attn_implementation": "eager",
    "initializer_range": 0.1,
}  # fmt: skip
SHARED = {"num_kv_shared_layers": 3, "use_double_wide_mlp": True}
EQUAL = {"attention_k_eq_v": True, "num_global_key_value_heads": 1}
PER_LAYER = {"hidden_size_per_layer_input": 20, "final_logit_softcapping": 8.0}
ROPE = {
    S: {"rope_type": "default", "rope_theta": 5000.0},
    G: {"rope_type": "proportional", "partial_rotary_factor": 0.4, "factor": 4.0, "rope_theta": 500_000.0},
}
EXPERTS = {"enable_moe_block": True, "num_experts": 8, "top_k_experts": 3, "moe_intermediate_size": 48}
GEMMA3N = {name: value for name, value in BASE.items() if name != "global_head_dim"} | {
    "hidden_size_per_layer_input": 20, "num_kv_shared_layers": 3, "laurel_rank": 10,
    "intermediate_size": [136, 136, 100, 100, 100, 136, 136],
}  # fmt: skip
CONFIGS: dict[str, dict[str, Any]] = {
    "plain": BASE,
    "all_global": BASE | {"layer_types": [G] * 3, "num_hidden_layers": 3, "global_head_dim": 24},
    "shared": BASE | SHARED,
    "equal": BASE | EQUAL,
    "per_layer": BASE | PER_LAYER | {"vocab_size_per_layer_input": VOCAB, "rope_parameters": ROPE},
    "everything": BASE | SHARED | EQUAL | PER_LAYER,
    "experts": BASE | EXPERTS | EQUAL,
    "3n": GEMMA3N,
    "3n_sparse": GEMMA3N | {"activation_sparsity_pattern": [0.9, 0.5, 0.3, 0.0, 0.0, 0.7, 0.0]},
    "3n_active_1": GEMMA3N | {"altup_active_idx": 1, "altup_num_inputs": 3, "altup_correct_scale": False},
    "unified": {name: value for name, value in (BASE | EQUAL).items() if "per_layer" not in name},
}


@dataclass(frozen=True)
class Saved:
    """A Transformers model in float32 and the folder that it was saved to."""

    model: Any
    folder: Path

    def logits(self, tokens: list[int]) -> NDArray[np.float32]:
        with torch.no_grad():  # a tensor of rows to keep: asked for all of them, Transformers drops some on the way
            kept = torch.arange(len(tokens))
            result: NDArray[np.float32] = self.model(torch.tensor([tokens]), logits_to_keep=kept).logits[0].numpy()
        return result

    def native(self, isa: str) -> Any:
        file = open_model_file(self.folder)
        config = read_config(file)
        return _native.Model(config.engine_config(), engine_tensors(file, config), num_threads=2, isa=isa)


def make_model(name: str, **changes: Any) -> Any:
    torch.manual_seed(7)
    config = CONFIGS[name] | changes
    if name == "unified":
        model = transformers.Gemma4UnifiedForCausalLM(transformers.Gemma4UnifiedTextConfig(**config))
    elif name.startswith("3n"):
        model = transformers.Gemma3nForCausalLM(transformers.Gemma3nTextConfig(**config))
    else:
        model = transformers.Gemma4ForCausalLM(transformers.Gemma4TextConfig(**config))
    return randomise(model)


def randomise(model: Any) -> Any:
    """What is one everywhere at first gets values. Those of queries and keys are small: with scores in the tens, the
    reference's float32 angles alone would move the logits by more than the tolerance."""
    with torch.no_grad():
        for name, values in model.state_dict().items():
            if "q_norm" in name or "k_norm" in name:
                values.normal_(0.5, 0.15)
            elif "norm" in name or name.endswith(("layer_scalar", "scale")):
                values.normal_(1.0, 0.3)
    return model.float().eval()


Save = Callable[..., Saved]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Save:
    """Saves the model of a name in a folder, once; with `bf16` its weights are rounded first."""
    made: dict[tuple[str, bool], Saved] = {}

    def save(name: str, bf16: bool = False) -> Saved:
        if (name, bf16) not in made:
            folder = tmp_path_factory.mktemp(name)
            model = make_model(name)
            if bf16:
                for values in model.state_dict().values():
                    values.copy_(values.bfloat16())
            (copy.deepcopy(model).bfloat16() if bf16 else model).save_pretrained(folder)
            made[name, bf16] = Saved(model, folder)
        return made[name, bf16]

    return save


@pytest.fixture(params=_native.cpu_isas())
def isa(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(autouse=True, scope="module")
def one_torch_thread() -> Iterator[None]:
    """For models this small, torch's threads only stand in each other's way."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def prompt(length: int) -> list[int]:
    return [int(token) for token in np.random.default_rng(length).integers(0, VOCAB, length)]


def errors(actual: NDArray[np.float32], expected: NDArray[np.float32]) -> NDArray[np.float32]:
    """At each position, the L2 norm of the difference over that of the expected logits."""
    found: NDArray[np.float32] = np.linalg.norm(actual - expected, axis=-1) / np.linalg.norm(expected, axis=-1)
    return found


def worst(actual: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    return float(errors(actual, expected).max())


@pytest.mark.parametrize("name", CONFIGS)
def test_logits_match_at_every_position(name: str, isa: str, saved: Save) -> None:
    """With float32 weights, the logits after every token are those of the float32 reference, past the window too."""
    ref = saved(name)
    model = ref.native(isa)
    for length in (1, 7, 40, 200):
        tokens = prompt(length)
        assert worst(model.logits(model.new_sequence(length), tokens), ref.logits(tokens)) <= F32_TOLERANCE


@pytest.mark.parametrize("name", CONFIGS)
def test_bf16_weights_match_the_rounded_reference(name: str, isa: str, saved: Save) -> None:
    """With bf16 weights, the logits are those of the reference with the same rounded weights; but for some positions of
    a mixture of experts, where rounded activations let a router choose another expert."""
    ref = saved(name, bf16=True)
    model = ref.native(isa)
    for length, wide in ((1, SPLIT_TOLERANCE), (6, SPLIT_TOLERANCE), (100, BF16_TOLERANCE)):
        tokens = prompt(length)
        tolerance = F32_TOLERANCE if isa == "scalar" else wide
        found = errors(model.logits(model.new_sequence(length), tokens), ref.logits(tokens))
        assert (np.median(found) if name == "experts" and length > 6 else found.max()) <= tolerance


@pytest.mark.parametrize("name", ["shared", "everything", "experts", "3n_sparse"])
def test_a_prompt_longer_than_a_pass_matches(name: str, isa: str, saved: Save) -> None:
    """A prompt that the engine must cut internally, and that wraps the rings, gives the reference's logits."""
    ref = saved(name)
    model = ref.native(isa)
    tokens = prompt(800)
    assert worst(model.logits(model.new_sequence(900), tokens), ref.logits(tokens)) <= F32_TOLERANCE


@pytest.mark.parametrize("sizes", [(1, 199), (64, 64, 72), (13,) * 15 + (5,)])
@pytest.mark.parametrize("name", ["equal", "everything", "3n_sparse"])
def test_chunked_prefill_is_whole_prefill(name: str, sizes: tuple[int, ...], isa: str, saved: Save) -> None:
    """However a prompt is cut, its logits are those of the uncut prompt."""
    model = saved(name).native(isa)
    tokens = prompt(200)
    whole = model.logits(model.new_sequence(200), tokens)
    sequence = model.new_sequence(200)
    parts = [model.logits(sequence, tokens[sequence.length : sequence.length + size]) for size in sizes]
    assert worst(np.concatenate(parts), whole) <= F32_TOLERANCE


@pytest.mark.parametrize("name", CONFIGS)
def test_greedy_continuation_matches(name: str, isa: str, saved: Save) -> None:
    """Each greedy token is the reference's wherever its two best logits differ by more than the measured error."""
    ref = saved(name)
    model = ref.native(isa)
    sequence = model.new_sequence(256)
    greedy = _native.Sampler(seed=0, temperature=0.0)
    tokens = given = prompt(40)
    for _ in range(NUM_GREEDY):
        [sampled] = model.step([_native.Row(sequence, given, greedy)])
        given = [sampled.token]
        tokens = tokens + given
    expected = ref.logits(tokens)[39:-1]
    seconds, firsts = np.sort(expected)[:, -2:].T
    is_clear = firsts - seconds > F32_TOLERANCE * np.linalg.norm(expected, axis=-1)
    assert is_clear.sum() > NUM_GREEDY // 2
    assert (expected.argmax(-1) == tokens[40:])[is_clear].all()


@pytest.mark.parametrize("name", ["plain", "everything", "experts", "3n"])
def test_a_sequence_in_a_batch_is_as_alone(name: str, isa: str, saved: Save) -> None:
    """Prompts of several lengths and running texts in one step give each the log-probabilities it has alone."""
    model = saved(name).native(isa)
    prompts = [prompt(length) for length in (1, 7, 40, 300)]

    def run(batches: list[list[list[int]]]) -> list[list[float]]:
        results = []
        for batch in batches:
            samplers = [_native.Sampler(seed=0, temperature=0.0, num_logprobs=VOCAB) for _ in batch]
            sequences = [model.new_sequence(400) for _ in batch]
            model.step([_native.Row(s, tokens) for s, tokens in zip(sequences, batch, strict=True)])
            rows = [_native.Row(s, [len(p) % VOCAB], r) for s, p, r in zip(sequences, batch, samplers, strict=True)]
            results += [[logprob for _, logprob in sorted(sampled.top)] for sampled in model.step(rows)]
        return results

    alone = run([[tokens] for tokens in prompts])
    np.testing.assert_allclose(run([prompts]), alone, rtol=0, atol=1e-3)


@pytest.mark.parametrize("name", ["shared", "everything"])
def test_truncated_and_forked_texts_continue_as_if_fresh(name: str, isa: str, saved: Save) -> None:
    """After `fork` and `truncate` other tokens can follow, also where layers share keys and values."""
    model = saved(name).native(isa)
    tokens, other = prompt(300), prompt(100)
    sequence = model.new_sequence(400)
    model.logits(sequence, tokens)
    fork = sequence.fork(250, 400)
    fresh = model.logits(model.new_sequence(400), tokens[:250] + other)[250:]
    assert worst(model.logits(fork, other), fresh) <= F32_TOLERANCE
    assert sequence.truncate(120)
    fresh = model.logits(model.new_sequence(400), tokens[:120] + other)[120:]
    assert worst(model.logits(sequence, other), fresh) <= F32_TOLERANCE


@pytest.mark.parametrize("family", ["experts", "everything", "3n"])
def test_weights_can_be_quantised_on_load(family: str, tmp_path: Path) -> None:
    """With 8-bit weights the logits stay near the reference's, experts and per-layer embeddings included."""
    sizes = {"hidden_size": 64, "moe_intermediate_size": 40} if family == "experts" else {"hidden_size": 64}
    model = make_model(family, **sizes)
    model.save_pretrained(tmp_path)
    tokens = prompt(12)
    with open_model(tmp_path, quantization="q8", num_threads=2) as native:
        assert worst(native.logits(tokens), Saved(model, tmp_path).logits(tokens)) <= 0.1


# -------------------------------------------------------------------------------------------------------------- files
def rewrite_config(folder: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))


def test_a_multimodal_checkpoint_is_its_text_tower(tmp_path: Path, saved: Save) -> None:
    """In a checkpoint with towers for images and sound, the text model is found and the rest left alone."""
    from safetensors.torch import load_file, save_file

    ref = saved("everything")
    tensors = load_file(ref.folder / "model.safetensors")
    tensors = {name.replace("model.", "model.language_model.", 1): values for name, values in tensors.items()}
    tensors["model.vision_tower.patch_embedder.weight"] = torch.ones(3, 5, 7)
    for name in ("k_proj", "v_proj"):  # released files have them in layers that do not use them
        tensors[f"model.language_model.layers.6.self_attn.{name}.weight"] = torch.ones(2, 2)
    save_file(tensors, tmp_path / "model.safetensors")
    text = json.loads((ref.folder / "config.json").read_text())
    whole = {"model_type": "gemma4", "architectures": ["Gemma4ForConditionalGeneration"], "text_config": text}
    (tmp_path / "config.json").write_text(json.dumps(whole))
    model = Saved(None, tmp_path).native("scalar")
    tokens = prompt(40)
    assert worst(model.logits(model.new_sequence(40), tokens), ref.logits(tokens)) <= F32_TOLERANCE
    assert inspect_model(tmp_path).family == "gemma4"


def test_tokens_beyond_the_per_layer_table_have_its_first_row(tmp_path: Path, saved: Save) -> None:
    """Where the per-layer table is shorter than the vocabulary, a token beyond it counts there as token 0."""
    from safetensors.torch import load_file, save_file

    ref = saved("per_layer")
    tensors = load_file(ref.folder / "model.safetensors")
    table = tensors["model.embed_tokens_per_layer.weight"]
    save_file(tensors | {"model.embed_tokens_per_layer.weight": table[:500].clone()}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text((ref.folder / "config.json").read_text())
    rewrite_config(tmp_path, lambda raw: raw | {"vocab_size_per_layer_input": 500})
    model = Saved(None, tmp_path).native("scalar")
    with torch.no_grad():
        kept = ref.model.model.embed_tokens_per_layer.weight[500:].clone()
        ref.model.model.embed_tokens_per_layer.weight[500:] = table[0]
        expected = ref.logits([7, 499, 500, 514])
        ref.model.model.embed_tokens_per_layer.weight[500:] = kept
    assert worst(model.logits(model.new_sequence(4), [7, 499, 500, 514]), expected) <= F32_TOLERANCE


def raw_config(**changes: Any) -> dict[str, Any]:
    return {"model_type": "gemma4_text", **BASE, **changes}


def test_released_and_saved_configs_agree() -> None:
    """Sizes of global layers are the same from `global_head_dim` and its kin as from `per_layer_config`."""
    released = config_from_hf(raw_config(**EQUAL), Path("x"))
    overrides = {str(layer): {"head_dim": 40, "num_key_value_heads": 1} for layer in (2, 6)}
    saved_form = {name: value for name, value in raw_config(**EQUAL).items() if "global" not in name}
    assert config_from_hf(saved_form | {"per_layer_config": overrides}, Path("x")) == released


def test_an_empty_config_means_the_same_as_in_transformers() -> None:
    """What config.json leaves out is what Transformers takes for it."""
    config = config_from_hf({"model_type": "gemma4_text"}, Path("x"))
    hf = transformers.Gemma4TextConfig()
    shapes = [(s.head_dim, s.num_kv_heads, s.ffn_dim) for s in config.layer_shapes]
    layers = [(c.head_dim, c.num_key_value_heads, c.intermediate_size) for c in hf.per_layer_config]
    assert shapes == layers
    assert [window > 0 for window in config.windows] == [kind == S for kind in hf.layer_types]
    assert config.per_layer_dim == hf.hidden_size_per_layer_input
    assert {shape.rope_dims for shape in config.layer_shapes} == {256, 128}


@pytest.mark.parametrize(("changes", "message"), [
    ({"enable_moe_block": True}, "num_experts"),
    ({**EXPERTS, "top_k_experts": 9}, "top_k_experts"),
    ({"num_kv_shared_layers": 7}, "num_kv_shared_layers"),
    ({"num_kv_shared_layers": 5}, "num_kv_shared_layers"),  # no global layer is left to share
    ({"use_bidirectional_attention": "all"}, "use_bidirectional_attention"),
    ({"per_layer_config": {"9": {}}}, "per_layer_config"),
    ({"per_layer_config": {"x": {}}}, "per_layer_config"),
    ({"per_layer_config": {"1": 3}}, "not an object"),
    ({"per_layer_config": {"1": {"sliding_window": 3}}}, "sliding_window"),
    ({"rope_parameters": {G: {"rope_type": "proportional", "partial_rotary_factor": 2.0}}}, "partial_rotary_factor"),
    ({"rope_parameters": {G: {"rope_type": "yarn"}}}, "yarn"),
    ({"head_dim": 23}, "even"),
    ({"per_layer_config": {"2": {"num_key_value_heads": 3}}}, "evenly"),
    ({"layer_types": ["chunked_attention"] * 7}, "layer_types"),
])  # fmt: skip
def test_what_would_be_computed_otherwise_is_refused(
    changes: dict[str, Any], message: str, tmp_path: Path, saved: Save
) -> None:
    """A variant that the engine does not have, and a value that makes no sense, is a typed error that names it."""
    (tmp_path / "model.safetensors").write_bytes((saved("plain").folder / "model.safetensors").read_bytes())
    (tmp_path / "config.json").write_text(json.dumps(raw_config(**changes)))
    with pytest.raises(ModelLoadError, match=message):
        read_config(open_model_file(tmp_path))
