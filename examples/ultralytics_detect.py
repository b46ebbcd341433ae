"""Two YOLOs as one: python ultralytics_detect.py small.pt large.pt IMAGES...

Without arguments it takes what `make demo-detection` made.
"""

import sys
from pathlib import Path

from orxe_ultralytics import CascadeYOLO

RUN = Path("runs/digits_detection")


def main(arguments: list[str]) -> None:
    if arguments:
        small, large, *images = arguments
        model = CascadeYOLO(experts=[small, large], exit_thresholds=[0.4])
    else:
        model = CascadeYOLO(str(RUN / "cascade"), preference=0.9)
        images = [str(path) for path in sorted(RUN.glob("scenes/images/*"))[:8]]
    for result in model.predict(images, verbose=False):
        route = result.orxe_route
        print(
            f"{Path(result.path).name}: {len(result.boxes)} boxes by {result.orxe_expert}, "
            f"confidence {float(route.confidence):.2f}, {float(route.cost):.3f} GMACs"
        )
    model.save("cascade.pt")
    print("now also: yolo predict model=cascade.pt source=" + images[0])


if __name__ == "__main__":
    main(sys.argv[1:])
