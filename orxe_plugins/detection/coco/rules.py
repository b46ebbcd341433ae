"""The constants of COCO's evaluation of boxes."""

from __future__ import annotations

import numpy as np

#: least overlaps (IoU) of a match, (T,)
IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
#: recalls at which precision is averaged, (R,)
RECALL_POINTS = np.linspace(0.0, 1.0, 101)
#: sizes of objects, and the least and greatest area of each in square pixels, (A, 2), ends included
SIZES = ("all", "small", "medium", "large")
AREAS = np.array([[0, 1e5**2], [0, 32**2], [32**2, 96**2], [96**2, 1e5**2]], dtype=np.float64)
#: number of boxes that count per image and label: those with the highest scores
MAX_BOXES = 100
