"""Ways to spoil a file: bytes of any kind, and values of JSON and YAML one by one."""

from __future__ import annotations

import json
from copy import deepcopy
from random import Random
from typing import Any

import yaml

#: what stands in files of people who mean harm, or who slipped
ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1e308, float("nan"), float("inf"), 10**30, 10**400, "", "x", "0.5", "1e999", [], {}, [[]],
    [None], {"": None}, [0] * 1000, "a" * 5000, "\0", "\ud800", "٣", "[" * 2000, "{out}", "999999999999", -0.0, 2**63,
    {"kind": "ranking_gate", "file": "x"}, {"address": "made:x"}, 1_000_000_000,
)  # fmt: skip
PATHS: tuple[Any, ...] = (
    "../../../../etc/passwd", "/etc/passwd", "..", "/", ".", "~/x", "https://example.com/x.pt", "file:///etc/passwd",
    "ultralytics:https://example.com/x.pt", "mmdet:../config.py", "timm:hf-hub:a/b", "C:\\x", "//server/share/x.png",
    "/dev/zero", "/proc/self/mem", "made:../x",
)  # fmt: skip
_BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
_BOMBS = (
    _BOMB + "".join(f"{y}: &{y} [{','.join([f'*{x}'] * 8)}]\n" for x, y in zip("bcdefgh", "cdefghi", strict=True)),
    "experts: &x [*x]\n",
    "a: " + "[" * 3000,
    "[" * 100_000,
    '{"a":' * 50_000,
    "!!python/object/apply:os.system ['true']",
    "&a [*a, *a]",
)  # fmt: skip


def spoiled(data: bytes, values: str, paths: bool, rng: Random) -> bytes:
    """A file's content with one to four faults."""
    if values and rng.random() < 0.6:
        text = _values(data, values, paths, rng)
        if text is not None:
            return text
    if values and rng.random() < 0.05:
        return rng.choice(_BOMBS).encode()
    for _ in range(rng.randint(1, 4)):
        data = _bytes(data, rng)
    return data


def _bytes(data: bytes, rng: Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    length = min(rng.choice((1, 1, 2, 4, 16, 64)), len(data) - at)
    kind = rng.randrange(7)
    if kind == 0 and data:
        at = min(at, len(data) - 1)
        return data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :]
    if kind == 1:
        return data[:at] + rng.randbytes(length) + data[at + length :]
    if kind == 2:
        return data[:at]
    if kind == 3:
        return data[:at] + data[at + length :]
    if kind == 4:
        return data[:at] + data[at : at + length] * rng.choice((2, 3, 50)) + data[at + length :]
    if kind == 5:
        piece = rng.choice(
            (b"\xff\xfe", b"\0\0\0\0", b"9" * 5000, b" " * 3000, b"\n", b"nan", b"-1", b"1e999", b"\xc3")
        )
        return data[:at] + piece + data[at:]
    return rng.randbytes(rng.randrange(64)) if rng.random() < 0.2 else data[at:] + data[:at]


def _values(data: bytes, kind: str, paths: bool, rng: Random) -> bytes | None:
    content = json.loads(data) if kind == "json" else yaml.safe_load(data)
    try:
        for _ in range(rng.randint(1, 3)):
            _change(content, rng, paths)
        text = json.dumps(content) if kind == "json" or rng.random() < 0.5 else yaml.safe_dump(content)
        # Values in values in values: a file of gigabytes says nothing of a format.
        return text.encode("utf-8", "surrogatepass") if len(text) < 2**20 else None
    # Several deep values in one another: nothing here can copy or write them, though a file may hold them.
    except (ValueError, RecursionError, yaml.YAMLError):
        return None


def _change(content: Any, rng: Random, paths: bool) -> None:
    found = places(content)
    if not found:
        return
    holder, key = rng.choice(found)
    odd = rng.choice(PATHS) if paths and rng.random() < 0.25 else deepcopy(rng.choice(ODD))
    kind = rng.randrange(6)
    if kind == 0:
        del holder[key]
    elif kind == 1 and isinstance(holder, dict):
        holder[str(odd)[:40] if isinstance(odd, str) else "surplus"] = holder[key]
    elif kind == 2 and isinstance(holder, list):
        holder.extend(deepcopy([holder[key]] * rng.choice((1, 5, 200))))
    elif kind == 3:
        deep: Any = odd
        for _ in range(rng.choice((2, 50, 400))):
            deep = [deep]
        holder[key] = deep
    else:
        holder[key] = odd


def places(content: Any) -> list[tuple[Any, Any]]:
    """Every value in plain values, by what holds it and its key there."""
    found: list[tuple[Any, Any]] = []
    waiting = [content]
    while waiting:
        part = waiting.pop()
        keys = list(part) if isinstance(part, dict) else range(len(part)) if isinstance(part, list) else []
        for key in keys:
            found.append((part, key))
            waiting.append(part[key])
    return found
