"""Write README.md's table of what cascades save: ``python docs/make_savings.py``.

It is made of docs/figures/digits.md (the demo's report), benchmarks/speed.json and, where it is there,
benchmarks/gpu.json. Run it after any of them was written anew; a test holds the table and the files together.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- make savings: begin -->", "<!-- make savings: end -->"
#: what stands in place of a score where weights are random
NOISE = "random weights"
HEAD = ("| what | the last expert alone | the cascade | change | score |", "|---|---:|---:|---:|---|")


def main() -> None:
    """Put the table into README.md."""
    readme = ROOT / "README.md"
    before, rest = readme.read_text(encoding="utf-8").split(BEGIN)
    readme.write_text(f"{before}{BEGIN}\n{table()}\n{END}{rest.split(END)[1]}", encoding="utf-8")


def table(root: Path = ROOT) -> str:
    """The table in Markdown, and the machines that its times are from."""
    notes: list[str] = []
    rows, machines = [demo_row((root / "docs" / "figures" / "digits.md").read_text(encoding="utf-8"))], []
    for name, make in (("speed.json", speed_rows), ("gpu.json", gpu_rows)):
        file = root / "benchmarks" / name
        if file.exists():
            result = json.loads(file.read_text(encoding="utf-8"))
            rows += make(result)
            notes += better_alone(result)
            machines.append(machine_of(result["about"]))
    told = [f"Times are per image, measured on {', and on '.join(machines)}; 1.5 x is that many times as fast.", *notes]
    return "\n".join([*HEAD, *rows, "", " ".join(told)])


def demo_row(report: str) -> str:
    """The demo's GMACs, from the sentence of its report that names them."""
    found = re.search(
        r"\): (?P<cost>\S+) GMACs instead of (?P<alone>\S+) \((?P<saved>[^)]+)\), \w+ .*"
        r"paired difference (?P<drop>.*?)\.\n",
        report,
    )
    assert found is not None, "the demo's report does not compare its cascade with the last expert"
    return _row("`make demo`, GMACs", found["alone"], found["cost"], found["saved"], f"{found['drop']} points")


def speed_rows(result: dict[str, Any]) -> list[str]:
    """What is recommended in time, beside the costliest expert, for each size of batches."""
    rows = []
    for batch, found in result["chosen"]["batches"].items():
        ours = found["recommended"]
        name, against = list(ours["against"].items())[-1]
        ms, speed, gain = ours["ms"]["value"], against["speed"], against["gain"]
        label = f"ImageNet, {name} and seven cheaper ones, batches of {batch}, ms"
        score = f"{gain['value']:+.1f} ({gain['low']:+.1f} to {gain['high']:+.1f}) points"
        rows.append(_row(label, f"{ms * speed['value']:.0f}", f"{ms:.0f}", _times(speed), score))
    return rows


def better_alone(result: dict[str, Any]) -> list[str]:
    """A sentence for each size of batches in which an expert alone is faster than what is chosen, and no worse."""
    told = []
    for batch, found in result.get("chosen", {}).get("batches", {}).items():
        against = found["recommended"]["against"].items()
        names = [name for name, ours in against if ours["speed"]["value"] < 1 and ours["gain"]["value"] <= 0]
        if names:
            told.append(f"In batches of {batch}, {' and '.join(names)} alone is the better answer for ImageNet.")
    return told


def gpu_rows(result: dict[str, Any]) -> list[str]:
    """Each pool on the accelerator under its fastest backend: all sizes of batches, and a stream."""
    rows = []
    for pool in result["pools"]:
        best = max(
            (found for found in pool["backends"].values() if found["rows"]),
            key=lambda found: found["rows"][-1]["images_per_second"]["cascade"],
            default=None,
        )
        if best is None:
            continue
        name = f"{best['experts'][-1]} and {len(best['experts']) - 1} cheaper ones, {pool['dtype']}"
        last = best["experts"][-1]
        for row in best["rows"]:
            alone, ours = (f"{1000 / row['images_per_second'][each]:.3g}" for each in (last, "cascade"))
            rows.append(_row(f"{name}, batches of {row['batch']}, ms", alone, ours, _times(row["against_last"]), NOISE))
        stream = best["stream"]
        full = next(row for row in best["rows"] if row["batch"] == stream["batch"])
        alone = f"{1000 / full['images_per_second'][last]:.3g}"
        ours = f"{1000 / stream['images_per_second']:.3g}"
        rows.append(_row(f"{name}, as a stream, ms", alone, ours, _times(stream["against_last"]), NOISE))
    return rows


def machine_of(about: dict[str, Any]) -> str:
    """The machine that a benchmark ran on."""
    if about["device"] != "cpu":
        return str(about["machine"])
    return f"{about['machine']}, {about['threads']} thread{'s' * (about['threads'] != 1)}"


def _times(ratio: dict[str, float]) -> str:
    return f"{ratio['value']:.2f} x"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
