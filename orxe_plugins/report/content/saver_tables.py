"""The tables of a saver's report."""

from __future__ import annotations

from orxe_plugins.evaluation.saver import SaverEvaluation
from orxe_plugins.report.formats import Formats, cost_unit_meaning, fixed, metric_head, short_names, threshold_text
from orxe_plugins.report.tables import Column, Table


def candidate_table(evaluation: SaverEvaluation) -> Table:
    """The candidates by Delta C."""
    formats = _formats(evaluation)
    metric = metric_head(evaluation.metric_name, evaluation.percent)
    columns = (
        Column("Saver", numeric=False),
        Column("Delta C", hint="saver cost / base cost - r_match (TinySaver, Eq. 10); below 0 the saver pays off"),
        Column("r_match %", hint="largest exit ratio at which the saver is at least as good as the base (Eq. 6)"),
        Column("Threshold"),
        Column(evaluation.cost_unit, hint=cost_unit_meaning(evaluation.cost_unit)),
        Column(metric, hint="of the saver alone"),
    )
    names = short_names([row.saver for row in evaluation.candidates], width=48)
    rows = tuple(
        (
            name,
            fixed(row.delta_c, sign=True),
            f"{100 * row.r_match:.1f}",
            "-" if row.threshold is None else threshold_text(row.threshold),
            formats.cost(row.saver_cost),
            formats.score(row.saver_score),
        )
        for name, row in zip(names, evaluation.candidates, strict=True)
    )
    marked = frozenset(i for i, row in enumerate(evaluation.candidates) if row.saver == evaluation.saver.saver)
    first = evaluation.candidates[0]
    note = (
        f"Base model: {evaluation.base}, {formats.cost(first.base_cost)} {evaluation.cost_unit}, "
        f"{metric} {formats.score(first.base_score)}."
    )
    return Table(f"Savers by Delta C ({evaluation.fitted_on.title})", columns, rows, marked, note)


def swept_table(evaluation: SaverEvaluation) -> Table:
    """The columns of TinySaver's Table 1 for the best pair, one below the other."""
    table, formats = evaluation.table, _formats(evaluation)
    metric = metric_head(evaluation.metric_name, evaluation.percent)
    saver, base = short_names([table.saver, table.base])

    def row(what: str, cost: float | None, score: str) -> tuple[str, ...]:
        if cost is None:
            return (what, "-", "-", score)
        return (what, formats.cost(cost), formats.change(cost / table.base_cost), score)

    rows = (
        row(f"{base} alone (base)", table.base_cost, formats.score(table.base_score)),
        row(f"{saver} alone (saver)", table.saver_cost, formats.score(table.saver_score)),
        *(
            row(
                f"needed at a drop of at most {drop_text(drop, evaluation.percent)}",
                cost,
                f"at least {formats.score(table.base_score - drop)}",
            )
            for drop, cost in zip(table.drops, table.needed_cost, strict=True)
        ),
        row(
            f"best {evaluation.metric_name}",
            table.best_cost,
            f"{formats.score(table.best_score)} ({formats.difference(table.best_score - table.base_score)})",
        ),
    )
    columns = (Column("", numeric=False), Column(evaluation.cost_unit), Column("Cost change"), Column(metric))
    note = (
        "As in TinySaver's Table 1, thresholds were swept on this very split: the pair looks better than it is. "
        "A dash: the saver alone keeps within the drop."
    )
    return Table(f"Thresholds swept ({evaluation.reported_on.title})", columns, rows, note=note)


def chosen_table(evaluation: SaverEvaluation) -> Table:
    """Thresholds chosen on the fitting split, with what they do on the reporting split."""
    formats = _formats(evaluation)
    columns = (
        Column("Allowed drop"),
        Column("Threshold"),
        Column("Exit share %"),
        Column(evaluation.cost_unit),
        Column("Cost change"),
        Column(metric_head(evaluation.metric_name, evaluation.percent), hint="with its interval"),
        Column("Paired difference", hint="score minus the base's on the same samples"),
    )
    rows = tuple(
        (
            drop_text(each.drop, evaluation.percent),
            threshold_text(each.threshold),
            formats.share(each.result.exit_share[0]),
            formats.cost(each.result.cost.value),
            formats.change_interval(each.result.cost_ratio),
            formats.score_interval(each.result.score),
            formats.difference_interval(each.result.score_difference),
        )
        for each in evaluation.chosen
    )
    note = "The lowest threshold that keeps the allowed drop on the fitting split; figures are of the reporting split."
    return Table(f"Thresholds chosen on the fitting split ({evaluation.reported_on.title})", columns, rows, note=note)


def drop_text(drop: float, percent: bool) -> str:
    """An allowed drop: 0.5 %, or 0.005 where scores are not written in percent."""
    return f"{100 * drop:g} %" if percent else f"{drop:g}"


def _formats(evaluation: SaverEvaluation) -> Formats:
    scores = [evaluation.table.base_score, evaluation.table.saver_score]
    return Formats.for_samples(evaluation.reported_on.count, evaluation.percent, evaluation.cost_unit, scores)
