"""Recipes: what they say, and their steps."""
