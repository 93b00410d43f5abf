"""Train the model: several single-threaded processes that share their gradients.

Batches hold chats of like length, right-padded; the loss is on the model's turns. Hidden
matrices go to Muon, the rest to AdamW; the learning rate follows the clock, so that a run
ends on time. Time in which the processes are stopped does not count, except against --until.
"""
from __future__ import annotations

import argparse
import datetime
import math
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import torch
import torch.multiprocessing as mp
from torch.multiprocessing.spawn import spawn

from .mixture import Mixture
from .network import Config, Gemma3
from .tokenizer import Codec

Row = tuple[list[int], list[float]]
STATISTICS = 4  # after the gradients: loss, tokens, progress, one spare


class Batches:
    """Endless batches of about `budget` tokens; every process takes one of about the same width.

    With each batch that leaves, as many tokens of new chats are drawn, so that no process ever keeps the others
    waiting while it fills a pool.
    """

    def __init__(self, codec: Codec, seed: int, budget: int, max_len: int, pool: int = 1500) -> None:
        self.codec, self.data, self.r = codec, Mixture(seed), random.Random(seed)
        self.budget, self.max_len, self.pool = budget, max_len, pool
        self.queue: list[list[Row]] = []
        self.rows: list[Row] = []

    def cap(self, p: float) -> int:
        """Short chats first."""
        return min(self.max_len, 224) if p < .08 else min(self.max_len, 512) if p < .3 else self.max_len

    def draw(self, p: float) -> int:
        """One more chat for the next queue, and its length in tokens."""
        chat = self.data.draw(p)
        row = self.codec.encode(chat["turns"], chat["meta"].get("learn_last", False))
        if len(row[0]) > self.cap(p):
            return 0
        self.rows.append(row)
        return len(row[0])

    def fill(self, p: float) -> None:
        while len(self.rows) < self.pool:
            self.draw(p)
        self.rows.sort(key=lambda x: len(x[0]) + self.r.random() * 8)
        batch: list[Row] = []
        for row in self.rows:
            if batch and (len(row[0]) + 8) * (len(batch) + 1) > self.budget:
                self.queue.append(batch)
                batch = []
            batch.append(row)
        self.rows = batch

    def next(self, p: float, where: float) -> tuple[torch.Tensor, torch.Tensor]:
        """`where` in 0..1 says how long the chats are; the same number in every process."""
        if len(self.queue) < 3:
            self.queue.clear()
            self.fill(p)
        batch = self.queue.pop(int(where * len(self.queue)))
        left = sum(len(ids) for ids, _ in batch)
        while left > 0 and len(self.rows) < self.pool:
            left -= self.draw(p)
        width = -(-max(len(i) for i, _ in batch) // 8) * 8
        ids = torch.zeros(len(batch), width, dtype=torch.long)
        weights = torch.zeros(len(batch), width)
        for n, (i, learn) in enumerate(batch):
            ids[n, :len(i)] = torch.tensor(i)
            weights[n, :len(i)] = torch.tensor(learn)
        return ids, weights


class Common:
    """What the processes share: a row of gradients each and one for their mean, the matrices' updates, a barrier."""

    def __init__(self, world: int, model: Gemma3) -> None:
        size = sum(p.numel() for p in model.parameters()) + STATISTICS
        self.gradients = torch.zeros(world + 1, size).share_memory_()
        self.updates = torch.zeros(sum(p.numel() for p in hidden_matrices(model))).share_memory_()
        self.barrier = mp.get_context("spawn").Barrier(world, timeout=3600)

    def average(self, rank: int) -> None:
        """Put the mean of the rows into this process's row; every process takes its share of the sum."""
        *rows, mean = self.gradients
        cut = [len(mean) * k // len(rows) for k in (rank, rank + 1)]
        self.barrier.wait()
        torch.mean(self.gradients[:-1, cut[0]:cut[1]], 0, out=mean[cut[0]:cut[1]])
        self.barrier.wait()
        rows[rank].copy_(mean)


def hidden_matrices(model: Gemma3) -> list[torch.nn.Parameter]:
    return [p for name, p in model.named_parameters() if p.dim() == 2 and "embed" not in name]


def newton_schulz(g: torch.Tensor, steps: int = 5) -> torch.Tensor:
    """Orthogonalise a stack of matrices [n, a, b]."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = g.bfloat16()
    flip = x.shape[-2] > x.shape[-1]
    x = x.mT if flip else x
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        y = x @ x.mT
        x = a * x + (b * y + c * y @ y) @ x
    out: torch.Tensor = (x.mT if flip else x).to(g.dtype)
    return out


def cut(flat: torch.Tensor, params: list[torch.nn.Parameter]) -> list[torch.Tensor]:
    """Views of a flat buffer in the shapes of the parameters."""
    return [v.view_as(p) for v, p in zip(torch.split(flat, [p.numel() for p in params]), params, strict=True)]


def gradient(p: torch.nn.Parameter) -> torch.Tensor:
    assert p.grad is not None
    return p.grad


class Muon:
    """Momentum 0.95 (Nesterov), orthogonalised; each process does its share of the matrices."""

    def __init__(self, params: list[torch.nn.Parameter], rank: int, world: int, common: Common, decay: float = 0.01) -> None:
        self.params, self.rank, self.world, self.decay = params, rank, world, decay
        self.momentum = [torch.zeros_like(p) for p in params]
        self.views, self.barrier = cut(common.updates, params), common.barrier

    @torch.no_grad()
    def step(self, lr: float) -> None:
        groups: dict[tuple[int, ...], list[int]] = {}
        for i, p in enumerate(self.params):
            self.momentum[i].mul_(0.95).add_(gradient(p))
            groups.setdefault(tuple(p.shape), []).append(i)
        for shape, members in groups.items():
            mine = members[self.rank::self.world]
            if not mine:
                continue
            update = newton_schulz(torch.stack([gradient(self.params[i]) + 0.95 * self.momentum[i] for i in mine]))
            for i, u in zip(mine, update, strict=True):
                self.views[i].copy_(u * max(1, shape[0] / shape[1]) ** 0.5)
        self.barrier.wait()  # the next one to write comes after the next mean of gradients, where all wait again
        for p, u in zip(self.params, self.views, strict=True):
            p.mul_(1 - lr * self.decay).add_(u, alpha=-lr)


class Clock:
    """Progress 0..1 by the time spent in steps, squeezed so that 1 is reached by `until`."""

    def __init__(self, minutes: float, until: str, progress: float = 0.0) -> None:
        self.left, self.p, self.last = minutes * 60, progress, time.time()
        self.end = math.inf
        if until:
            h, m = map(int, until.split(":"))
            now = datetime.datetime.now()
            self.end = now.replace(hour=h, minute=m, second=0, microsecond=0).timestamp()
            if self.end < time.time():
                self.end += 86400

    def tick(self) -> float:
        now = time.time()
        dt, self.last = min(now - self.last, 5.0), now
        remaining = max(min(self.left, self.end - now + dt), 1e-9)
        self.p = 1.0 if dt >= remaining else self.p + (1 - self.p) * dt / remaining
        self.left -= dt
        return self.p


def schedule(p: float, step: int) -> float:
    return min(1.0, (step + 1) / 100) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(p, 1.0))))


def save(folder: Path, model: Gemma3, average: list[torch.Tensor], state: dict[str, object]) -> None:
    """The averaged weights as the checkpoint, and all that is needed to go on."""
    folder.mkdir(parents=True, exist_ok=True)
    raw = [p.detach().clone() for p in model.parameters()]
    with torch.no_grad():
        for p, a in zip(model.parameters(), average, strict=True):
            p.copy_(a)
        model.save(folder)
        for p, r in zip(model.parameters(), raw, strict=True):
            p.copy_(r)
    torch.save({**state, "raw": raw}, folder / "state.part")
    os.replace(folder / "state.part", folder / "state.pt")


def first_model(a: argparse.Namespace) -> Gemma3:
    """The model that a run begins with."""
    if a.resume or a.init:
        return Gemma3.load(Path(a.out if a.resume else a.init))
    vocab = Codec(Path(a.out) / "tokenizer.model").size
    return Gemma3(Config(vocab_size=vocab, hidden_size=a.hidden, intermediate_size=a.ffn, num_hidden_layers=a.layers, num_key_value_heads=a.kv_heads, sliding_window=a.window))


def worker(rank: int, a: argparse.Namespace, common: Common) -> None:
    torch.set_num_threads(1)
    parent = os.getppid()
    torch.manual_seed(a.seed)
    out = Path(a.out)
    codec = Codec(out / "tokenizer.model")
    model = first_model(a)
    state = torch.load(out / "state.pt", weights_only=False) if a.resume else {}
    params = list(model.parameters())
    if state:
        with torch.no_grad():
            for q, r in zip(params, state["raw"], strict=True):
                q.copy_(r)
    matrices = hidden_matrices(model)
    known = {id(q) for q in matrices}
    rest = [q for q in params if id(q) not in known]
    adam = torch.optim.AdamW(rest, lr=a.lr, betas=(0.9, 0.98), weight_decay=0.01, fused=True)
    muon = Muon(matrices, rank, a.workers, common)
    step, tokens, seconds = int(state.get("step", 0)), float(state.get("tokens", 0)), float(state.get("seconds", 0))
    if state:
        adam.load_state_dict(state["adam"])
        muon.momentum = state["muon"]
    average = [q.detach().clone() for q in params]
    flat = common.gradients[rank]
    views = cut(flat[:-STATISTICS], params)
    data = Batches(codec, 1000 * (a.seed + 1) + rank + 100 * step, a.budget, a.max_len)
    shared = random.Random(a.seed + step)
    clock = Clock(a.minutes, a.until, float(state.get("progress", 0)) if a.progress < 0 else a.progress)
    log = (out / "log.txt").open("a", buffering=1)

    def say(text: str) -> None:
        if rank == 0:
            log.write(text + "\n")
            print(text, flush=True)

    say(f"{datetime.datetime.now():%H:%M:%S} {sum(q.numel() for q in params) / 1e6:.2f}M parameters, {a}")
    p, loss_average, saved, tested, mark = clock.p, 0.0, time.time(), time.time(), (time.time(), tokens)
    start = time.time()
    loss_of = torch.compile(model, dynamic=True) if a.compile else model
    while p < 1:
        if a.workers > 1 and os.getppid() != parent:
            raise SystemExit("the process that began this run is gone")
        ids, weights = data.next(p, shared.random())
        for q, v in zip(params, views, strict=True):
            q.grad = v
        flat.zero_()
        with torch.autocast("cpu", torch.bfloat16):
            loss = loss_of(ids, weights)
        loss.backward()
        flat[-4], flat[-3], flat[-2] = loss.item(), int((ids != 0).sum()), clock.tick() if rank == 0 else 0.0
        common.average(rank)
        value, count, p = float(flat[-4]), float(flat[-3]) * a.workers, float(flat[-2]) * a.workers
        scale = schedule(p, step)
        torch.nn.utils.clip_grad_norm_(rest, 1.0)
        for group in adam.param_groups:
            group["lr"] = a.lr * scale
        adam.step()
        muon.step(a.muon * scale)
        step, tokens = step + 1, tokens + count
        loss_average = value if not loss_average else 0.98 * loss_average + 0.02 * value
        if rank == 0:
            keep = min(0.998, (1 + step) / (10 + step))
            torch._foreach_lerp_(average, [q.detach() for q in params], 1 - keep)
            now = time.time()
            if step % 50 == 0:
                say(f"{datetime.datetime.now():%H:%M:%S} step {step} progress {p:.3f} {tokens / 1e6:.2f}M tokens {(tokens - mark[1]) / (now - mark[0]):.0f}/s loss {loss_average:.4f}")
                mark = (now, tokens)
            if now - saved > a.save * 60 or p >= 1:
                save(out, model, average, {"adam": adam.state_dict(), "muon": muon.momentum, "step": step, "tokens": tokens, "progress": p, "seconds": seconds + now - start})
                saved = time.time()
                if a.test and (now - tested > a.test * 60):
                    tested = now
                    with (out / "quick.txt").open("a") as quick:
                        subprocess.Popen(["nice", "-n", "19", sys.executable, "-m", "bundled_model", "evaluate", str(out), "--quick"], stdout=quick, stderr=subprocess.STDOUT)
    say(f"{datetime.datetime.now():%H:%M:%S} done: {step} steps, {tokens / 1e6:.2f}M tokens, {seconds + time.time() - start:.0f} s")
    common.barrier.wait()  # until the last save is done


def arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("out", help="the run's folder; holds tokenizer.model")
    add("--minutes", type=float, default=110)
    add("--until", default="", help="HH:MM, the latest end")
    add("--workers", type=int, default=4)
    add("--hidden", type=int, default=256)
    add("--ffn", type=int, default=576)
    add("--layers", type=int, default=6)
    add("--kv-heads", type=int, default=2)
    add("--window", type=int, default=512)
    add("--budget", type=int, default=2048, help="tokens a batch and process")
    add("--max-len", type=int, default=1024)
    add("--lr", type=float, default=3e-3, help="AdamW")
    add("--muon", type=float, default=0.02)
    add("--compile", action=argparse.BooleanOptionalAction, default=True, help="let torch.compile fuse what it can: some 40 % faster, after a minute or two")
    add("--seed", type=int, default=0)
    add("--save", type=float, default=5, help="minutes between checkpoints")
    add("--test", type=float, default=8, help="minutes between quick evaluations; 0: none")
    add("--init", default="", help="start from this checkpoint's weights")
    add("--resume", action="store_true", help="go on with the run of this folder")
    add("--progress", type=float, default=-1, help="start at this point of the schedule")


def run(a: argparse.Namespace) -> None:
    common = Common(a.workers, first_model(a))
    if a.workers == 1:
        worker(0, a, common)
    else:
        spawn(worker, (a, common), nprocs=a.workers)  # type: ignore[no-untyped-call]
