"""Train exits on features that are taken once from a saver and a base, which both stay as they are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from orxe_plugins.data.batch import batch_size
from orxe_plugins.errors import OrxeError
from orxe_plugins.esn.experts import OnBackbone
from orxe_plugins.esn.files import TrainedExits, model_fingerprint, save_exits
from orxe_plugins.esn.loss import exit_loss
from orxe_plugins.esn.network import ExitNetwork, NetworkShape
from orxe_plugins.experts.expert import Expert
from orxe_plugins.training.loop import Schedule, train
from orxe_plugins.util.progress import Progress, Silent


@dataclass(frozen=True)
class ExitSettings:
    """How exits are made and trained. The defaults are those of TinySaver's Table 7, where it gives one value.

    Of the widths 8, 32, 128 and 512 and of 0 to 3 attention layers, which the paper searches, 32 and 1
    are the defaults.

    Attributes:
        dim: width of the tokens.
        layers: attention layers, 0 to 3 in the paper.
        heads: attention heads.
        lr: greatest learning rate of AdamW; it falls as a cosine.
        epochs: passes over the samples after the warm-up.
        warmup_epochs: passes in which the learning rate rises. The paper has 20 of them beside 10 epochs,
            which is read here as 10 more.
        batch_size: samples per step; the paper does not say.
        weight_decay: of AdamW; the paper does not say.
        seed: of the first weights and of the order of the samples.
    """

    dim: int = 32
    layers: int = 1
    heads: int = 8
    lr: float = 6.25e-4
    epochs: int = 10
    warmup_epochs: int = 20
    batch_size: int = 128
    weight_decay: float = 0.05
    seed: int = 0

    def schedule(self) -> Schedule:
        """As the training loop takes it."""
        total = self.epochs + self.warmup_epochs
        warmup = self.warmup_epochs / total
        return Schedule(total, self.batch_size, self.lr, self.weight_decay, self.seed, warmup, label="training exits")


@dataclass(frozen=True, eq=False)
class ExitInputs:
    """What exits see of M samples.

    Attributes:
        features: pooled features of the saver, where there is one, and of the E stages, each (M, F).
        saver_logits: the saver's logits (M, C); None for plain attached exits.
        targets: class indices (M,), or class probabilities (M, C) of mixed images.
    """

    features: list[Tensor]
    saver_logits: Tensor | None
    targets: Tensor


@torch.inference_mode()
def exit_inputs(
    base: OnBackbone,
    saver: Expert | None,
    stages: Sequence[int],
    batches: Iterable[tuple[Any, Tensor]],
    progress: Progress | None = None,
) -> ExitInputs:
    """Run saver and base once on every batch and keep what exits see.

    Args:
        base: the backbone's end.
        saver: the saver; None for plain attached exits.
        stages: where the exits are.
        batches: pairs of B images, as the experts take them, and their targets, (B,) or (B, C); augmented, if they
            shall be.
        progress: shows how many samples are done.
    """
    bar = progress or Silent()
    bar.start(0, "features of the exits")
    backbone = base.backbone
    kept: list[list[Tensor]] = []
    logits: list[Tensor] = []
    targets: list[Tensor] = []
    for batch, wanted in batches:
        if batch_size(batch) != len(wanted):
            raise OrxeError(f"a batch of {batch_size(batch)} samples to train exits on has {len(wanted)} targets")
        targets.append(wanted.cpu())
        row = []
        if saver is not None:
            known = saver.outputs_and_features(batch)
            row.append(known["features"])
            logits.append(known["outputs"].float())
        values = base.prepare(batch)
        for stage in range(max(stages) + 1):
            values = backbone.stage(stage, values)
            if stage in stages:
                row.append(backbone.pool(stage, values).float())
        kept.append(row)
        bar.advance(batch_size(batch))
    if not kept:
        raise OrxeError("there is no sample to train exits on")
    # Tensors made in inference mode cannot be trained on: clones made outside of it can.
    with torch.inference_mode(False):
        features = [torch.cat(parts).clone() for parts in zip(*kept, strict=True)]
        return ExitInputs(features, torch.cat(logits).clone() if logits else None, torch.cat(targets).clone())


def fit_exits(
    inputs: ExitInputs,
    shape: NetworkShape,
    settings: ExitSettings,
    progress: Progress | None = None,
) -> ExitNetwork:
    """Train a network of exits (section 6.4, Eq. 11).

    Args:
        inputs: of M samples.
        shape: the network's.
        settings: how to train.
        progress: shows how many steps are done.
    """
    torch.manual_seed(settings.seed)
    network = ExitNetwork(shape)
    behind_saver = inputs.saver_logits is not None
    columns = [*inputs.features, *([inputs.saver_logits] if inputs.saver_logits is not None else [])]
    module = _OfColumns(network, [part.shape[1] for part in columns], behind_saver)

    def loss(outputs: tuple[Tensor, Tensor | None], wanted: Tensor) -> Tensor:
        return exit_loss(outputs[0], wanted, outputs[1])

    train(module, torch.cat(columns, dim=1), inputs.targets, loss, settings.schedule(), progress=progress)
    return network.eval()


def train_exits(
    file: Path,
    base: OnBackbone,
    saver: Expert | None,
    stages: Sequence[int],
    batches: Iterable[tuple[Any, Tensor]],
    settings: ExitSettings | None = None,
    progress: Progress | None = None,
) -> TrainedExits:
    """Train exits of one base behind one saver, and write them.

    Args:
        file: where to, as safetensors.
        base: the backbone's end, such as ``load_expert("timm:resnet50?exit=end")``.
        saver: any classifier that exposes features; None trains plain attached exits.
        stages: behind which stages of the base exits stand.
        batches: pairs of B images, as the experts take them, and their targets: class indices (B,), or class
            probabilities (B, C) of mixed images. Never those that thresholds are fitted on. Table 7's augmentation
            is ``orxe_timm.mixed_batches``.
        settings: sizes and schedule; those of the paper by default.
        progress: shows how many steps are done.

    Raises:
        OrxeError: a stage is not there, or images and targets differ in number.
    """
    settings = settings or ExitSettings()
    widths = base.backbone.widths
    wrong = [stage for stage in stages if not 0 <= stage < len(widths)]
    if wrong or not stages:
        raise OrxeError(f"exits behind the stages {list(stages)}: expected some of 0 to {len(widths) - 1}")
    inputs = exit_inputs(base, saver, stages, batches, progress)
    shape = NetworkShape(
        tuple(stages),
        tuple(widths[stage] for stage in stages),
        base.num_classes,
        inputs.features[0].shape[1] if saver is not None else None,
        settings.dim,
        settings.layers,
        settings.heads,
    )
    network = fit_exits(inputs, shape, settings, progress)
    saver_mark = None if saver is None else model_fingerprint(saver.module)
    exits = TrainedExits(network, model_fingerprint(base.module), saver_mark, str(file))
    save_exits(exits, file)
    return exits


class _OfColumns(nn.Module):
    """A network of exits that takes its inputs as the columns of one tensor (B, sum of widths)."""

    def __init__(self, network: ExitNetwork, widths: Sequence[int], behind_saver: bool) -> None:
        super().__init__()
        self.network = network
        self._widths = list(widths)
        self._behind_saver = behind_saver

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor | None]:
        """Logits (B, E, C) and the saver's (B, C)."""
        parts = list(rows.split(self._widths, dim=1))
        saver_logits = parts.pop() if self._behind_saver else None
        return self.network(parts, saver_logits), saver_logits
