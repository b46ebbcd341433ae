"""Image classification: the score of a sample is 1 if its top class is right, else 0."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from orxe_plugins.confidence.provider import ConfidenceProvider
from orxe_plugins.confidence.softmax import MaxSoftmax
from orxe_plugins.data.datasets import Dataset, ImageFolder, folders_without_map
from orxe_plugins.errors import OrxeError
from orxe_plugins.experts.classifier import ClassifierExpert
from orxe_plugins.experts.expert import Expert
from orxe_plugins.tasks.known_classes import answer_in_folders, folder_names, with_common_classes
from orxe_plugins.tasks.task import Task, register_task

KEEP = ("none", "top5", "all")


@register_task("classification")
class Classification(Task):
    """One class per image; outputs are logits of shape (B, C), targets are class indices."""

    metric_name = "top1"
    score_name = "top1"
    gate_summary = "logits"

    def dataset(self, root: Path, class_map: str | None = None) -> ImageFolder:
        return ImageFolder(root, class_map)

    def default_confidence(self) -> ConfidenceProvider:
        return MaxSoftmax()

    def prepare(self, expert: Expert, dataset: Dataset) -> None:
        """Check that the expert knows the classes of the data set.

        Raises:
            OrxeError: the data set has a class that the expert has not, or has fewer class folders than the expert
            has classes, and nothing says which they are.
        """
        if isinstance(expert, ClassifierExpert) and expert.classes != "same" and len(dataset):
            answer_in_folders(expert, dataset)
            return
        known = getattr(expert, "num_classes", None)
        if known is None or not len(dataset):
            return
        greatest = max(dataset.targets)
        if greatest >= known:
            raise OrxeError(
                f"data set {dataset.name!r} has a class {greatest}, but expert {expert.name!r} has {known} classes, "
                f"0 to {known - 1}: number the class folders by a class map, or take experts for these classes"
            )
        folders = folders_without_map(dataset)
        if folders is not None and folders < known:
            raise OrxeError(
                f"data set {dataset.name!r} has {folders} class folders and no class map, but expert {expert.name!r} "
                f"has {known} classes: which of them the folders are cannot be told from their order. List the "
                f"expert's {known} classes, as the folders are called, in synsets.txt beside the folders or in a file "
                f"named by data.class_map=FILE{_imagenet_hint(dataset, known)}; or, where the folders are called as "
                "the expert calls its classes, answer in them alone by `classes: data`"
            )

    def label_names(self, dataset: Dataset) -> tuple[str, ...]:
        return folder_names(dataset)

    def with_classes(self, dataset: Dataset, experts: Sequence[Expert]) -> Dataset:
        return with_common_classes(dataset, experts)

    def score(self, outputs: Tensor, targets: Sequence[int]) -> np.ndarray:
        truth = torch.as_tensor(targets, device=outputs.device)
        if len(truth) and int(truth.max()) >= outputs.shape[1]:
            raise OrxeError(
                f"the data set has a class {int(truth.max())}, but the expert answers with {outputs.shape[1]} classes"
            )
        return (outputs.argmax(dim=1) == truth).cpu().numpy().astype(np.float64)

    def valid(self, outputs: Tensor) -> np.ndarray:
        return torch.isfinite(outputs).all(dim=1).cpu().numpy()

    def predictions(self, outputs: Tensor, keep: str) -> dict[str, np.ndarray]:
        """``classes`` int32 and ``log_probs`` float32, both (B, K): the K most probable classes.

        K is 5 for "top5", or C, in order of the classes, for "all".
        """
        if keep not in KEEP:
            raise OrxeError(f"predictions is {keep!r}: expected one of {', '.join(KEEP)}")
        if keep == "none":
            return {}
        log_p = torch.log_softmax(outputs.float(), dim=1).cpu()  # (B, C)
        if keep == "all":
            classes = torch.arange(log_p.shape[1]).expand_as(log_p)
        else:
            log_p, classes = log_p.topk(min(5, log_p.shape[1]), dim=1)
        return {"classes": classes.to(torch.int32).numpy(), "log_probs": log_p.numpy()}

    def describe(self, outputs: Tensor) -> list[str]:
        """The class index with the highest logit."""
        return [str(index) for index in outputs.argmax(dim=1).tolist()]

    def values(self, outputs: Tensor) -> list[dict[str, int]]:
        """The same under ``class``."""
        return [{"class": index} for index in outputs.argmax(dim=1).tolist()]


def _imagenet_hint(dataset: Dataset, known: int) -> str:
    folders = {str(sample).partition("/")[0] for sample in dataset.sample_ids}
    if known != 1000 or not all(re.fullmatch(r"n\d{8}", name) for name in folders):
        return ""
    return ". For ImageNet's 1000 classes, timm has that list as timm/data/_info/imagenet_synsets.txt"
