"""Files, progress and imports of files: what knows nothing of models."""
