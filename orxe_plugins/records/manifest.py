"""The description of a records folder, and whether a recording fits it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from orxe_plugins.data.datasets import Dataset
from orxe_plugins.errors import OrxeError
from orxe_plugins.experts.expert import Expert
from orxe_plugins.experts.fingerprint import expert_parts, expert_weights, fingerprint_of
from orxe_plugins.experts.sources import source_fingerprints
from orxe_plugins.experts.spec import ExpertSpec
from orxe_plugins.records.contents import digest_of
from orxe_plugins.records.options import RecordOptions
from orxe_plugins.records.store import RecordStore
from orxe_plugins.tasks.task import Task

_WAY_OUT = "Choose another --out folder, or use --fresh to record again"

#: what a data set says of itself; no recorded answer depends on it
SAID = ("notes", "class_names")
#: what is said of the samples' files, by which shards are brought up to date one image at a time
OF_FILES = ("identity", "contents")


def setup_of(task: Task, options: RecordOptions) -> dict[str, Any]:
    """How all experts of a folder are recorded, as JSON values."""
    view, augment = options.input_view, options.augment
    return {
        "task": task.kind,
        "path": options.input_mode,
        "input_view": None if view is None else view.to_dict(),
        # Version 0.1 could also make the tensor by a function; its records have the key.
        "to_tensor": None,
        "augment": None if augment is None else augment.name,
        "seed": None if augment is None else options.seed,
        "keep": options.keep,
        **({"features": True} if options.features else {}),
        **({"unlabelled": True} if task.unlabelled else {}),
    }


def recording_mark(dataset: Mapping[str, Any], expert: Mapping[str, Any]) -> str:
    """Fingerprint of all that an expert's shards depend on, out of both manifests."""
    recorded = {key: value for key, value in dataset.items() if key not in ("schema", "name", *SAID, *OF_FILES)}
    return fingerprint_of({"dataset": recorded, "expert": [expert[k] for k in ("name", "fingerprint", "shard_size")]})


def check_dataset(
    store: RecordStore, dataset: Dataset, setup: Mapping[str, Any], fresh: bool, contents: Sequence[str] | None = None
) -> dict[str, Any]:
    """The folder's ``dataset.json`` as it has to be, after checking that the present one is the same.

    Args:
        fresh: remove all records where it is not.
        contents: hash of the files of each sample; None where they are not known.
    """
    manifest = {"name": dataset.name, "fingerprint": dataset.fingerprint, "samples": len(dataset), **setup}
    manifest |= {key: list(getattr(dataset, key, ())) for key in SAID}
    if (identity := getattr(dataset, "identity", None)) is not None:
        manifest["identity"] = identity
    if contents is not None:
        manifest["contents"] = digest_of(contents)
    manifest = json.loads(json.dumps(manifest))
    there = None if fresh and _unreadable(store) else store.dataset()
    if there is not None and there.get("identity", "") == manifest.get("identity"):
        # The same samples: files that have changed are recorded again one by one, under the mark of the others.
        manifest["fingerprint"] = there["fingerprint"]
    difference = None if there is None else _dataset_difference(there, manifest)
    if fresh and (difference or there is None):
        store.remove_all()
    elif difference:
        raise OrxeError(f"{store.folder} {difference}. {_WAY_OUT}")
    return manifest


def _unreadable(store: RecordStore) -> bool:
    try:
        store.dataset()
    except OrxeError:
        return True
    return False


def _dataset_difference(there: Mapping[str, Any], here: Mapping[str, Any]) -> str | None:
    if there["fingerprint"] != here["fingerprint"]:
        return (
            f"holds records of another data set: {there['name']!r} with {there['samples']} samples "
            f"(fingerprint {there['fingerprint'][:12]}), but this is {here['name']!r} with {here['samples']} samples "
            f"(fingerprint {here['fingerprint'][:12]})"
        )
    settings = [key for key in here if key not in ("name", "fingerprint", "samples", *SAID, *OF_FILES)]
    changed = [f"{key} {there.get(key)!r}, now {key} {here[key]!r}" for key in settings if there.get(key) != here[key]]
    return f"was recorded with {'; '.join(changed)}" if changed else None


def expert_manifest(
    expert: Expert, shard_size: int, batch_size: int, cost_unit: str, plugin: str | None = None
) -> dict[str, Any]:
    """The ``expert.json`` of an expert; its cost may not be known yet.

    Args:
        expert: the expert.
        shard_size, batch_size, cost_unit: how it is recorded.
        plugin: fingerprint of the Python file that defines its task or its confidence; None without one.
    """
    parts = expert_parts(expert)
    spec = expert.spec.to_dict() if isinstance(expert.spec, ExpertSpec) else None
    manifest = {
        "name": expert.name,
        "spec": spec,
        "fingerprint": fingerprint_of(parts),
        "parts": parts,
        "params": expert.params,
        "cost": None if expert.cost is None else float(expert.cost),
        "shared_cost": float(expert.shared_cost),
        "needs": expert.needs,
        "cost_unit": cost_unit,
        "shard_size": shard_size,
        "batch_size": batch_size,
        "weights": expert_weights(expert),
        "files": source_fingerprints(expert.spec) if isinstance(expert.spec, ExpertSpec) else {},
        **({} if plugin is None else {"plugin": plugin}),
    }
    return json.loads(json.dumps(manifest, default=str))


def check_expert(store: RecordStore, manifest: Mapping[str, Any]) -> None:
    """Raise unless what the folder holds of an expert was recorded from the same one, in shards of one size."""
    name = manifest["name"]
    there = store.expert(name)
    if there is None:
        return
    changed = [key for key, value in manifest["parts"].items() if there["parts"].get(key) != value]
    if "weights" in changed:
        raise OrxeError(f"expert {name!r} has other weights than when {store.folder} was recorded. {_WAY_OUT}")
    if changed:
        listed = "; ".join(f"{key} {there['parts'].get(key)!r}, now {manifest['parts'][key]!r}" for key in changed)
        raise OrxeError(f"expert {name!r} was recorded in {store.folder} with {listed}. {_WAY_OUT}")
    if there.get("plugin", manifest.get("plugin")) != manifest.get("plugin"):
        raise OrxeError(f"expert {name!r} was recorded in {store.folder} with another plugin file. {_WAY_OUT}")
    if there["shard_size"] != manifest["shard_size"]:
        raise OrxeError(
            f"expert {name!r} was recorded in {store.folder} with shard_size {there['shard_size']}, "
            f"but this run has {manifest['shard_size']}. {_WAY_OUT}"
        )


def check_batch_size(store: RecordStore, manifest: Mapping[str, Any], missing: Sequence[int]) -> None:
    """Raise if a recording would go on with another batch size: the last bits of answers depend on it."""
    there = store.expert(manifest["name"])
    if there is None or not missing or there["batch_size"] == manifest["batch_size"]:
        return
    raise OrxeError(
        f"the unfinished records of expert {manifest['name']!r} in {store.folder} have batch_size "
        f"{there['batch_size']}, but this run has {manifest['batch_size']}: go on with the same one. {_WAY_OUT}"
    )
