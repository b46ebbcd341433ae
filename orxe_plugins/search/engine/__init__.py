"""The algorithms of the threshold search."""
