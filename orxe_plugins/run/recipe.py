"""What a recipe says: from a pool of models and a data set to a tuned cascade."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from orxe_plugins.errors import OrxeError
from orxe_plugins.experts.spec import ExpertSpec
from orxe_plugins.policies.policy import check_preferences

#: numbers beyond which a value of a recipe is a slip, or wants the memory
_MANY = 10**9
_MOST_PREFERENCES = 10_001
_Whole = Annotated[int, Field(gt=0, le=_MANY)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _no_bool_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        # Pydantic takes `limit: yes` for 1.
        kinds = str(cls.model_fields[str(info.field_name)].annotation)
        if isinstance(value, bool) and "bool" not in kinds and "Any" not in kinds:
            raise ValueError("expected no true or false")
        if isinstance(value, str) and _only_numbers(cls.model_fields[str(info.field_name)].annotation):
            raise ValueError("expected a number; write it without quotes")
        return value


def _only_numbers(annotation: Any) -> bool:
    """Whether a key takes numbers alone, so that a text is a slip of quotes."""
    kinds = {kind for kind in (get_args(annotation) or (annotation,)) if kind is not type(None)}
    return bool(kinds) and kinds <= {int, float}


class Split(_Model):
    """Which samples are for fitting policies, for testing promises and for the report.

    Attributes:
        fit: share of the samples to fit on; the rest is for the report. 1 fits and reports on all
            of them, and the report says so.
        choose: share of the samples for testing promises; they are neither fitted nor reported on. They are taken
            from the samples that are not for fitting; where there is a ``report_root``, from ``root``.
        seed: seed of the random split over sample ids.
    """

    fit: float = Field(default=0.5, gt=0, le=1)
    choose: float = Field(default=0.0, ge=0, lt=1)
    seed: int = Field(default=0, ge=0, lt=2**63)


class Data(_Model):
    """The labelled samples.

    Attributes:
        root: folder of the data set.
        report_root: another folder to report on; then all of ``root`` is for fitting.
        unlabelled: another folder of images of the same kind, without labels, beside few labelled ones. The experts
            answer them too: the report's scores are then prediction-powered estimates, and promises take fewer labels.
            For classification.
        class_map: file that numbers the class folders; ``synsets.txt`` is found without being named.
        images: folder of the images of a COCO annotation file, where it is another one than usual.
        limit: use at most so many samples of each folder, chosen evenly; all by default.
        split: how ``root`` is split where there is no ``report_root``.
    """

    root: str
    report_root: str | None = None
    unlabelled: str | None = None
    class_map: str | None = None
    images: str | None = None
    limit: _Whole | None = None
    split: Split = Split()


class Recording(_Model):
    """How records are made: see :class:`orxe_plugins.records.options.RecordOptions`.

    Attributes:
        batch_size: images that an expert answers at once.
        shard_size: images per file of records, as many as a run that is killed loses at most; 256 by default, and
            more for very large data sets.
        keep: how much of the answers is kept; for classification "none", "top5" or "all", for detection "none",
            "all" or "top100". By default as the task says.
        augment: a training-time augmentation of the fitting images, such as "timm:rand-m9-mstd0.5".
    """

    batch_size: int = Field(default=64, gt=0, le=1_000_000)
    shard_size: _Whole | None = None
    keep: str | None = None
    augment: str | None = None


class PoolChoice(_Model):
    """Choose experts out of the pool before the search.

    Attributes:
        k: how many experts to choose.
    """

    k: int = Field(gt=0, le=1_000_000)


class SaverChoice(_Model):
    """Rank savers for base models.

    Attributes:
        base: names of the base models, one or a list.
    """

    base: Annotated[list[str], BeforeValidator(lambda v: [v] if isinstance(v, str) else v)]


class CostChoice(_Model):
    """What a cost is: see docs/choosing.md.

    Attributes:
        kind: "gmacs" as recorded; "latency": milliseconds in a batch, of which an expert gets what reaches it;
            "throughput": milliseconds in a stream of full batches; "energy" in millijoules.
        batch_size: size of the whole batch that latencies are for, or of the full batches of a stream.
        batch_sizes: sizes of batches that are measured.
        table: for energy a mapping of each expert's name to its mJ per sample; for times a file that
            ``orxe profile`` wrote, in place of measuring.
    """

    kind: Literal["gmacs", "latency", "throughput", "energy"] = "gmacs"
    batch_size: int = Field(default=32, gt=0, le=1_000_000)
    batch_sizes: list[Annotated[int, Field(gt=0, le=1_000_000)]] = Field(
        default_factory=lambda: [1, 4, 16, 64], min_length=1, max_length=1000
    )
    table: dict[str, float] | str | None = None

    @model_validator(mode="after")
    def _table_fits(self) -> CostChoice:
        if self.kind == "energy" and not isinstance(self.table, dict):
            raise OrxeError("cost of kind energy needs a table, as no meter is built in: {small: 12.5, large: 90}")
        if (self.in_time and isinstance(self.table, dict)) or (self.kind == "gmacs" and self.table):
            raise OrxeError(
                f"cost.table does not go with kind {self.kind!r}: a mapping is for energy, a file for latency"
            )
        return self

    @property
    def in_time(self) -> bool:
        """Whether costs are milliseconds."""
        return self.kind in ("latency", "throughput")


class PromiseWish(_Model):
    """A drop to promise: see :mod:`orxe_plugins.search.promise`.

    Attributes:
        max_drop: score that may be lost to the last expert, such as 0.01.
        confidence: how sure the promise has to be.
    """

    max_drop: float = Field(gt=0, lt=1)
    confidence: float = Field(default=0.95, gt=0, lt=1)


class Regulariser(_Model):
    """Keeps a search from relying on few samples; off by default: see :func:`orxe_plugins.search.fit_policies`.

    Attributes:
        min_exits: a threshold lets at least so many fitting samples exit, or none.
        alpha: so many right answers an enabled expert before the last must win, or cost worth as many.
        beta: the same for each skip threshold in use.
    """

    min_exits: int = Field(default=0, ge=0, le=_MANY)
    alpha: float = Field(default=0.0, ge=0)
    beta: float = Field(default=0.0, ge=0)


class Gates(_Model):
    """Trained confidences: see :mod:`orxe_plugins.training.gate`.

    Attributes:
        experts: names of the experts that get a gate; all but the last by default.
        share: share of the fitting split that gates are trained on; thresholds are fitted on the rest.
        hidden: width of the hidden layer; by default the widest of at most 64 that costs at most 1 % of the expert.
        epochs: passes over the samples, at most.
        batch_size: samples per step; every step compares all pairs of them.
        lr: learning rate of AdamW.
        weight_decay: of AdamW.
        hold_out: share of the gates' samples that decide when training stops.
        patience: epochs without a better loss on those, before training stops.
        seed: of everything random.
    """

    experts: list[str] | None = None
    share: float = Field(default=0.5, gt=0, lt=1)
    hidden: int | None = Field(default=None, gt=0, le=1_000_000)
    epochs: int = Field(default=60, gt=0, le=1_000_000)
    batch_size: int = Field(default=128, gt=1, le=1_000_000)
    lr: float = Field(default=2e-3, gt=0)
    weight_decay: float = Field(default=1e-2, ge=0)
    hold_out: float = Field(default=0.2, gt=0, lt=1)
    patience: int = Field(default=10, gt=0, le=1_000_000)
    seed: int = Field(default=0, ge=0, lt=2**63)


def _preferences(value: Any) -> Any:
    if isinstance(value, Mapping):
        span = _Span.model_validate(value)
        steps = (span.stop - span.start) / span.step
        if not steps < _MOST_PREFERENCES:
            raise OrxeError(f"{steps + 1:,.0f} preferences are asked for: expected at most {_MOST_PREFERENCES:,}")
        count = round(steps)
        value = [round(span.start + i * span.step, 10) for i in range(count + 1)]
    if isinstance(value, list) and len(value) > _MOST_PREFERENCES:
        raise OrxeError(f"{len(value):,} preferences are given: expected at most {_MOST_PREFERENCES:,}")
    return list(check_preferences(value))


def _expert(value: Any) -> Any:
    """A plain text is an expert's address."""
    return {"address": value} if isinstance(value, str) else value


class _Span(_Model):
    start: float = Field(default=0.0, ge=0, le=1)
    stop: float = Field(default=1.0, ge=0, le=1)
    step: float = Field(default=0.05, gt=0)


class Recipe(_Model):
    """A recipe, checked.

    Attributes:
        name: the recipe's name, also that of its output folder; by default that of the file, or of the folder of a
            ``recipe.yaml``.
        description: one line, which ``orxe list recipes`` shows.
        task: kind of task, such as "classification".
        plugin: Python file beside the recipe that registers a new task or confidence.
        prepare: Python file beside the recipe; its ``prepare(recipe, out, progress, **prepare_options)``
            makes data or experts, and skips what exists already.
        prepare_options: arguments of ``prepare``.
        data: the labelled samples.
        experts: the pool: addresses, or entries with the keys of an expert. In the recipe's file the key may also name
            an experts file.
        labels: where scores come from. "data": labels of the data. "none": any folder of images will do, and all scores
            are relative to what the pool's last expert answers; for classification and detection.
        classes: what happens to classes that not all know. "same": they are an error. "data": the cascade answers in
            the classes of the data, and what else an expert knows is dropped. "intersect": only those that the data and
            every expert know; other objects are left out, and said.
        input_mode: "originals" hands original images to the experts, and each prepares its view; "tensor" hands
            them one tensor, as frameworks do.
        confidence: a confidence provider's kind, or its kind and options, for experts that name none; the
            option ``temperature: fit`` fits one temperature per expert on the fitting split. "auto" chooses for each
            expert among the usual one, its rivals and one that is fitted on the fitting split, by cross-validation.
        preferences: the preferences to fit: a rising list, or ``{start: 0, stop: 1, step: 0.05}``.
        skip_gates: search for skip thresholds too.
        scores: what the search runs on: "raw" is recorded scores, "denoised" expected ones, "auto" expected ones up to
            32,768 samples and recorded ones above that.
        record: how records are made.
        gates: train ranking gates, which take the place of the experts' own confidence.
        select_pool: keep the experts that work best together before the search, as ``orxe select-pool`` chooses them.
        select_saver: rank the cheaper experts as savers of base models, as ``orxe select-saver`` does.
        max_experts: keep so many experts at most, those that do best together.
        max_params: keep experts that have so many parameters together at most.
        cost: what the search takes as cost; a kind alone, such as ``latency``, or its keys.
        regulariser: keeps the search from relying on few samples.
        promise: drops to promise, one or a list; they are tested on the choosing split (``data.split.choose``).
        folder: the recipe's own folder.
    """

    name: str = Field(min_length=1)
    description: str = ""
    task: str = "classification"
    plugin: str | None = None
    prepare: str | None = None
    prepare_options: dict[str, Any] = Field(default_factory=dict)
    data: Data
    experts: list[Annotated[ExpertSpec, BeforeValidator(_expert)]] = Field(min_length=1)
    labels: Literal["data", "none"] = "data"
    classes: Literal["same", "data", "intersect"] = "same"
    input_mode: Literal["originals", "tensor"] = Field(default="originals", alias="path")
    confidence: Annotated[
        dict[str, Any] | None, BeforeValidator(lambda v: {"kind": v} if isinstance(v, str) else v)
    ] = None
    preferences: Annotated[list[float], BeforeValidator(_preferences)] = Field(
        default_factory=lambda: _preferences({"step": 0.05})
    )
    skip_gates: bool = True
    scores: Literal["auto", "raw", "denoised"] = "auto"
    record: Recording = Recording()
    gates: Gates | None = None
    select_pool: PoolChoice | None = None
    select_saver: SaverChoice | None = None
    max_experts: _Whole | None = None
    max_params: float | None = Field(default=None, gt=0)
    cost: Annotated[CostChoice, BeforeValidator(lambda v: {"kind": v} if isinstance(v, str) else v)] = CostChoice()
    regulariser: Regulariser = Regulariser()
    promise: Annotated[list[PromiseWish], BeforeValidator(lambda v: [v] if isinstance(v, Mapping) else v)] = Field(
        default_factory=list
    )
    folder: Path = Field(exclude=True)

    @model_validator(mode="after")
    def _splits_agree(self) -> Recipe:
        split, two_folders = self.data.split, self.data.report_root is not None
        if split.choose and not two_folders and split.fit + split.choose >= 1:
            raise OrxeError(
                f"data.split takes {split.fit:g} to fit and {split.choose:g} to choose on, "
                "which leaves nothing to report on: expected less than 1 together"
            )
        if split.choose and two_folders and self.record.augment is not None:
            raise OrxeError(
                "data.split.choose would be taken from augmented samples, of which nothing can be promised for "
                "clean ones: leave out data.report_root or record.augment"
            )
        if self.gates is not None and self.cost.kind == "energy":
            raise OrxeError("what trained gates cost is counted or timed, not metered: leave out gates or cost.kind")
        self._check_no_labels()
        self._check_unlabelled()
        if self.promise and not split.choose:
            raise OrxeError("promise is tested on samples of its own: add data.split.choose, such as 0.25")
        return self

    def _check_unlabelled(self) -> None:
        if self.data.unlabelled is None:
            return
        for wrong, why in (
            (self.labels == "none", "helps labelled ones, but this recipe says labels: none"),
            (self.task != "classification", f"is for classification, but this recipe's task is {self.task}"),
            (self.record.keep == "none", "needs answers that are kept, but this recipe says record.keep: none"),
        ):
            if wrong:
                raise OrxeError(f"data.unlabelled {why}: leave out one of both")

    def _check_no_labels(self) -> None:
        if self.labels != "none":
            return
        for wrong, what, why in (
            (self.classes != "same", f"classes: {self.classes}", "looks for classes in the data"),
            (self.fits_temperature, "confidence.temperature: fit", "is fitted to labels"),
            (self.record.keep == "none", "record.keep: none", "keeps no answers that could be compared"),
        ):
            if wrong:
                raise OrxeError(f"{what} {why}, but this recipe says labels: none: leave out one of both")

    @property
    def path(self) -> str:
        """What :attr:`input_mode` was called until 0.2. Deprecated."""
        warnings.warn("recipe.path is now recipe.input_mode", DeprecationWarning, stacklevel=2)
        return self.input_mode

    @property
    def chooses_confidence(self) -> bool:
        """Whether confidences are chosen on the fitting split."""
        return (self.confidence or {}).get("kind") == "auto"

    @property
    def fits_temperature(self) -> bool:
        """Whether one temperature per expert is to be fitted."""
        return (self.confidence or {}).get("temperature") == "fit"

    def described_split(self) -> dict[str, Any]:
        """How samples are split, as a table of policies keeps it; what is at its default is left out."""
        split = self.data.split
        return split.model_dump(exclude_defaults=True, exclude={"fit", "seed"}) | {"fit": split.fit, "seed": split.seed}
