"""Two torchvision classifiers become one model of torchvision; what each exit threshold costs and gains.

Trains both on scikit-learn's digits for a few seconds first. Yours come with ``checkpoints=[FILE, FILE]``.
"""

import orxe_torchvision  # noqa: F401, registers the model
import torch
import torchvision
from sklearn.datasets import load_digits
from torch import Tensor
from torch.nn.functional import cross_entropy, interpolate

from orxe_plugins import Policy


def load_data() -> tuple[Tensor, Tensor]:
    """The digits as images (M, 3, 32, 32), from 0 to 1, and their classes (M,)."""
    pixels, digits = load_digits(return_X_y=True)
    images = torch.tensor(pixels / 16, dtype=torch.float32).reshape(-1, 1, 8, 8).expand(-1, 3, -1, -1)
    return interpolate(images, size=32, mode="bilinear"), torch.tensor(digits)


def train(expert: torch.nn.Module, images: Tensor, targets: Tensor, epochs: int) -> None:
    """Train one expert alone, as any torch module."""
    optimizer = torch.optim.AdamW(expert.parameters(), lr=1e-3)
    expert.train()
    for _ in range(epochs):
        for rows in torch.randperm(len(images)).split(64):
            optimizer.zero_grad()
            cross_entropy(expert(images[rows]), targets[rows]).backward()
            optimizer.step()
    expert.eval()


def main(epochs: tuple[int, int] = (6, 6), n_train: int = 1200) -> None:
    torch.manual_seed(0)
    images, targets = load_data()
    model = torchvision.models.get_model(
        "orxe_metamodel",
        experts=["shufflenet_v2_x0_5?input_size=32", "resnet18?input_size=32"],
        weights=None,
        num_classes=10,
        exit_thresholds=[0.8],
    )
    for expert, rounds in zip(model.cascade.members, epochs, strict=True):
        train(expert.module, images[:n_train], targets[:n_train], rounds)
    print("threshold  answered by the first  GMACs per image  top-1")
    for threshold in (0.0, 0.5, 0.8, 0.95, None):
        model.policy = Policy((threshold,))
        with torch.inference_mode():
            logits, route = model.route(images[1200:])
        right = (logits.argmax(1) == targets[1200:]).float().mean()
        first = (route.expert == 0).float().mean()
        print(f"{threshold!s:>9}  {100 * first:19.0f} %  {route.cost.mean():15.4f}  {100 * right:.1f} %")


if __name__ == "__main__":
    main()
