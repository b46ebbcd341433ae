"""Labels asked for one by one: a promise for a few labels, where images are many and labels are dear.

Where a policy and the last expert give the same answer, they score the same, whatever the label is: the drop is known
to be 0 without it. So images are looked at in random order, and a label is asked for only where the answers differ.
The test is the betting test of promises with stakes for an open end, which may be stopped at any time (BARGAIN,
arXiv 2509.02896, asks for labels of a language model's answers in the same spirit).
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from dataclasses import replace

import numpy as np

from orxe_plugins.errors import OrxeError
from orxe_plugins.policies.row import PolicyRow, Promise
from orxe_plugins.policies.table import PolicyTable
from orxe_plugins.records.agreement import recorded_answers
from orxe_plugins.records.records import Records
from orxe_plugins.search.betting_test import MOST
from orxe_plugins.search.promise import check_promise, fixed_sequence
from orxe_plugins.search.replay import replay

NAME = "betting test of Waudby-Smith and Ramdas, labels asked for where answers differ"


class LabelRequests:
    """Asks for labels until a promise is tested; iterate over it and answer each sample.

    >>> import numpy as np
    >>> from orxe_plugins import Policy, PolicyRow, PolicyTable, Records
    >>> classes = np.zeros((2, 900, 1), dtype=int)
    >>> classes[0, ::100] = 1  # the small expert answers otherwise on nine images
    >>> images = Records.from_arrays(["small", "large"], [1, 9], np.ones((2, 900)), None,
    ...                              predictions={"classes": classes})
    >>> table = PolicyTable((PolicyRow(0.5, Policy((0.5,)), 1, 0.99),), reference_cost=9, reference_score=1)
    >>> asked = LabelRequests(table, images, max_drop=0.02)
    >>> for sample in asked:
    ...     asked.answer(1)  # the class of images.sample_ids[sample]; here the small expert is right
    >>> asked.promise.row.policy, asked.labels < 9
    (Policy((0.5,)), True)

    Args:
        table: policies, fitted on other samples.
        records: images without labels, with the classes that experts gave; drawn from where later ones will come.
        max_drop: allowed drop of the accuracy.
        confidence: between 0 and 1.
        max_labels: ask for so many at most; what was promised until then holds.
        seed: of the order of the images.

    Raises:
        OrxeError: the records keep no classes, or an argument is out of range.
    """

    def __init__(
        self, table: PolicyTable, records: Records, max_drop: float, confidence: float = 0.95, *,
        max_labels: int | None = None, seed: int = 0,
    ) -> None:  # fmt: skip
        check_promise(table, records, max_drop, confidence)
        self.labels = 0
        self._table, self._records = table, records
        self._most = math.inf if max_labels is None else max_labels
        self._wanted = Promise(max_drop, confidence, len(records), 0, test=NAME)
        self._answers = recorded_answers(records)
        self._order = np.random.default_rng(seed).permutation(len(records))
        self._known: dict[int, int] = {}
        self._waiting: int | None = None
        self._done: Promise | None = None

    def __iter__(self) -> Iterator[int]:
        """Positions of samples whose label is needed; call :meth:`answer` after each."""
        passed: list[tuple[PolicyRow, float, float]] = []
        tried = 0
        for row in fixed_sequence(self._table):
            tried += 1
            found = yield from self._test(row)
            if found is None:
                break
            passed.append((row, *found))
        rows, drops, p_values = zip(*passed, strict=True) if passed else ((), (), ())
        reason = "" if passed else f"no policy can promise {self._wanted.text} with {self.labels:,} labels"
        self._done = replace(self._wanted, tried=tried, rows=rows, drops=drops, p_values=p_values, reason=reason)

    def answer(self, label: int) -> None:
        """The class of the sample that was asked for last.

        Raises:
            OrxeError: no sample is waiting for its label.
        """
        if self._waiting is None:
            raise OrxeError("no sample is waiting for a label: answer each one that the iteration gives, once")
        self._known[self._waiting] = int(label)
        self._waiting = None
        self.labels += 1

    @property
    def promise(self) -> Promise:
        """What was tested: as a promise of a choosing split.

        Raises:
            OrxeError: the iteration has not come to its end.
        """
        if self._done is None:
            raise OrxeError("labels are still being asked for: iterate to the end first")
        return self._done

    def _test(self, row: PolicyRow) -> Generator[int, None, tuple[float, float] | None]:
        """Test one policy; gives its observed drop and p-value, or None where it fails."""
        level, null = 1 - self._wanted.confidence, (self._wanted.max_drop + 1) / 2
        expert = replay(self._records, row.policy).expert
        own, last = self._answers[expert, np.arange(len(expert))], self._answers[-1]
        capital, total, squares, drops = 0.0, 0.0, 0.25, 0.0
        for count, sample in enumerate(self._order.tolist(), 1):
            drop = 0
            if own[sample] != last[sample]:
                if sample not in self._known:
                    if self.labels >= self._most:
                        return None
                    self._waiting = sample
                    yield sample
                    if self._waiting is not None:
                        raise OrxeError(f"sample {sample} got no label: call answer(label) before the next one")
                label = self._known[sample]
                drop = int(last[sample] == label) - int(own[sample] == label)
            x = (drop + 1) / 2
            slack, variance = null - (0.5 + total) / count, squares / count
            # About the stake at which the capital grows fastest, by what was seen before this sample (aGRAPA).
            stake = max(0.0, slack / (variance + slack**2))
            capital += math.log1p(min(stake, MOST / (1 - null)) * (null - x))
            total, drops = total + x, drops + drop
            squares += (x - (0.5 + total) / (count + 1)) ** 2
            if capital >= math.log(1 / level):
                return drops / count, math.exp(-capital)
        return None
