"""Train a timm model on scikit-learn's digits, as training loops are usually written."""

import timm
import torch
from sklearn.datasets import load_digits
from torch.nn.functional import cross_entropy

TEN = {"num_classes": 10, "in_chans": 1}


def main(epochs: int = 3, n_train: int = 1200) -> None:
    torch.manual_seed(0)
    pixels, digits = load_digits(return_X_y=True)
    images = torch.tensor(pixels / 8 - 1, dtype=torch.float32).reshape(-1, 1, 8, 8)  # (M, 1, 8, 8), from -1 to 1
    images = torch.nn.functional.interpolate(images, size=32, mode="bilinear")
    targets = torch.tensor(digits)
    model = timm.create_model("test_resnet", **TEN)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(epochs):
        model.train()
        for rows in torch.randperm(n_train).split(64):
            optimizer.zero_grad()
            cross_entropy(model(images[rows]), targets[rows]).backward()
            optimizer.step()
    model.eval()
    with torch.inference_mode():
        right = model(images[1200:]).argmax(1) == targets[1200:]
    print(f"top-1 {100 * right.float().mean():.1f} % of {len(right)} images")


if __name__ == "__main__":
    main()
