"""Policies: the thresholds of a cascade, and the table of them."""
