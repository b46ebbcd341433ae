"""A run's savers before its costlier experts, at TinySaver's thresholds: COCO's AP out of records, no model runs."""

from __future__ import annotations

import argparse
from itertools import combinations
from pathlib import Path

from orxe_plugins import Policy, load_records, replay
from orxe_plugins.detection import CocoDataset
from orxe_plugins.tasks import evaluator

#: of the rows "TinySaver (t = ...)" in Table 4: 0.25 before YOLOv8l, YOLOv8x and Co-DINO, the others before Co-DINO
THRESHOLDS = (0.25, 0.26, 0.34, 0.37)


def main() -> None:
    """Print one line for each pair and threshold, and one for each expert alone."""
    parser = argparse.ArgumentParser(description=__doc__, epilog="Example: table_4.py runs/coco ~/coco/val2017")
    parser.add_argument("run", type=Path, help="output folder of orxe run or orxe record")
    parser.add_argument("data", type=Path, help="the data set that was recorded")
    parser.add_argument("--thresholds", nargs="+", type=float, default=THRESHOLDS)
    options = parser.parse_args()
    records = load_records(options.run / "records")
    data = CocoDataset(options.data)
    place = {sample: i for i, sample in enumerate(data.sample_ids)}
    targets = [data.targets[place[str(sample)]] for sample in records.sample_ids]
    print(f"{len(records):,} images, none left out for fitting: these thresholds were fitted on none of them")
    print(f"{'first':<16}{'then':<16}{'t':>6}{'AP':>8}{'GMACs':>10}{'by the first':>14}")
    for name, cost in zip(records.names, records.cost.tolist(), strict=True):
        alone = records.experts([name])
        ap = evaluator(alone.predictions, targets)([0] * len(alone)).ap
        print(f"{name:<16}{'':<16}{'':>6}{100 * ap:>8.2f}{cost:>10.2f}")
    for pair in combinations(records.names, 2):
        both = records.experts(pair)
        ap_of = evaluator(both.predictions, targets)
        for threshold in options.thresholds:
            outcome = replay(both, Policy((threshold,)))
            ap, share = ap_of(outcome.expert).ap, outcome.exit_share[0]
            print(f"{pair[0]:<16}{pair[1]:<16}{threshold:>6}{100 * ap:>8.2f}{outcome.cost:>10.2f}{share:>14.1%}")


if __name__ == "__main__":
    main()
