"""Draw who answers which digit: ``python docs/make_filmstrip.py runs/digits`` writes docs/figures/filmstrip.png.

One strip for each expert of the demo's cascade, under the policy that its report recommends: digits that it answered,
from the one that it was surest of to the one that it was least sure of.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from orxe_plugins import Policy, Records, load_records, replay
from orxe_plugins.search import Outcome

ROOT = Path(__file__).resolve().parent.parent
#: pictures of a strip
COUNT = 10


def main(run: Path) -> None:
    """Write the picture of a run of the digits recipe."""
    chosen = json.loads((run / "report" / "report.json").read_text(encoding="utf-8"))["chosen"]
    policy = Policy(tuple(chosen["exit_thresholds"]), tuple(chosen["skip_thresholds"]))
    records = load_records(run / "records")
    draw(records, replay(records, policy), run / "digits", ROOT / "docs" / "figures" / "filmstrip.png")


def picked(outcome: Outcome, expert: int, count: int = COUNT) -> np.ndarray:
    """Some samples that an expert answered, from the surest to the least sure, (K,); all where there are few."""
    samples = np.flatnonzero(outcome.expert == expert)
    order = samples[np.argsort(-outcome.confidence[samples], kind="stable")]
    return order[np.unique(np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(int))]


def draw(records: Records, outcome: Outcome, images: Path, out: Path) -> None:
    """Draw a strip for each expert that answers anything."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    # The text is large, so that it can be read on a phone, where the picture is small.
    experts = [i for i in range(records.n_experts) if outcome.exit_share[i] > 0]
    figure, axes = plt.subplots(len(experts), COUNT, figsize=(9, 1.6 * len(experts)), dpi=150)
    for row, expert in zip(np.atleast_2d(axes), experts, strict=True):
        for place in row:
            place.axis("off")
        row[0].text(
            0, 1.42, f"{records.names[expert]} answers {100 * outcome.exit_share[expert]:.0f} % of the digits; "
            f"alone it costs {records.cost[expert]:.2g} {records.cost_unit}", transform=row[0].transAxes, fontsize=17,
        )  # fmt: skip
        for place, sample in zip(row, picked(outcome, expert), strict=False):
            place.imshow(plt.imread(images / records.sample_ids[sample]), cmap="gray_r", interpolation="nearest")
            place.set_title(f"{outcome.confidence[sample]:.2f}", fontsize=13, pad=3)
    figure.subplots_adjust(left=0.01, right=0.995, top=0.84, bottom=0.02, wspace=0.08, hspace=0.85)
    figure.savefig(out, metadata={"Software": None})
    plt.close(figure)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
