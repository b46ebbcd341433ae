"""Detections, label spaces, score calibration, and COCO."""
