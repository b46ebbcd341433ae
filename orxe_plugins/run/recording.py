"""The second step: record every expert of the pool on every sample, or read what was recorded."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from orxe_plugins.data.datasets import Dataset
from orxe_plugins.data.views import ImageView, widest_view
from orxe_plugins.errors import OrxeError, OrxeWarning, check_known
from orxe_plugins.experts.expert import Expert
from orxe_plugins.experts.registry import load_adapter, view_of
from orxe_plugins.experts.sources import changed_sources
from orxe_plugins.experts.spec import ExpertSpec, parse_address
from orxe_plugins.records.loading import load_records
from orxe_plugins.records.options import RecordOptions
from orxe_plugins.records.recorder import write_records
from orxe_plugins.records.records import Records
from orxe_plugins.records.store import RecordStore
from orxe_plugins.records.team import Team
from orxe_plugins.run.latency import LatencyMeter, must_measure
from orxe_plugins.run.measurable import check_measurable
from orxe_plugins.run.run import Run
from orxe_plugins.run.views import doubt_about_view, may_be_doubted


@dataclass(frozen=True, eq=False)
class Recorded:
    """What was recorded of the pool.

    Attributes:
        fit: samples to fit on, which may be augmented.
        report: samples to report on; the same object where one recording serves for both.
        unlabelled: samples of ``data.unlabelled``, whose scores mean nothing; None if the recipe has none.
    """

    fit: Records
    report: Records
    unlabelled: Records | None = None

    @property
    def parts(self) -> list[Records]:
        """All of them, for what is said of each."""
        return [part for part in (self.fit, self.report, self.unlabelled) if part is not None]


@dataclass(frozen=True)
class Place:
    """One recording of a run.

    Attributes:
        folder: where the records lie.
        root: folder of the data set.
        augment: the training-time augmentation of its images; None for none.
    """

    folder: Path
    root: str
    augment: str | None = None


def places(run: Run) -> tuple[Place, Place]:
    """Where the fitting and the reporting split are recorded: in one place where that will do for both."""
    data, augment = run.recipe.data, run.recipe.record.augment
    if data.report_root is None and augment is None:
        both = Place(run.out / "records", data.root)
        return both, both
    return (
        Place(run.out / "records-fit", data.root, augment),
        Place(run.out / "records-report", data.report_root or data.root),
    )


def unlabelled_place(run: Run) -> Place | None:
    """Where the images without labels are recorded; None if the recipe has none."""
    root = run.recipe.data.unlabelled
    return None if root is None else Place(run.out / "records-unlabelled", root)


def record_pool(run: Run, team: Team | None = None) -> Recorded:
    """Record every expert on every sample; what is there already is kept.

    Each data folder is listed once and each expert loaded once. What is needed of an expert while it is in memory
    is done then: it is recorded in all places, and its latency is measured if that is the recipe's cost.

    Args:
        run: the run.
        team: the processes that record together; this one alone by default.
    """
    check_known("expert to record --fresh", run.fresh_names, run.names)
    team = team or Team()
    view = pool_view(run) if run.recipe.input_mode == "tensor" else None
    check_measurable(run)
    # A folder or an option that does not fit is an error now, not after hours.
    # Labelled folders come first: by their names a classifier learns in which classes it has to answer.
    every = dict.fromkeys(place for place in (*places(run), unlabelled_place(run)) if place is not None)
    wanted = [(place, run.dataset(place.root), _options(run, place, view)) for place in every]
    meter = LatencyMeter(run, view) if must_measure(run) else None
    for spec, expert in zip(run.specs, run.experts(), strict=True):
        placed = team.place(expert)
        if team.leads and may_be_doubted(spec, placed, run.task):
            _doubt(run, spec, placed, wanted[0][1])
        for place, dataset, options in wanted:
            if expert.name in run.fresh_names:
                options = replace(options, fresh_all=True)
            task = run.task_of(place.root)
            write_records([placed], dataset, place.folder, task=task, options=options, progress=run.progress, team=team)
        if meter is not None and team.leads:
            meter.add(expert)
    if meter is not None and team.leads:
        meter.save()
    team.meet()
    return read_recorded(run)


def _doubt(run: Run, spec: ExpertSpec, expert: Expert, dataset: Dataset) -> None:
    """Warn before an expert is recorded with a view that it was probably not trained with."""
    try:
        load_records(places(run)[0].folder, [expert.name])
    except OrxeError:
        run.task.prepare(expert, dataset)
        doubt = doubt_about_view(spec, expert, dataset, run.task)
        if doubt:
            warnings.warn(doubt, OrxeWarning, stacklevel=3)


def read_recorded(run: Run) -> Recorded:
    """The records that are in the output folder. Experts that the recipe does not name are left out.

    Raises:
        OrxeError: nothing was recorded, a recording is unfinished, or an expert's files have changed since.
    """
    fit, report = places(run)
    other = unlabelled_place(run)
    for place in {fit, report} | ({other} if other else set()):
        _check_sources(run, place)
    records = load_records(fit.folder, run.names)
    return Recorded(
        records,
        records if report == fit else load_records(report.folder, run.names),
        None if other is None else load_records(other.folder, run.names),
    )


def _check_sources(run: Run, place: Place) -> None:
    """Raise where a file of an expert holds something else than when it was recorded."""
    store = RecordStore(place.folder)
    for spec in () if run.trust_changed else run.specs:
        recorded = (store.expert(str(spec.name)) or {}).get("files", {})
        changed = changed_sources(spec, recorded) if isinstance(recorded, dict) else []
        if changed:
            raise OrxeError(
                f"expert {spec.name!r} has changed since it was recorded in {place.folder}: {', '.join(changed)}. "
                f"Record it again by `orxe record RECIPE --fresh {spec.name}`, or go on by --trust-changed"
            )


def pool_view(run: Run) -> ImageView | None:
    """The view of the one tensor that serves all classifiers of the pool; None without classifiers."""
    views = [view for view in map(view_of, run.specs) if view is not None]
    return widest_view(views) if views else None


def _options(run: Run, place: Place, view: ImageView | None) -> RecordOptions:
    settings = run.recipe.record
    return RecordOptions(
        input_mode=run.recipe.input_mode,
        input_view=view,
        keep="all" if run.recipe.fits_temperature else settings.keep,
        features=run.recipe.gates is not None,
        augment=None if place.augment is None else load_augmentation(place.augment),
        batch_size=settings.batch_size,
        shard_size=settings.shard_size,
        fresh=run.fresh,
        fresh_all=run.fresh_all,
        plugin=run.plugin,
    )


def load_augmentation(address: str) -> Any:
    """The training-time augmentation called ``adapter:name``, such as "timm:original".

    Raises:
        OrxeError: the adapter is unknown or has no such augmentation.
    """
    adapter, name, options = parse_address(address if ":" in address else f"timm:{address}")
    loaded = load_adapter(adapter)
    if not hasattr(loaded, "augment"):
        raise OrxeError(f"adapter {adapter!r} has no augmentation, but record.augment is {address!r}")
    return loaded.augment(name, **options)
