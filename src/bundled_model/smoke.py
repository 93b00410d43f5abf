"""The whole pipeline in little: data, tokenizer, a few steps, export, evaluation.

It shows that the parts fit together; the model it makes is good for nothing.
"""
from __future__ import annotations

import argparse
import contextlib
import io
import json
import tempfile
from pathlib import Path

from . import evaluate, export, train
from .mixture import Mixture
from .tokenizer import train as train_tokenizer


def smoke(folder: Path) -> dict[str, object]:
    """Run everything below a folder; what came of it."""
    mix = Mixture(3)
    chats = [mix.draw() for _ in range(600)]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.model").write_bytes(train_tokenizer([t for c in chats for _, t in c["turns"]], 700, 60))
    parser = argparse.ArgumentParser()
    train.arguments(parser)
    options = ["--workers", "1", "--minutes", "0.1", "--hidden", "32", "--ffn", "64", "--layers", "2", "--budget", "1024", "--test", "0"]
    train.run(parser.parse_args([str(folder), *options]))
    export.export(folder, folder / "exported")
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
