"""Figures of a cascade on recorded samples: estimates, intervals, metrics."""
