"""Agreement: scores without labels, by what the last expert answers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from orxe_plugins.errors import OrxeError
from orxe_plugins.records.records import Records


def agreement_records(records: Records) -> Records:
    """The records with agreement as scores: 1 where an expert gives the class that the last expert gives, else 0.

    No label is looked at. The last expert scores 1 everywhere, so that what is lost to it is the share of samples that
    are answered otherwise. Its own mistakes are copied: where it scores r and a cascade disagrees with it on a share d,
    the cascade scores between r - d and r + d.

    Args:
        records: of classification experts, recorded with ``keep`` "top5" or "all".

    Returns:
        Records with uint8 scores and without labels; ``details["labels"]`` says that there are none.

    Raises:
        OrxeError: the records keep no classes.

    >>> import numpy as np
    >>> classes = np.array([[[3], [5]], [[3], [4]]])  # (experts, samples, most probable classes)
    >>> records = Records.from_arrays(["small", "large"], [1, 9], [[0.9, 0.4], [0.9, 0.8]], np.zeros((2, 2)),
    ...     predictions={"classes": classes})
    >>> agreement_records(records).score.tolist()
    [[1, 0], [1, 1]]
    """
    if "classes" not in records.predictions:
        kept = ", ".join(records.predictions) or "nothing"
        raise OrxeError(
            f"agreement with the last expert needs the classes that experts give, but these records keep {kept} of "
            "the predictions: record classification with keep: top5"
        )
    answer = _answers(records)
    details = {**records.details, "labels": {"kind": "none", "relative_to": records.names[-1]}}
    return replace(records, score=(answer == answer[-1]).astype(np.uint8), labels=None, details=details)


def _answers(records: Records) -> np.ndarray:
    """The most probable class of each expert on each sample, (N, M)."""
    classes = np.asarray(records.predictions["classes"])
    if "log_probs" not in records.predictions:
        return classes[:, :, 0]
    best = np.asarray(records.predictions["log_probs"]).argmax(axis=2)
    return np.take_along_axis(classes, best[:, :, None], axis=2)[:, :, 0]
