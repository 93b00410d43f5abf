"""Checks of the source as a whole: types, style, and the C++ under the sanitizers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = Path(sys.executable).parent


def run(*command: str, cwd: Path = ROOT, **environment: str) -> None:
    values = {**os.environ, "PATH": f"{TOOLS}{os.pathsep}{os.environ['PATH']}", **environment}
    done = subprocess.run(command, cwd=cwd, env=values, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, f"{done.stdout[-8000:]}\n{done.stderr[-8000:]}"


def test_types_are_clean() -> None:
    """The type checker, in its strict form, finds nothing in what is shipped."""
    ours = ("llms.llm_framework", "embeddings.llm_framework")
    packages = ("llm_framework", "langchain_llm_framework", *(f"llama_index.{name}" for name in ours))
    run(sys.executable, "-m", "mypy", *(f"--package={package}" for package in packages))


def test_style_is_clean() -> None:
    """The linter and the formatter find nothing."""
    run(sys.executable, "-m", "ruff", "check", ".")
    run(sys.executable, "-m", "ruff", "format", "--check", ".")


@pytest.mark.timeout(900)
@pytest.mark.parametrize("sanitizers", ["address;undefined", "thread"])
def test_cpp_under_sanitizers(sanitizers: str, tmp_path: Path) -> None:
    """The C++ tests build without a warning and run clean under AddressSanitizer, UBSan and ThreadSanitizer."""
    if not shutil.which("g++"):
        pytest.skip("no g++ on this machine")
    options = ["-G", "Ninja", "-DLLMFW_BUILD_TESTS=ON", "-DLLMFW_BUILD_MODULE=OFF", f"-DLLMFW_SANITIZE={sanitizers}"]
    run("cmake", "-S", str(ROOT), "-B", str(tmp_path), *options)
    run("cmake", "--build", str(tmp_path))
    run("ctest", "--output-on-failure", cwd=tmp_path)


def test_wide_instructions_stay_in_their_file(tmp_path: Path) -> None:
    """The AVX-512 file defines no weak symbol: one that the linker kept for all could crash an older processor."""
    source = ROOT / "cpp" / "kernels" / "avx512.cc"
    flags = [f"-mavx512{part}" for part in ("f", "bw", "vl", "dq", "vbmi", "bf16", "vnni")] + ["-mfma", "-mf16c"]
    if os.uname().machine != "x86_64":
        pytest.skip("AVX-512 is of x86-64")
    built = tmp_path / "avx512.o"
    run("g++", "-std=c++20", "-O3", "-DLLMFW_HAVE_AVX512", *flags, "-c", str(source), "-o", str(built))
    symbols = subprocess.run(["nm", "-C", str(built)], capture_output=True, text=True, check=True).stdout
    assert [line for line in symbols.splitlines() if " W " in line or " V " in line] == []
