"""What reports say: one document for an evaluation, one for a saver, one for ranking gates."""

from typing import TYPE_CHECKING

from orxe_plugins._moved import moved_names

if not TYPE_CHECKING:
    __getattr__ = moved_names(__name__)
