"""The licences of the packages that an installation brings, as they state them themselves."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import PackageMetadata, metadata, requires

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# All services and the local stack.
ROOT = "whodex[local]"
_CLASSIFIER = "License :: "


def packages() -> str:
    """A table of every package that `ROOT` needs on this platform, with its version and licence."""
    rows = ["| Package | Version | Licence |", "|---|---|---|"]
    for name in sorted(_needed() - {"whodex"}):
        package = metadata(name)
        rows.append(f"| {name} | {package['Version']} | {_licence(package)} |")
    return "\n".join(rows)


def _needed() -> set[str]:
    seen, waiting = set[tuple[str, str]](), [Requirement(ROOT)]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        for extra in requirement.extras or {""}:
            if (name, extra) not in seen:
                seen.add((name, extra))
                waiting += _requirements(name, extra)
    return {name for name, _ in seen}


def _requirements(name: str, extra: str) -> Iterator[Requirement]:
    for line in requires(name) or ():
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            yield requirement


def _licence(package: PackageMetadata) -> str:
    """Its SPDX expression, else its classifiers, else the first line of its text."""
    expression, classifiers, text = (
        package.get_all(name) or [] for name in ("License-Expression", "Classifier", "License")
    )
    named = [one.split(" :: ")[-1] for one in classifiers if one.startswith(_CLASSIFIER)]
    return next(iter(expression), "") or " or ".join(named) or "".join(text).strip().partition("\n")[0] or "not stated"
