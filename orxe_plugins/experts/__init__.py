"""Experts: pretrained models with their own preprocessing, cost and confidence."""
