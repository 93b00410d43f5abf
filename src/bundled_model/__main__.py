"""python -m bundled_model data|check|tokenizer|train|grow|evaluate|export|smoke"""
from __future__ import annotations

import argparse
import json
from pathlib import Path


def write_data(a: argparse.Namespace) -> None:
    """Print samples of the mixture, one JSON a line."""
    from .mixture import Mixture
    mix = Mixture(a.seed, a.split)
    for _ in range(a.n):
        print(json.dumps(mix.draw(), ensure_ascii=False))


def check(a: argparse.Namespace) -> None:
    """Print what is wrong in the seed files, and how much there is."""
    from .related import concepts
    from .seed_docs import read_documents
    from .seed_forms import read_forms
    from .seed_tools import read_groups
    groups, docs, forms = read_groups(True), read_documents(True), read_forms(True)
    kinds = [k for ks in groups.values() for k in ks]
    print(f"{len(groups)} groups, {len(kinds)} tools, {sum(len(k.asks) for k in kinds)} requests; {len(docs)} documents, "
          f"{sum(len(q.wordings) for d in docs for s in d.sentences for q in s.questions)} questions; "
          f"{len(forms)} forms, {sum(len(f.texts) for f in forms)} texts; {len(concepts())} concepts")


def make_tokenizer(a: argparse.Namespace) -> None:
    from .mixture import Mixture
    from .prompts import LANGCHAIN_JSON, LANGCHAIN_REACT, LLAMA_HEADER
    from .tokenizer import train
    mix, folder = Mixture(a.seed), Path(a.out)
    texts = [t for _ in range(a.n) for _, t in mix.draw()["turns"]]
    texts += [LLAMA_HEADER, LANGCHAIN_JSON, LANGCHAIN_REACT] * (a.n // 100)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.model").write_bytes(train(texts, a.vocab, a.vocab // 5))


def main() -> None:
    parser = argparse.ArgumentParser(prog="bundled_model")
    sub = parser.add_subparsers(dest="command", required=True)
    p = sub.add_parser("data", help="print training samples")
    p.add_argument("--n", type=int, default=20)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--split", default="train")
    p.set_defaults(do=write_data)
    p = sub.add_parser("tokenizer", help="train the tokenizer")
    p.add_argument("out")
    p.add_argument("--n", type=int, default=40000)
    p.add_argument("--seed", type=int, default=5)
    p.add_argument("--vocab", type=int, default=3456)
    p.set_defaults(do=make_tokenizer)
    p = sub.add_parser("check", help="say what is wrong in the seed files")
    p.set_defaults(do=check)
    from . import train
    p = sub.add_parser("train", help="train the model")
    train.arguments(p)
    p.set_defaults(do=train.run)
    for name in ("evaluate", "export", "grow", "smoke"):
        try:
            module = __import__(f"{__package__}.{name}", fromlist=["arguments"])
        except ModuleNotFoundError:
            continue
        p = sub.add_parser(name, help=(module.__doc__ or "").splitlines()[0])
        module.arguments(p)
        p.set_defaults(do=module.run)
    a = parser.parse_args()
    a.do(a)


if __name__ == "__main__":
    main()
