"""``python -m orxe_plugins``: the command ``orxe``."""

from orxe_plugins.cli.app import main

main()
