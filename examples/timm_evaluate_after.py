"""Top-1 on the digits of `make demo`, by the cascade that it wrote; the loop is the same."""

import orxe_timm  # noqa: F401, registers the model
import timm
import torch
from timm.data import create_dataset, create_loader

SIZE = {"input_size": (1, 32, 32), "mean": (0.5,), "std": (0.5,), "crop_pct": 1.0, "interpolation": "bilinear"}


def main() -> None:
    model = timm.create_model("orxe_metamodel", cascade="runs/digits/cascade", preference=0.95)
    model.eval()
    dataset = create_dataset("", root="runs/digits/digits", input_img_mode="L")
    loader = create_loader(dataset, batch_size=64, num_workers=0, use_prefetcher=False, **SIZE)
    right = total = 0
    with torch.inference_mode():
        for images, targets in loader:
            right += int((model(images).argmax(1) == targets).sum())
            total += len(targets)
    print(f"top-1 {100 * right / total:.1f} % of {total} images")


if __name__ == "__main__":
    main()
