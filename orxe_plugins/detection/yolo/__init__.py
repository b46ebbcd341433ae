"""Data sets in YOLO's format, read without Ultralytics."""
