"""The command ``orxe``."""

from orxe_plugins.cli.app import app, main

__all__ = ["app", "main"]
