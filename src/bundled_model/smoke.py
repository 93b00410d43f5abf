"""The whole pipeline in little: data, tokenizer, a few steps, a deeper network, export, evaluation.

It shows that the parts fit together; the model it makes is good for nothing.
"""
from __future__ import annotations

import argparse
import contextlib
import io
import json
import tempfile
from pathlib import Path
from typing import Any

from . import evaluate, export, grow, train
from .mixture import Mixture
from .tokenizer import train as train_tokenizer


def command(module: Any, *options: str) -> None:
    parser = argparse.ArgumentParser()
    module.arguments(parser)
    module.run(parser.parse_args(options))


def smoke(folder: Path) -> dict[str, object]:
    """Run everything below a folder; what came of it."""
    mix = Mixture(3)
    chats = [mix.draw() for _ in range(600)]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.model").write_bytes(train_tokenizer([t for c in chats for _, t in c["turns"]], 700, 60))
    options = ["--workers", "1", "--minutes", "0.1", "--hidden", "32", "--ffn", "64", "--layers", "2", "--budget", "1024", "--test", "0"]
    command(train, str(folder), *options)
    command(grow, str(folder), str(folder / "grown"), "--first", "0", "--count", "1", "--ffn", "48", "--samples", "5")
    export.export(folder / "grown", folder / "exported")
    score = evaluate.Score()
    runner = evaluate.Runner(folder / "exported")
    evaluate.tool_loop(runner, score, "paraphrases", evaluate.paraphrases()[:4])
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        score.report(0)
    return {"files": sorted(f.name for f in (folder / "exported").iterdir()), "bytes": (folder / "exported" / "model.safetensors").stat().st_size, "rows": len(score.rows), "report": text.getvalue()}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--folder", default="", help="where to work; a temporary folder by default")


def run(a: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        print(json.dumps(smoke(Path(a.folder or temporary)), indent=1))
