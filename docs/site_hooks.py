"""What the site's builder calls for each page: links and references are shown as the names of what they lead to."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

_PAGE_LINK = re.compile(r"\[(?:[\w.-]+/)*[\w-]+\.md\]\(([^)#\s]+\.md)(#[^)]*)?\)")
_ROLE = re.compile(r":(?:meth|class|func|mod|attr|data|exc|obj):(?=<code)")
#: a role that names what it leads to in words of its own
_TITLED = re.compile(r"(<code[^>]*>)([^<&]+) &lt;[\w.]+&gt;(</code>)")
_SHORTENED = re.compile(r"(<code[^>]*>)~[\w.]*?(\w+)(</code>)")


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """The page's Markdown, in which links to other pages say their titles; in the repository they say the file."""
    folder = Path(page.file.abs_src_path).parent

    def titled(link: re.Match[str]) -> str:
        target = folder / link[1]
        title = re.match(r"# (.+)", target.read_text(encoding="utf-8")) if target.is_file() else None
        return f"[{title[1]}]({link[1]}{link[2] or ''})" if title else link[0]

    return _PAGE_LINK.sub(titled, markdown)


def on_page_content(html: str, **_: Any) -> str:
    """The page's HTML without the names of Sphinx's roles."""
    return _SHORTENED.sub(r"\1\2\3", _TITLED.sub(r"\1\2\3", _ROLE.sub("", html)))
