"""The picture of native.py's rows: how many times the peer's speed, one bar a metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def draw(rows: Sequence[Mapping[str, Any]], file: Path) -> None:
    """A panel for each shape and format; without a peer, the share of the machine's bound."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    cases = list(dict.fromkeys((row["shape"], row["format"], row["threads"]) for row in rows))
    compared = any(row["ratio"] is not None for row in rows)
    key = "ratio" if compared else "bound_fraction"
    figure, axes = pyplot.subplots(1, len(cases), figsize=(1.2 + 3.2 * len(cases), 3.4), sharex=True, squeeze=False)
    for panel, case in zip(axes[0], cases, strict=True):
        shown = [r for r in rows if (r["shape"], r["format"], r["threads"]) == case and r[key] is not None]
        panel.barh([row["metric"] for row in shown], [row[key] for row in shown], color="#3366cc")
        panel.axvline(1.0, color="#888888", linewidth=1)
        panel.invert_yaxis()
        panel.set_title("{} {}, {} threads".format(*case))
        panel.set_xlabel("times llama.cpp" if compared else "share of the bound")
    figure.tight_layout()
    figure.savefig(file, dpi=150)
