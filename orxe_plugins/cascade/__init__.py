"""Cascade: experts and thresholds as one model, and its folder on disk."""
