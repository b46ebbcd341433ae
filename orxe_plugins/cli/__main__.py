"""``python -m orxe_plugins.cli``: the command ``orxe``."""

from orxe_plugins.cli.app import main

main()
