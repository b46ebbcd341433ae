"""Read spoiled files under watch: ``python run_fuzz.py COUNT SEED [FORMAT...]`` prints what came of it as JSON.

A format fails where reading raises anything but an OrxeError, takes more than five seconds or a gigabyte, opens a file
outside of its folder, starts a program, connects, or imports or executes what does not belong to an installed package.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import sys
import sysconfig
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from random import Random
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from formats import FORMATS, Format, OrxeError, register
from spoil import spoiled

_SECONDS, _BYTES = 5.0, 2**30
_FORBIDDEN = ("subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.fork", "socket.", "pty.", "ctypes.dlopen",
              "shutil.", "webbrowser.", "urllib.", "ftplib.", "code.")  # fmt: skip
_CHANGES = ("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.chmod", "os.truncate")


class Watch:
    """Notes what happens between ``start`` and ``stop``."""

    def __init__(self) -> None:
        self.folder = ""
        self.seen: list[str] = []
        self.armed = False
        package = Path(sys.modules["orxe_plugins"].__file__ or "").parents[1]
        installed = {sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib")}
        places = [*installed, sys.prefix, sys.base_prefix, package, *filter(None, sys.path)]
        self.allowed = tuple(dict.fromkeys(os.path.realpath(place) + os.sep for place in places))
        sys.addaudithook(self._hook)

    def start(self, folder: Path) -> None:
        self.folder, self.seen, self.armed = os.path.realpath(folder) + os.sep, [], True

    def stop(self) -> list[str]:
        self.armed = False
        return self.seen

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.armed:
            return
        if event.startswith(_FORBIDDEN) and not event.startswith("socket.gethostname"):
            self.seen.append(f"{event}{arguments!r:.200}")
        elif event in ("open", *_CHANGES, "exec") and arguments:
            place = arguments[0].co_filename if event == "exec" else arguments[0]
            if not isinstance(place, (str, bytes)):
                return
            self.armed = False
            try:
                if not self._belongs(os.fsdecode(place), event):
                    self.seen.append(f"{event} {place!r:.200}")
            finally:
                self.armed = True

    def _belongs(self, place: str, event: str) -> bool:
        if event == "exec":
            # What libraries build for themselves, such as dataclasses and named tuples.
            return place.startswith("<") or os.path.realpath(place).startswith(self.allowed)
        real = os.path.realpath(place)
        readable = (*self.allowed, "/usr/", "/lib/", "/sys/", "/proc/") if event == "open" else ()
        return (real + os.sep).startswith((self.folder, *readable)) or place in ("/dev/null", "/dev/urandom")


def check(form: Format, made: Path, count: int, seed: str, watch: Watch) -> dict[str, Any]:
    """Read ``count`` spoiled files of one format."""
    rng = Random(seed)
    made.mkdir(parents=True)
    file = form.make(made)
    good = file.read_bytes()
    form.read(made)  # whatever is imported when a good file is read
    valid, failures, slowest, peak = 0, [], 0.0, _peak()
    for number in range(count):
        data = spoiled(good, form.values, form.paths, rng)
        file.write_bytes(data)
        start = time.perf_counter()
        problem = ""
        watch.start(made)
        try:
            form.read(made)
            valid += 1
        except OrxeError as error:
            if not str(error):
                problem = "an error without a message"
        except BaseException as error:
            frame = traceback.extract_tb(error.__traceback__)[-1]
            problem = f"{type(error).__name__}: {error!s:.200} ({Path(frame.filename).name}:{frame.lineno})"
        finally:
            seen = watch.stop()
        seconds = time.perf_counter() - start
        slowest = max(slowest, seconds)
        problem = problem or "; ".join(seen) or (f"took {seconds:.1f} s" if seconds > _SECONDS else "")
        if _peak() - peak > _BYTES:
            problem, peak = problem or "took more than a gigabyte", _peak()
        if problem:
            failures.append({"number": number, "problem": problem, "data": repr(data[:600])})
    return {"files": count, "valid": valid, "refused": count - valid - len(failures), "slowest": round(slowest, 2),
            "failures": failures}  # fmt: skip


def main(count: int, seed: str, names: list[str]) -> None:
    warnings.simplefilter("ignore")
    register()
    watch = Watch()
    results = {}
    folder = Path(tempfile.mkdtemp(prefix="orxe-fuzz-"))
    os.chdir(folder)
    # Whatever goes wrong, the machine stays usable: much less than it has, beside what libraries have mapped so far.
    limit = _mapped() + 6 * _BYTES
    output, sys.stdout = sys.stdout, sys.stderr  # for the results alone, whatever a package prints
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for name in names or list(FORMATS):
        made = folder / name.replace(" ", "-")
        results[name] = check(FORMATS[name], made, count, f"{seed}-{name}", watch)
        print(name, file=sys.stderr, flush=True)
    shutil.rmtree(folder)
    print(json.dumps(results), file=output)


def _mapped() -> int:
    """Bytes of addresses that the process has."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except OSError:
        return 32 * _BYTES


def _peak() -> int:
    """The most bytes that the process has had in memory."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
