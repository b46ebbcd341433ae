"""Make the files of exits that a recipe's experts name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from orxe_plugins.errors import OrxeError
from orxe_plugins.esn.experts import OnBackbone
from orxe_plugins.esn.fit import ExitSettings, train_exits
from orxe_plugins.experts.registry import ExpertSpec, load_expert, parse_address
from orxe_plugins.util.progress import OfTotal, Progress


def make_exits(
    specs: Sequence[ExpertSpec],
    batches: Callable[[], Iterable[tuple[Any, Tensor]]],
    settings: ExitSettings | None = None,
    progress: Progress | None = None,
    total: int | None = None,
) -> None:
    """Train the exits whose file is missing; saver and base have their weights already.

    Args:
        specs: a recipe's experts; those with an option ``esn`` are exits. Exits of one file are trained together.
        batches: gives labelled samples, as :func:`train_exits` takes them, each time that it is called.
        settings: sizes and schedule.
        progress: shows how many steps are done.
        total: number of samples, for the progress bar.
    """
    files: dict[str, list[tuple[ExpertSpec, dict[str, Any]]]] = {}
    for spec in specs:
        adapter, name, options = parse_address(spec.address)
        options = {**options, **spec.options}
        if "esn" in options:
            plain = replace(spec, address=f"{adapter}:{name}", options=options)
            files.setdefault(options["esn"], []).append((plain, options))
    for file, exits in files.items():
        if Path(file).exists():
            continue
        spec, options = exits[0]
        base_options = {key: value for key, value in options.items() if key not in ("esn", "saver")}
        base = load_expert(replace(spec, options={**base_options, "exit": "end"}))
        if not isinstance(base, OnBackbone):
            raise OrxeError(f"expert {spec.address!r} is no backbone that exits can be put in")
        saver = options.get("saver")
        if saver is not None:
            saver = load_expert(ExpertSpec(saver) if isinstance(saver, str) else ExpertSpec.from_dict(saver))
        stages = sorted({int(each["exit"]) for _, each in exits})
        train_exits(Path(file), base, saver, stages, batches(), settings, progress and OfTotal(progress, total or 0))
