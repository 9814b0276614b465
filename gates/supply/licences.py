"""The licences of what ships and of the tools, against the allow lists of the policy."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.message import Message
from functools import cache
from pathlib import Path

import boolean  # type: ignore[import-untyped]
import license_expression  # type: ignore[import-untyped]
from packaging.utils import canonicalize_name

from gates.outcome import Accepted, Finding, Outcome
from gates.supply.components import Component, Kind, layer, tools
from gates.supply.errors import SupplyError
from gates.supply.policy import Licences
from gates.supply.repository import Repository
from gates.supply.shipped import layer_metadata

LIST_FILE = "licences.json"
UNKNOWN = "unknown"


@dataclass(frozen=True, order=True)
class Licensed:
    """A component and the licence that it is used under."""

    component: Component
    expression: str
    """In SPDX's words; `unknown` when nothing says it."""
    source: str
    """Who says so."""


class Reader:
    """Finds the licence of each component.

    Args:
        repository: where they are installed.
        licences: what the policy knows of licences.
    """

    def __init__(self, repository: Repository, licences: Licences) -> None:
        self._repository = repository
        self._spelled = {words.lower(): expression for words, expression in licences.spelled.items()}
        self._stated = {str(canonicalize_name(each.package)): each for each in licences.stated}
        self.used: set[str] = set()
        """Packages whose licence the policy had to state."""

    def shipped(self) -> tuple[Licensed, ...]:
        """What the layer holds, by the metadata that ship with it.

        Raises:
            SupplyError: the layer is not built, or the lock file cannot be used.
        """
        metadata = layer_metadata(self._repository.layer)
        return tuple(self._python(component, metadata.get(component.name)) for component in layer(self._repository))

    def tools(self) -> tuple[Licensed, ...]:
        """What is installed here.

        Raises:
            SupplyError: a lock file cannot be used.
        """
        metadata = {
            str(canonicalize_name(one.metadata["Name"])): one.metadata
            for one in importlib.metadata.distributions(path=[str(path) for path in _site_packages(self._repository)])
        }
        return tuple(
            self._python(component, metadata.get(component.name)) if component.kind is Kind.PYTHON else _npm(component)
            for component in tools(self._repository)
        )

    def _python(self, component: Component, metadata: Message | importlib.metadata.PackageMetadata | None) -> Licensed:
        if metadata is None or metadata["Version"] != component.version:
            found = "nothing" if metadata is None else metadata["Version"]
            return Licensed(component, UNKNOWN, f"locked, but installed is {found}: run `make build`")
        expression, source = self._declared(metadata)
        stated = self._stated.get(component.name)
        if expression == UNKNOWN and stated:
            self.used.add(component.name)
            return Licensed(component, stated.expression, f"policy: {stated.reason}")
        return Licensed(component, expression, source)

    def _declared(self, metadata: Message | importlib.metadata.PackageMetadata) -> tuple[str, str]:
        """By the first of the three places that says it clearly."""
        if expression := metadata["License-Expression"]:
            return _normal(str(expression)), "License-Expression"
        words = str(metadata["License"] or "").strip()
        # Some write the whole text there; its first line names it.
        words = words.splitlines()[0].strip() if words else ""
        if found := _normal(self._spelled.get(words.lower(), words), or_else=""):
            return found, "License"
        names = {
            str(one).rpartition(" :: ")[2]
            for one in metadata.get_all("Classifier") or ()
            if str(one).startswith("License :: ")
        }
        known = {self._spelled[name.lower()] for name in names if name.lower() in self._spelled}
        if len(known) == 1:
            return known.pop(), "Classifier"
        return UNKNOWN, "nothing clear in its metadata"


def _npm(component: Component) -> Licensed:
    return Licensed(component, _normal(component.licence or UNKNOWN), component.bundled_in or "package-lock.json")


def _site_packages(repository: Repository) -> list[Path]:
    """Where the packages of an environment's interpreter are."""
    return sorted(repository.python.parent.parent.glob("lib/python3.*/site-packages"))


@cache
def _licensing() -> license_expression.Licensing:
    return license_expression.get_spdx_licensing()


def _normal(text: str, *, or_else: str = UNKNOWN) -> str:
    """An expression as SPDX spells it, or else what is given."""
    if not text:
        return or_else
    found = _licensing().validate(text)
    return or_else if found.errors else str(found.normalized_expression)


def allowed(expression: str, identifiers: Iterable[str]) -> bool:
    """Whether an expression can be met with the licences of a list.

    Args:
        expression: in SPDX's words. Of licences with `OR` between them one has to be allowed, with `AND` all.
        identifiers: the list.
    """
    if expression == UNKNOWN:
        return False
    return _met(_licensing().parse(expression), frozenset(identifiers))


def _met(node: boolean.Expression, identifiers: frozenset[str]) -> bool:
    if isinstance(node, boolean.AND):
        return all(_met(part, identifiers) for part in node.args)
    if isinstance(node, boolean.OR):
        return any(_met(part, identifiers) for part in node.args)
    return str(node) in identifiers


def check(repository: Repository, licences: Licences) -> Outcome:
    """Judge every component, and write the list to `licences.json`.

    Args:
        repository: installed and built.
        licences: the allow lists.

    Raises:
        SupplyError: a lock file cannot be used, the layer is not built, or the policy names no licence.
    """
    _check_identifiers(licences)
    reader = Reader(repository, licences)
    shipped, used_here = reader.shipped(), reader.tools()
    lists: Mapping[str, tuple[tuple[Licensed, ...], tuple[str, ...]]] = {
        "what ships": (shipped, licences.shipped),
        "the tools": (used_here, (*licences.shipped, *licences.tools)),
    }
    findings = [
        Finding(one.component.purl, "licence", f"{one.expression} is not allowed in {where} ({one.source})")
        for where, (components, identifiers) in lists.items()
        for one in components
        if not allowed(one.expression, identifiers)
    ]
    findings += [
        Finding("policy.toml", "stale", f"licences.stated names {one.package}, which says it itself or is not there")
        for one in licences.stated
        if canonicalize_name(one.package) not in reader.used
    ]
    _write(repository.report / LIST_FILE, {"layer": shipped, "tools": used_here})
    counts = f"{len(shipped)} packages ship, {len(used_here)} are tools"
    return Outcome.of(
        findings,
        f"{counts}; {len({one.expression for one in (*shipped, *used_here)})} kinds of licence",
        accepted=[
            Accepted(one.component.purl, one.expression, one.source.removeprefix("policy: "))
            for one in {*shipped, *used_here}
            if one.source.startswith("policy: ")
        ],
        scanned=[one.component.purl for one in shipped],
    )


def _check_identifiers(licences: Licences) -> None:
    known = [*licences.shipped, *licences.tools, *licences.spelled.values()]
    known += [one.expression for one in licences.stated]
    for expression in known:
        if _normal(expression) == UNKNOWN:
            raise SupplyError(f"policy.toml: {expression!r} is no licence: allowed are SPDX identifiers")


def _write(path: Path, lists: Mapping[str, Iterable[Licensed]]) -> None:
    content = {
        name: [
            {"package": one.component.purl, "licence": one.expression, "said by": one.source}
            for one in sorted(components)
        ]
        for name, components in lists.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
