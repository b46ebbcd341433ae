"""Which classes of a classifier other lists of names mean."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from orxe_plugins.detection.labels import normalise_label
from orxe_plugins.errors import OrxeError
from orxe_plugins.experts.classifier import ClassifierExpert


def positions_of_names(expert: ClassifierExpert, names: Sequence[str]) -> list[int | None]:
    """The class of a classifier that each name means; None for a name that it does not know.

    A name is one of ``expert.names``, or a part between commas of one of ``expert.synonyms``; what two classes share,
    such as "crane" in ImageNet, means neither of them.

    Raises:
        OrxeError: the names of the expert's classes are not known.
    """
    called = _called(expert)
    if not called:
        raise OrxeError(
            f"the class names of expert {expert.name!r} are not known, so that `classes` cannot match them: take "
            "`classes: same`, with a class map that numbers the class folders as the expert does"
        )
    return [called.get(normalise_label(name)) for name in names]


def _called(expert: ClassifierExpert) -> dict[str, int]:
    known: list[tuple[str, int]] = [(normalise_label(name), i) for i, name in enumerate(expert.model_names)]
    for i, text in enumerate(expert.synonyms() if expert.synonyms is not None else ()):
        parts = {normalise_label(part) for part in (text, *text.split(","))}
        known += [(part, i) for part in parts]
    owners = Counter(name for name, _ in set(known))
    return {name: i for name, i in known if owners[name] == 1}
