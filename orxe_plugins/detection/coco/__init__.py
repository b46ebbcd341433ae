"""COCO: data sets in its format, and its average precision of any routing."""
