"""What the site's builder calls for each page: references of docstrings are shown as the names that they stand for."""

from __future__ import annotations

import re
from typing import Any

_ROLE = re.compile(r":(?:meth|class|func|mod|attr|data|exc|obj):(?=<code)")
_SHORTENED = re.compile(r"(<code[^>]*>)~[\w.]*?(\w+)(</code>)")


def on_page_content(html: str, **_: Any) -> str:
    """The page's HTML without the names of Sphinx's roles."""
    return _SHORTENED.sub(r"\1\2\3", _ROLE.sub("", html))
