"""Write docs/recipes.md, the reference of a recipe's keys, out of the classes that check them.

python docs/make_recipes.py           # writes the page
python docs/make_recipes.py --check   # exit status 1 if the page is not up to date
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from orxe_plugins.experts.spec import ExpertSpec
from orxe_plugins.run import recipe as keys

PAGE = Path(__file__).with_name("recipes.md")
#: each section: its heading, the class, and a sentence
SECTIONS: tuple[tuple[str, type, str], ...] = (
    ("The recipe", keys.Recipe, ""),
    ("`data`", keys.Data, ""),
    ("`data.split`", keys.Split, ""),
    ("`experts`", ExpertSpec, "A plain text is an address. Options of each adapter: the pages of the frameworks."),
    ("`record`", keys.Recording, ""),
    ("`cost`", keys.CostChoice, "See [choosing.md](choosing.md)."),
    ("`gates`", keys.Gates, "See [gates.md](gates.md)."),
    ("`select_pool`", keys.PoolChoice, ""),
    ("`select_saver`", keys.SaverChoice, ""),
    ("`promise`", keys.PromiseWish, "See [choosing.md](choosing.md)."),
    ("`regulariser`", keys.Regulariser, "See [search.md](search.md)."),
)
#: defaults that the reader of the file fills in
_DEFAULTS = {(keys.Recipe, "name"): "the file's"}
#: keys that no user writes
_HIDDEN = {(keys.Recipe, "folder"), (ExpertSpec, "origin")}
#: kinds of values that are made into others as they are read
_KINDS = {(keys.Recipe, "confidence"): "text or keys with values", (keys.Recipe, "cost"): "text or keys below"}

HEAD = """\
# Recipes: all keys

<!-- Written by docs/make_recipes.py out of the classes that check a recipe: change those. -->

A recipe is one YAML file. `orxe init` writes one with comments; this is the shortest one that runs:

```yaml
data: {root: "{data}"}
experts: [timm:resnet18, timm:resnet50]
```

- `{data}` is what `--data` names, `{out}` the folder of the results, `{recipe}` the recipe's own folder.
- Results lie in `runs/NAME`, by the recipe's `name`, unless `--out` says otherwise.
- Any key can be changed for one run: `orxe run mine.yaml data.split.fit=0.3 experts.large.options.input_size=288`. An
  entry of a list is named by its `name` or its number.
- What a classifier sees of an image is said by `orxe check` and in the report. If it is not what the model was trained
  on, its answers are poor and nothing fails: change it by the `options` of the expert. timm takes `input_size`, `mean`,
  `std`, `interpolation`, `crop_pct`, `crop_mode` and what `timm.create_model` takes, as `pad_type`; torchvision takes
  `input_size`, `resize_size`, `mean`, `std`, `interpolation`; Ultralytics takes `imgsz`.
- A key that does not exist, stands twice or has a value of the wrong kind is an error that names it.
- A run that finds other records in its folder (other weights, options or images) stops and says so. `--fresh` records
  again what differs and keeps the rest, `--fresh-all` records everything again.
"""


def page() -> str:
    """The page's text."""
    parts = [HEAD]
    for heading, kind, sentence in SECTIONS:
        rows = [f"| `{key}` | {what} | {default} | {text} |" for key, what, default, text in _rows(kind)]
        table = "\n".join(["| key | value | default | meaning |", "|---|---|---|---|", *rows])
        parts.append("\n\n".join(filter(None, [f"## {heading}", sentence, table])) + "\n")
    return "\n".join(parts)


def _rows(kind: type) -> Iterator[tuple[str, str, str, str]]:
    described = _described(kind)
    for name, annotation, default in _fields(kind):
        key = _alias(kind, name)
        if (kind, name) not in _HIDDEN:
            text = _DEFAULTS.get((kind, name)) or _default_text(default)
            what = _KINDS.get((kind, name)) or _kind_text(annotation)
            yield key, what, text, _cell(described.get(name, ""))


def _fields(kind: type) -> Iterator[tuple[str, Any, Any]]:
    if issubclass(kind, BaseModel):
        for name, field in kind.model_fields.items():
            yield name, field.annotation, _default_of(field)
        return
    hints = get_type_hints(kind)
    for one in dataclasses.fields(kind):
        factory = one.default_factory
        default = one.default if factory is dataclasses.MISSING else factory()
        yield one.name, hints[one.name], PydanticUndefined if default is dataclasses.MISSING else default


def _default_of(field: FieldInfo) -> Any:
    return field.get_default(call_default_factory=True)


def _alias(kind: type, name: str) -> str:
    field = kind.model_fields.get(name) if issubclass(kind, BaseModel) else None
    return (field.alias if field is not None else None) or name


def _described(kind: type) -> dict[str, str]:
    """What the docstring's Attributes say of each field."""
    text = inspect.getdoc(kind) or ""
    _, _, listed = text.partition("Attributes:\n")
    entries = re.findall(r"^    (\w[\w, ]*): (.*(?:\n(?:        .*|$))*)", listed, re.MULTILINE)
    return {name.strip(): " ".join(what.split()) for names, what in entries for name in names.split(",")}


def _cell(text: str) -> str:
    """A docstring's words for readers of Markdown."""
    text = re.sub(r":\w+:`~?([\w. ]*\.)?(\w+)(?: <[^>]*>)?`", r"`\2`", text).replace("``", "`")
    text = text.replace("|", "\\|").strip()
    return f"{text[:1].upper()}{text[1:].rstrip('.')}" if text else ""


def _kind_text(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kind_text(arguments[0])
    if origin in (Union, types.UnionType):
        kinds = [_kind_text(part) for part in arguments if part is not type(None)]
        return " or ".join(dict.fromkeys(kinds))
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if origin in (list, tuple):
        return f"list of {_plural(_kind_text(arguments[0]))}"
    if origin in (dict, Mapping) or annotation in (dict, Mapping) or str(origin).endswith("Mapping'>"):
        return "keys with values"
    plain = {str: "text", int: "whole number", float: "number", bool: "true or false", Path: "path"}
    if annotation in plain:
        return plain[annotation]
    return "keys below" if isinstance(annotation, type) else "any"


def _plural(text: str) -> str:
    return {"keys below": "entries", "keys with values": "entries"}.get(text, f"{text}s")


def _default_text(default: Any) -> str:
    if default is PydanticUndefined:
        return "needed"
    if default is None or default in ("", [], {}):
        return ""
    if isinstance(default, BaseModel):
        return ""
    if isinstance(default, list) and len(default) > 6:
        return f"{default[0]:g}, {default[1]:g}, … {default[-1]:g}"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return f"`{default}`"


def main(arguments: list[str]) -> int:
    """Write the page, or check it."""
    if arguments == ["--check"]:
        return int(PAGE.read_text(encoding="utf-8") != page())
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
