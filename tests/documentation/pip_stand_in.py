"""``pip install`` of this project, looked up instead of done: every extra that is named exists."""

import re
import sys
from importlib.metadata import metadata

assert sys.argv[1] == "install", sys.argv
known = set(metadata("orxe-plugins").get_all("Provides-Extra") or ())
for wanted in sys.argv[2:]:
    match = re.fullmatch(r"(?:orxe-plugins|\.)(?:\[([\w,-]+)\])?", wanted)
    assert match, f"not this project: {wanted}"
    missing = set(filter(None, (match[1] or "").split(","))) - known
    assert not missing, f"no such extra: {', '.join(missing)}"
