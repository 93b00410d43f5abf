"""Damage drawn by chance: a damaged file of any format loads or is refused, within a bounded amount of memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from native.fuzzing import FORMATS, KINDS, Damage, Makers, Seed, damaged, is_refused_or_loads, make_seed

pytest.importorskip("gguf")

DAMAGES = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 1 << 30), st.integers(0, 1 << 16)), max_size=4)


@pytest.fixture(scope="module")
def seeds(
    tmp_path_factory: pytest.TempPathFactory,
    safetensors_writer: Any,
    sbs_writer: Any,
    hf_config: Any,
    hf_tensors: Any,
    bundled_path: Path,
) -> Callable[[str], Seed]:
    """Gives the whole model of a format, made once."""
    makers = Makers(safetensors_writer, sbs_writer, hf_config, hf_tensors, bundled_path / "tokenizer.model")
    made: dict[str, Seed] = {}
    home = tmp_path_factory.mktemp("fuzz")

    def seed(name: str) -> Seed:
        if name not in made:
            made[name] = make_seed(name, home / name, makers)
        return made[name]

    return seed


@pytest.mark.parametrize("name", FORMATS)
def test_the_whole_model_loads(seeds: Callable[[str], Seed], name: str) -> None:
    """Undamaged, each seed loads."""
    seed = seeds(name)
    assert is_refused_or_loads(seed, seed.data)


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(damages=DAMAGES)
def test_damage_is_refused(seeds: Callable[[str], Seed], name: str, damages: list[Damage]) -> None:
    """Whatever is flipped, cut, moved or overwritten, the file loads or a ModelLoadError says why not."""
    seed = seeds(name)
    is_refused_or_loads(seed, damaged(seed, damages))
