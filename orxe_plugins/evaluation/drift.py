"""DriftAlarm: says when the inputs of a running cascade are no longer like those that were recorded."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np

from orxe_plugins.cascade.routing import Route
from orxe_plugins.errors import OrxeError, check_type
from orxe_plugins.policies.policy import Policy
from orxe_plugins.policies.row import PolicyRow, as_policy
from orxe_plugins.policies.selection import check_number
from orxe_plugins.records.records import Records

#: shares of the records at whose confidences the stream is compared with them
_POINTS = np.linspace(0.1, 0.9, 9)
#: how far the bets go, from the null's share (0) to all (1)
_BETS = np.array([0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9])


@dataclass(frozen=True)
class DriftState:
    """Where a drift alarm stands.

    Attributes:
        raised: whether the alarm is on; it stays so until :meth:`DriftAlarm.reset`.
        at: number of the sample, from 1, that raised it; None if it is not.
        samples: samples that were seen since the start or the last reset.
        rate: probability, at most, with which a stream like the records ever raises it, however long.
        evidence: the tests' capital as a share of what raises the alarm; 1 or more raised it.
        reason: what is different, in words; empty while the alarm is off.
    """

    raised: bool
    at: int | None
    samples: int
    rate: float
    evidence: float
    reason: str


class DriftAlarm:
    """Compares the confidences of a cascade's first expert, and the share that exits there, with the records.

    It looks at the first expert that a policy enables, as every sample goes through it under all such policies: a
    budget guard that changes later thresholds changes nothing for the alarm. At nine quantiles of the recorded
    confidences and at the exit threshold, the share of the stream that lies below is bet to be larger, and to be
    smaller, than in the records. Each bet's capital cannot be expected to grow while the stream's shares are within
    ``tolerance`` of the records' true ones, so that it reaches ``c`` with a probability of at most ``1 / c``, at any
    time (Ville's inequality). Bets are placed from every sample on, with weights that sum to 1, so that a change after
    a million samples is noticed nearly as soon as one at once. Sources: Waudby-Smith and Ramdas, JRSS B 2024
    (betting); Shin, Ramdas and Rinaldo, 2022 (e-detectors). Half of ``rate`` is spent on the records' own chance: their
    shares are known up to the width of the Dvoretzky-Kiefer-Wolfowitz band.

    Args:
        records: of the cascade's experts in the cascade's order, better of samples that nothing was fitted on.
        policy: the thresholds, for their first exit.
        rate: false alarms: the probability with which a stream like the records ever raises the alarm.
        tolerance: a difference of shares that is not worth an alarm.

    Raises:
        OrxeError: the records are so few that no difference would be noticed, or a number is out of range.
    """

    def __init__(
        self, records: Records, policy: Policy | PolicyRow, *, rate: float = 0.01, tolerance: float = 0.05
    ) -> None:
        check_type("records", records, Records, "load_records(folder) gives them")
        thresholds = as_policy(policy)
        thresholds.check_n_experts(records.n_experts)
        check_number("rate", rate)
        check_number("tolerance", tolerance)
        if not 0 < rate < 1 or not 0 <= tolerance < 0.5:
            raise OrxeError(f"rate is {rate:g} and tolerance {tolerance:g}: expected a rate such as 0.01 and 0 to 0.5")
        self.rate = float(rate)
        self.expert = thresholds.enabled[0]
        self._name = records.names[self.expert]
        confidence = np.sort(records.confidence[self.expert])
        margin = tolerance + float(np.sqrt(np.log(4 / rate) / (2 * len(confidence))))
        exit_ = None if self.expert == records.n_experts - 1 else thresholds.exit_thresholds[self.expert]
        self._points = _points(confidence, exit_)
        below = np.searchsorted(confidence, self._points, side="right") / len(confidence)
        # Two nulls at each point: the share below is at most `below + margin`, the share above at most `above + margin`
        self._null = np.concatenate([below, 1 - below]) + margin  # (2P,)
        self._usable = self._null < 1
        if not self._usable.any():
            raise OrxeError(
                f"{len(confidence)} recorded samples are too few to notice any drift at rate {rate:g} and tolerance "
                f"{tolerance:g}: record more samples, or allow a higher rate"
            )
        self._null = np.minimum(self._null, 1 - 1e-9)
        bet = self._null[:, None] + _BETS * (1 - self._null[:, None])  # (2P, G)
        self._hit = bet / self._null[:, None]
        self._miss = (1 - bet) / (1 - self._null[:, None])
        self._weight = self._usable[:, None] / (self._usable.sum() * len(_BETS))
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Begin anew, with the alarm off."""
        self._capital = np.zeros_like(self._hit)
        self._hits = np.zeros(len(self._null))
        self._samples, self._at, self._evidence, self._reason = 0, None, 0.0, ""  # type: int, int | None, float, str

    def update(self, route: Route) -> DriftState:
        """Look at a batch that the cascade answered, in its order.

        Raises:
            OrxeError: the route says nothing of the expert's confidences.
        """
        if route.confidences is None:
            raise OrxeError(
                "this route holds no confidences: a drift alarm needs a route of cascade.route or guard.route"
            )
        seen = route.confidences[:, self.expert].detach().cpu().numpy()
        with self._lock:
            for confidence in seen[~np.isnan(seen)]:
                self._see(float(confidence))
        return self.state

    @property
    def state(self) -> DriftState:
        """Where the alarm stands now."""
        return DriftState(self._at is not None, self._at, self._samples, self.rate, self._evidence, self._reason)

    def _see(self, confidence: float) -> None:
        if self._at is not None:
            return
        start = 1 / ((self._samples + 1) * (self._samples + 2))  # these weights sum to 1 over all samples
        self._samples += 1
        below = confidence <= self._points
        hit = np.concatenate([below, ~below])
        self._hits += hit
        self._capital = (self._capital + start) * np.where(hit[:, None], self._hit, self._miss)
        weighted = self._capital * self._weight
        self._evidence = float(weighted.sum()) * self.rate / 2
        if self._evidence >= 1:
            self._at = self._samples
            self._reason = self._why(int(weighted.sum(axis=1).argmax()))

    def _why(self, strongest: int) -> str:
        points = len(self._points)
        k, side = strongest % points, "at most" if strongest < points else "above"
        return (
            f"expert {self._name!r} has a confidence {side} {self._points[k]:.3f} on "
            f"{100 * self._hits[strongest] / self._samples:.0f} % of {self._samples:,} samples, and on at most "
            f"{100 * self._null[strongest]:.0f} % of samples like the recorded ones"
        )


def _points(confidence: np.ndarray, exit_threshold: float | None) -> np.ndarray:
    """The confidences at which shares are compared: quantiles, and just below the exit threshold."""
    points = np.quantile(confidence, _POINTS, method="inverted_cdf").astype(np.float64)
    if exit_threshold is not None:
        points = np.append(points, np.nextafter(np.float32(exit_threshold), np.float32(0)))
    return np.unique(points)
