from __future__ import annotations

import base64
import io
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from orxe_plugins.evaluation.gate import GateEvaluation
from orxe_plugins.evaluation.results import Estimate, Evaluation
from orxe_plugins.evaluation.samples import Samples
from orxe_plugins.evaluation.saver import SaverEvaluation
from orxe_plugins.report.content.evaluation import evaluation_document
from orxe_plugins.report.content.gate import gate_document
from orxe_plugins.report.content.saver import saver_document
from orxe_plugins.report.document import Document, Picture
from orxe_plugins.report.html import compact, to_html
from orxe_plugins.report.tables import Column, Table
from orxe_plugins.report.theme import LIGHT, NARROW_WIDTH, new_figure

NASTY = "<script>alert('x')</script> & \"quoted\" {{ 7 * 7 }} {% raw %}"


class Page(HTMLParser):
    """The elements of a page: (tag, attributes, text directly inside of it)."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str], list[str]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "span" and ("class", "interval") in attrs:
            return  # a line of its own on a phone; its text belongs to the cell
        self.elements.append((tag, {name: value or "" for name, value in attrs}, []))

    def handle_data(self, data: str) -> None:
        if self.elements and data.strip():
            self.elements[-1][2].append(data.strip())

    def texts(self, tag: str, css: str | None = None) -> list[str]:
        return [" ".join(t) for name, attrs, t in self.elements if name == tag and css in (None, attrs.get("class"))]

    def attributes(self, name: str) -> list[str]:
        return [attrs[name] for _, attrs, _ in self.elements if name in attrs]


def simple(**changes: object) -> Document:
    picture = Picture("dots", NASTY, lambda theme: new_figure(2, 2))
    table = Table(NASTY, (Column(NASTY, numeric=False, hint=NASTY), Column("x")), ((NASTY, "1"),), note=NASTY)
    whole = Document(NASTY, (NASTY,), (NASTY,), (table,), (picture,), ((NASTY, NASTY),))
    return replace(whole, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def document(evaluation: Callable[..., Evaluation]) -> Document:
    return evaluation_document(evaluation(shared_samples=3))


@pytest.fixture(scope="module")
def page(document: Document) -> Page:
    return Page(to_html(document, "9.8.7"))


def test_every_text_is_escaped_and_no_text_is_a_template() -> None:
    page = Page(to_html(simple(), version=NASTY))
    assert "script" not in {tag for tag, _, _ in page.elements}
    assert page.texts("h1") == page.texts("title") == page.texts("p", "lead") == [NASTY]
    assert page.texts("p", "warning") == [f"Warning: {NASTY}"]
    assert page.texts("p", "note") == page.texts("figcaption") == page.texts("dt") == page.texts("dd") == [NASTY]
    assert page.texts("h2") == [NASTY, "How these figures came about"]
    assert page.texts("th") == [NASTY, "x"]
    assert page.texts("td") == [NASTY, "1"]
    assert page.attributes("title") == page.attributes("alt") == [NASTY]
    assert page.texts("footer") == [f"Made with orxe-plugins {NASTY}"]


def test_the_page_needs_nothing_from_the_network(page: Page, document: Document) -> None:
    assert not {"link", "iframe", "object", "base"} & {tag for tag, _, _ in page.elements}
    assert not [attrs for tag, attrs, _ in page.elements if tag == "script" and "src" in attrs]
    assert not re.search("https?://", to_html(document))
    sources = [*page.attributes("src"), *page.attributes("srcset"), *page.attributes("href")]
    assert sources
    assert all(source.startswith("data:image/svg+xml;base64,") for source in sources)
    (css,) = page.texts("style")
    assert "url(" not in css
    assert "@import" not in css
    for source in sources:
        svg = base64.b64decode(source.partition(",")[2]).decode()
        links = re.findall(r'(?:href|src)="([^"]*)"', svg)
        assert all(link.startswith("#") for link in links)


def test_the_page_holds_every_part_of_the_document(document: Document, page: Page) -> None:
    assert page.texts("p", "lead") == list(document.summary)
    assert page.texts("p", "warning") == [f"Warning: {warning}" for warning in document.warnings]
    titles = [table.title for table in document.tables]
    assert page.texts("h2") == ["Choose a policy", *titles, "How these figures came about"]
    assert page.texts("figcaption") == [picture.caption for picture in document.pictures]
    cells = [cell for table in document.tables for row in table.for_files().rows for cell in row]
    assert page.texts("td") == cells
    named = [what for what, _ in document.facts]
    chooser = ["GMACs per sample", "top1", "against the last expert"]
    assert page.texts("dt") == [*(each.label for each in document.highlights), *chooser, *named]
    assert page.texts("footer") == ["Made with orxe-plugins 9.8.7"]


def test_the_chosen_policy_is_marked_in_both_tables(page: Page) -> None:
    marked = [i for i, (tag, attrs, _) in enumerate(page.elements) if tag == "tr" and attrs.get("class") == "marked"]
    assert len(marked) == 2
    assert ["".join(page.elements[i + 1][2]) for i in marked] == ["0.50", "0.50"]


def test_numbers_are_aligned_by_their_class(page: Page, document: Document) -> None:
    columns = [column for table in document.tables for column in table.for_files().columns]
    heads = [attrs.get("class") == "number" for tag, attrs, _ in page.elements if tag == "th"]
    assert heads == [column.numeric for column in columns]


def test_pictures_are_drawn_for_light_and_dark_pages(page: Page) -> None:
    assert [attrs["id"] for tag, attrs, _ in page.elements if tag == "figure"] == ["frontier", "shares"]
    sources = [*page.attributes("src"), *page.attributes("srcset")]
    # What scripts draw instead needs no form for phones, nor for dark pages.
    assert len(set(sources)) == len(sources) == 1 + 4
    for source in sources:
        root = ElementTree.fromstring(base64.b64decode(source.partition(",")[2]))
        assert root.tag.endswith("svg")


def test_a_phone_gets_pictures_that_it_shows_whole(
    saver_evaluation: Callable[..., SaverEvaluation], gate_evaluation: Callable[..., GateEvaluation],
    evaluation: Callable[..., Evaluation],
) -> None:  # fmt: skip
    around = Estimate(0.01, 0.0, 0.02)
    documents = [saver_document(saver_evaluation()), gate_document(gate_evaluation(around, [around]))]
    pictures = [picture for each in documents for picture in each.pictures]
    pictures.append(evaluation_document(evaluation()).pictures[1])
    for picture in pictures:
        figure = picture.draw(replace(LIGHT, narrow=True))
        assert figure.get_figwidth() == NARROW_WIDTH
        # Nothing is cut: no text of the figure reaches beyond its borders.
        figure.canvas.draw()
        whole = figure.get_tightbbox()
        assert whole.x0 >= -0.01 and whole.x1 <= NARROW_WIDTH + 0.01
        page = Page(to_html(simple(pictures=(picture,))))
        media = [attrs["media"] for tag, attrs, _ in page.elements if tag == "source"]
        assert sum("max-width" in each for each in media) == 2
        assert "picture" in [attrs.get("class") for tag, attrs, _ in page.elements if tag == "div"]


def test_a_picture_without_a_narrow_form_is_scrolled_on_a_phone() -> None:
    wide = Picture("dots", "dots", lambda theme: new_figure(7, 2))
    page = Page(to_html(simple(pictures=(wide,))))
    assert "picture wide" in [attrs.get("class") for tag, attrs, _ in page.elements if tag == "div"]
    assert not [attrs for tag, attrs, _ in page.elements if tag == "source" and "max-width" in attrs["media"]]


def test_what_a_document_lacks_leaves_no_empty_part() -> None:
    page = Page(to_html(simple(warnings=(), tables=(), pictures=(), facts=())))
    assert {tag for tag, _, _ in page.elements} == {
        "html", "head", "meta", "title", "style", "body", "main", "h1", "p", "footer"
    }  # fmt: skip


def test_an_evaluation_with_a_strange_name_is_escaped(evaluation: Callable[..., Evaluation]) -> None:
    strange = evaluation(names=("<b>small</b>", "medium", "large"), reported_on=Samples("<i>pets</i>", "split", 10))
    text = to_html(evaluation_document(strange))
    assert "&lt;b&gt;small&lt;/b&gt;" in text and "&lt;i&gt;pets&lt;/i&gt;" in text
    assert "<b>" not in text and "<i>" not in text


def test_letters_that_turn_the_text_around_are_seen_as_escapes() -> None:
    turning = "a\u202eb 12"
    page = Page(to_html(simple(title=turning, summary=(turning,), warnings=(turning,))))
    assert page.texts("h1") == page.texts("p", "lead") == ["a\\u202eb 12"]
    assert page.texts("p", "warning") == ["Warning: a\\u202eb 12"]


def test_only_short_cells_stay_on_one_line() -> None:
    rows = (("0.15-0.20", "1"), ("a_class_with_a_very_long_name", "2"))
    table = Table("t", (Column("a", numeric=False), Column("b")), rows)
    page = Page(to_html(simple(tables=(table,))))
    assert [attrs.get("class") for tag, attrs, _ in page.elements if tag == "td"] == ["short", "number", None, "number"]


def test_what_can_be_scrolled_has_a_name(page: Page) -> None:
    for _, attrs, _ in page.elements:
        if attrs.get("tabindex") == "0" and attrs.get("class", "").startswith(("scroll", "picture")):
            assert attrs["role"] in ("region", "group") and attrs["aria-label"]


def test_a_compact_picture_has_the_same_parts_at_the_same_places(evaluation: Callable[..., Evaluation]) -> None:
    figure = evaluation_document(evaluation()).pictures[0].draw(LIGHT)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg")
    whole = buffer.getvalue().decode()
    short = compact(whole)
    assert len(short) < 0.85 * len(whole)
    before, after = (list(ElementTree.fromstring(text).iter()) for text in (whole, short))
    assert [each.tag for each in before] == [each.tag for each in after]
    number = re.compile(r"-?\d+(?:\.\d+)?")
    for one, other in zip(before, after, strict=True):
        assert one.attrib.keys() == other.attrib.keys()
        for name, value in one.attrib.items():
            if name in ("d", "transform", "x", "y"):
                letters = [re.sub(r"[\d.\s-]", "", text) for text in (value, other.attrib[name])]
                assert letters[0] == letters[1]
                places = [float(found) for found in number.findall(value)]
                assert [float(found) for found in number.findall(other.attrib[name])] == pytest.approx(
                    places, abs=0.0051
                )
            else:
                assert other.attrib[name] == value
