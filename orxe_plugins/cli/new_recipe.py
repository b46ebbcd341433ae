"""What `orxe init` does: look at experts and data, write a recipe, say what comes next."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from orxe_plugins.cli import console
from orxe_plugins.errors import OrxeError
from orxe_plugins.run.draft import draft_recipe
from orxe_plugins.run.draft_data import draft_data
from orxe_plugins.run.draft_experts import draft_experts
from orxe_plugins.run.recipe_file import load_recipe
from orxe_plugins.util.files import write_text
from orxe_plugins.util.wording import plain


def write_recipe(
    experts: Sequence[str], archs: Sequence[str], data: Path, task: str | None, out: Path, force: bool
) -> None:
    """Write a recipe and print what it is of.

    Args:
        experts: what the user named.
        archs: models of files of weights that do not say it themselves.
        data: folder or file of labelled images.
        task: what the data is for, where the user says it.
        out: the file to write.
        force: write over one that is there.

    Raises:
        OrxeError: the file is there, or an expert or the data does not fit.
    """
    if out.suffix.lower() not in (".yaml", ".yml"):
        out = out / "recipe.yaml" if out.is_dir() else out.with_name(f"{out.name}.yaml")
    if out.exists() and not force:
        raise OrxeError(f"{out} exists: name another file by --out, or write over it by --force")
    found = draft_data(data, task)
    drafts = draft_experts(experts, archs)
    recipe = draft_recipe(drafts, found, out)
    before = out.read_bytes() if out.exists() else None
    write_text(out, recipe.text)
    try:
        load_recipe(out, out=Path("runs"))
    except OrxeError:
        # A recipe that cannot be read must not stay, least of all in place of one that could.
        out.unlink()
        if before is not None:
            out.write_bytes(before)
        raise
    console.tell(f"{out}: {found.task}, {len(drafts)} experts, {len(found.dataset):,} images")
    for draft in drafts:
        cost = "cost not known" if draft.cost is None else f"{plain(draft.cost)} GMACs"
        console.tell(f"  {draft.spec.name}: {cost}" + ("" if draft.has_weights else ", downloaded by the first run"))
    console.tell_notes(recipe.notes)
    console.tell(f"next: orxe check {shlex.quote(str(out))}")
    console.tell(f"then: orxe run {shlex.quote(str(out))}")
