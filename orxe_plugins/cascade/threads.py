"""Threads that nobody waits for; a program that ends stops them before Python shuts down."""

from __future__ import annotations

import atexit
import ctypes
import threading
import time
import weakref
from collections.abc import Callable

#: seconds that a program which ends waits for threads, at most; one that hangs in native code does not hear it
_SECONDS = 2.0
_ALL: weakref.WeakSet[Detached] = weakref.WeakSet()


class Detached(threading.Thread):
    """A daemon thread: it keeps no program alive.

    Python ends such a thread where it comes back from native code while Python shuts down. C++ code that lies under it
    cannot bear that, and the whole program aborts. So threads that can be stopped are stopped before.

    Args:
        name: its name.
        work: what it does; None where ``run`` says so.
    """

    def __init__(self, name: str, work: Callable[[], None] | None = None) -> None:
        super().__init__(name=name, target=work, daemon=True)
        _ALL.add(self)

    def stop(self) -> None:
        """Let it end as soon as it runs Python code again."""
        if self.ident is not None:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self.ident), ctypes.py_object(SystemExit))


@atexit.register
def _stop_all() -> None:
    end = time.monotonic() + _SECONDS
    left = [thread for thread in list(_ALL) if thread.is_alive()]
    while left and time.monotonic() < end:
        for thread in left:
            thread.stop()  # again and again: what it runs may catch it
        left[0].join(0.02)
        left = [thread for thread in left if thread.is_alive()]
