"""What a recording left out, for the last words of a command."""

from __future__ import annotations

from collections.abc import Sequence

from orxe_plugins.cli import console
from orxe_plugins.data.reading import named
from orxe_plugins.records.records import Records

#: so many skipped samples are listed one by one
SHOWN = 20


def skipped_in(records: Sequence[Records]) -> list[tuple[str, str]]:
    """Samples that some expert could not answer, with the reason, of recordings that may be the same."""
    return list(dict.fromkeys(pair for part in records for pair in part.skipped))


def notes_of(records: Sequence[Records]) -> list[str]:
    """What was left out or decided when the recorded data was listed."""
    listed = [note for part in records for note in part.details.get("dataset", {}).get("notes", ())]
    return list(dict.fromkeys(listed))


def tell_left_out(records: Sequence[Records]) -> None:
    """Say at the end of a command what its figures are not about."""
    skipped = skipped_in(records)
    if skipped:
        reasons = named([f"{sample} ({reason})" for sample, reason in skipped])
        console.tell(f"left out: {len(skipped):,} samples that could not be read or answered: {reasons}", wrap=True)
    console.tell_notes(notes_of(records))
