"""Print the licence of every installed package, as its metadata states it."""

from __future__ import annotations

from importlib.metadata import Distribution, distributions


def licence_of(package: Distribution) -> str:
    """The licence expression, the classifiers, or the first line of the licence; empty if nothing is stated."""
    meta = package.metadata
    named = [value.rpartition("::")[2].strip() for value in meta.get_all("Classifier") or () if "License ::" in value]
    first = (meta.get("License") or "").strip().splitlines()
    return meta.get("License-Expression") or ", ".join(named) or (first[0][:80] if first else "")


def main() -> None:
    rows = sorted(
        {(str(package.metadata["Name"]), package.version, licence_of(package)) for package in distributions()}
    )
    for name, version, licence in rows:
        print(f"{name:40} {version:16} {licence or 'not stated'}")


if __name__ == "__main__":
    main()
