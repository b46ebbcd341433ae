"""What loading a file of others would run, fetch or read, and what this user has trusted before.

A :class:`Risk` has a key that is made of contents and addresses: what was trusted is not trusted any more once its
content is another one. To read a file outside of the folder that it came with, the user must have used a file beside it
before: until then nobody looks there, not even for what it holds.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_data_path

from orxe_plugins.errors import OrxeError
from orxe_plugins.util.content import tree_fingerprint
from orxe_plugins.util.files import write_text

#: environment variable that names another folder for what was trusted
TRUST_VARIABLE = "ORXE_TRUSTED"
_LOGGER = logging.getLogger(__name__)
_TRUSTING: ContextVar[bool] = ContextVar("orxe_trusting", default=False)


@dataclass(frozen=True)
class Origin:
    """The file that something was read from.

    Attributes:
        name: what messages call it.
        folder: the folder that its files may lie in; None allows none.
    """

    name: str
    folder: Path | None = None


@dataclass(frozen=True)
class Risk:
    """One thing that loading an expert would do.

    Attributes:
        what: in words, such as "unpickles 'best.pt', which runs any code in it".
        key: fingerprint of what it depends on.
        path: the file or folder that is read; None for an address.
        runs: whether it runs code or fetches something; else it only reads ``path``, which is harmless in the folder
            that the caller named.
    """

    what: str
    key: str
    path: Path | None = None
    runs: bool = True

    @classmethod
    def of_path(cls, what: str, path: Path, runs: bool = True) -> Risk:
        """A risk that a file or folder brings; it goes by the content."""
        try:
            content = tree_fingerprint(path)
        except OSError:
            content = str(path)  # it is not there: loading says so
        return cls(what, _hash("file" if runs else "read", content), path, runs)

    @classmethod
    def of_place(cls, what: str, path: str) -> Risk:
        """A risk that reading a file brings, whatever is in it; it goes by the folder of the file, and nothing is read.

        A ``~`` and links stay as they are written.
        """
        return cls(what, _hash("place", str(Path(os.path.abspath(path)).parent)))  # noqa: PTH100

    @classmethod
    def of_text(cls, what: str, *text: str) -> Risk:
        """A risk that an address, a name or an option brings; it goes by these texts."""
        return cls(what, _hash("text", *text))


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


@contextlib.contextmanager
def trusting() -> Iterator[None]:
    """Inside of this ``with`` block, what is loaded is trusted: it may run its code and fetch from its addresses.

    For calls that have no argument ``trust``, such as those of a framework::

        with orxe_plugins.trusting():
            model = timm.create_model("local-dir:FOLDER")
    """
    token = _TRUSTING.set(True)
    try:
        yield
    finally:
        _TRUSTING.reset(token)


def is_trusting() -> bool:
    """Whether the caller is inside of :func:`trusting`."""
    return _TRUSTING.get()


def check_trusted(risks: Iterable[Risk], origin: Origin) -> None:
    """Raise unless the user has trusted each of these risks before.

    Raises:
        OrxeError: with what would run or be fetched, and how to allow it.
    """
    unknown = [risk for risk in dict.fromkeys(risks) if not is_remembered(risk)]
    if not unknown or is_trusting():
        return
    listed = "; ".join(risk.what for risk in unknown)
    raise OrxeError(
        f"{origin.name} is not trusted, and loading it would do what only trusted files may: {listed}. If you trust "
        "where it comes from, add --trust on the command line, or trust=True to the call (docs/security.md)"
    )


def remember(risks: Iterable[Risk]) -> None:
    """Trust these risks from now on, for this user. Where nothing can be kept, it is asked again."""
    for risk in dict.fromkeys(risks):
        path = trusted_folder() / risk.key
        try:
            if not path.is_file():
                write_text(path, f"{risk.what}\n")
        except OSError as error:
            _LOGGER.debug("cannot remember what is trusted in %s: %s", path.parent, error)


def is_remembered(risk: Risk) -> bool:
    """Whether this user has trusted it before."""
    return (trusted_folder() / risk.key).is_file()


def trusted_folder() -> Path:
    """Where what was trusted is kept: ``ORXE_TRUSTED`` if it is set, else in the user's data folder for ``orxe``."""
    chosen = os.environ.get(TRUST_VARIABLE)
    return Path(chosen) if chosen else user_data_path("orxe", appauthor=False) / "trusted"
