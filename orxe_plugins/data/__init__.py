"""Samples: images, their views, folders and lists of them, and batches."""
