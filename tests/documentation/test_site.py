"""The documentation's site: what it shows is complete. `make docs` builds it strictly, broken links being errors."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def site() -> Iterator[Any]:
    """The scripts beside the pages."""
    sys.path.insert(0, str(ROOT / "docs"))
    import make_site
    import site_hooks

    yield make_site, site_hooks
    sys.path.remove(str(ROOT / "docs"))


def shown() -> set[str]:
    def files(part: Any) -> Iterator[str]:
        if isinstance(part, str):
            yield part
        else:
            for below in part.values() if isinstance(part, dict) else part:
                yield from files(below)

    nav = yaml.safe_load((ROOT / "docs" / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    return set(files(nav))


def test_the_menu_shows_every_page_and_every_package(site: Any) -> None:
    make_site, _ = site
    pages = {f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")}
    packages = {f"api/{name}.md" for name in make_site.packages()}
    measured = {f"benchmarks/{page.name}" for page in (ROOT / "benchmarks").glob("*.md")}
    missing = (pages | packages | measured | {"index.md", "CHANGELOG.md"}) - shown()
    assert not missing
    figures = {f"docs/figures/{page.name}" for page in (ROOT / "docs" / "figures").glob("*.md")}
    others = {"index.md", "recipes/README.md", "examples/README.md", *make_site.TOP}
    there = pages | packages | measured | figures | others
    assert shown() <= there


def test_a_page_of_the_api_names_all_that_its_package_offers(site: Any) -> None:
    make_site, _ = site
    from orxe_plugins import cascade

    page = make_site.api_page("orxe_plugins.cascade", cascade.__all__)
    assert set(re.findall(r"^::: orxe_plugins\.cascade\.(\w+)$", page, re.MULTILINE)) == set(cascade.__all__)


def test_roles_of_docstrings_are_shown_as_names(site: Any) -> None:
    _, hooks = site
    html = "see :class:<code>~orxe_plugins.cascade.route.Route</code> and :meth:<code>route</code>"
    assert hooks.on_page_content(html) == "see <code>Route</code> and <code>route</code>"
    titled = ":meth:<code>Files.of &lt;orxe_plugins.Files.of&gt;</code>"
    assert hooks.on_page_content(titled) == "<code>Files.of</code>"


def test_links_say_the_titles_of_pages(site: Any, tmp_path: Path) -> None:
    _, hooks = site
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "time.md").write_text("# Time as the `cost`\n\n## More\n", encoding="utf-8")
    page = SimpleNamespace(file=SimpleNamespace(abs_src_path=str(tmp_path / "index.md")))
    text = "[docs/time.md](docs/time.md#more), [time](docs/time.md), [docs/gone.md](docs/gone.md)"
    assert hooks.on_page_markdown(text, page=page) == (
        "[Time as the `cost`](docs/time.md#more), [time](docs/time.md), [docs/gone.md](docs/gone.md)"
    )


def test_a_function_with_the_name_of_its_module_is_told_by_its_definition(site: Any) -> None:
    make_site, _ = site
    assert make_site.entry("orxe_plugins.search", "replay") == (
        "::: orxe_plugins.search.replay.replay\n    options:\n      heading: orxe_plugins.search.replay\n"
    )
    assert make_site.entry("orxe_plugins.search", "select_pool") == "::: orxe_plugins.search.select_pool\n"


def test_names_of_the_top_lead_to_where_they_are_told(site: Any) -> None:
    make_site, _ = site
    page = make_site.api_page("orxe_plugins", ["Cascade", "evaluate", "trusting"])
    told = "::: orxe_plugins.util.trust.trusting\n    options:\n      heading: orxe_plugins.trusting\n"
    assert page.endswith(told) and page.count(":::") == 2
    assert "- [`Cascade`][orxe_plugins.cascade.Cascade]\n" in page
    assert "- [`evaluate`][orxe_plugins.evaluation.evaluate.evaluate]\n" in page


def test_doctests_of_docstrings_are_blocks_of_code(site: Any) -> None:
    readable = pytest.importorskip("readable", reason="griffe is not installed")
    text = "Adds.\n\n>>> add(\n...     1)\n2\n\nFor others::\n\n    add(1)\n\n    add(2)\n\nEnd."
    assert readable.readable(text) == (
        "Adds.\n\n```pycon\n>>> add(\n...     1)\n2\n```\n\nFor others:\n\n```python\nadd(1)\n\nadd(2)\n```\n\nEnd."
    )


def test_arguments_that_share_an_entry_have_one_each(site: Any) -> None:
    readable = pytest.importorskip("readable", reason="griffe is not installed")
    text = "Adds.\n\nArgs:\n    a, b: numbers, or\n        texts.\n    c: more: of them."
    assert readable.readable(text) == (
        "Adds.\n\nArgs:\n    a: numbers, or\n        texts.\n    b: numbers, or\n        texts.\n    c: more: of them."
    )


def test_comments_above_an_attribute_are_its_docstring(site: Any) -> None:
    readable = pytest.importorskip("readable", reason="griffe is not installed")
    lines = ["#: how many", "#: there are", "MANY = 3", "FEW = 1"]
    assert [readable.comment_above(lines, line) for line in (3, 4)] == ["How many there are.", ""]


def test_methods_of_bases_that_no_page_tells_of_are_told_with_the_class(site: Any) -> None:
    make_site, _ = site
    told = make_site.entry("orxe_plugins.cascade", "Cascade")
    assert re.search(r"inherited_members: \[(.*)\]", told)[1].split(", ") == [  # type: ignore[index]
        "bring", "optimize", "route", "route_budgeted", "stream",
    ]  # fmt: skip
    assert "inherited_members" not in make_site.entry("orxe_plugins.experts", "ClassifierExpert")
