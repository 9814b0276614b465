"""Check the licences of shipped packages and of tools against the allow lists of the policy."""

from __future__ import annotations

import importlib.metadata
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.message import Message
from functools import cache
from pathlib import Path

import boolean  # type: ignore[import-untyped]
import license_expression  # type: ignore[import-untyped]
from packaging.utils import canonicalize_name

from slipway.gates.outcome import Accepted, Finding, Outcome
from slipway.supply.components import Component, PackageKind, layer, tools
from slipway.supply.errors import SupplyError
from slipway.supply.policy import Licences, known_facts
from slipway.supply.repository import ScannedTree
from slipway.supply.shipped import layer_metadata

LIST_FILE = "licences.json"
UNKNOWN = "unknown"

# Classifiers that name a family: a package's `License` may say which of it.
_GENERIC = {"BSD License": "BSD-"}
_APPROVALS = {"License :: OSI Approved", "License :: DFSG approved"}
_SEPARATORS = re.compile(r"[,;/&()]|\band\b|\bor\b", re.IGNORECASE)
_SHOWN = 60


@dataclass(frozen=True, order=True)
class Licensed:
    """A component and the licence that it is used under."""

    component: Component
    expression: str
    """SPDX expression; `unknown` if there is no statement."""
    source: str
    """Source of the statement."""


class Reader:
    """Finds the licence of each component.

    Args:
        repository: The checkout that they are installed in.
        licences: The policy's licences.
    """

    def __init__(self, repository: ScannedTree, licences: Licences) -> None:
        self._repository = repository
        known = known_facts()
        self._spelled = {words.lower(): found for words, found in (known.spelled | licences.spelled).items()}
        self._stated = {str(canonicalize_name(each.package)): each for each in (*known.stated, *licences.stated)}
        self.used: set[str] = set()
        """Packages whose licence the tool or the policy had to state."""

    def shipped(self) -> tuple[Licensed, ...]:
        """Return the layer's packages, by their shipped metadata.

        Raises:
            SupplyError: The layer is not built, or the lock file cannot be used.
        """
        metadata = layer_metadata(self._repository.layer)
        return tuple(self._python(component, metadata.get(component.name)) for component in layer(self._repository))

    def tools(self) -> tuple[Licensed, ...]:
        """Return the packages installed here.

        Raises:
            SupplyError: A lock file cannot be used.
        """
        metadata = {
            str(canonicalize_name(one.metadata["Name"])): one.metadata
            for one in importlib.metadata.distributions(path=[str(path) for path in _site_packages(self._repository)])
        }
        return tuple(
            self._python(component, metadata.get(component.name))
            if component.kind is PackageKind.PYTHON
            else _npm(component)
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
        """Return the licence in the metadata, with its source; `unknown` if two places contradict each other.

        `License-Expression` alone settles it (https://peps.python.org/pep-0639/). Of the older fields each has to agree
        with the others: a package with classifiers of two licences may be under either or under both.
        """
        if expression := metadata["License-Expression"]:
            return _normal(str(expression)), "License-Expression"
        text = str(metadata["License"] or "").strip()
        # Some packages put the whole text there; its first line names the licence.
        line = text.splitlines()[0].strip() if text else ""
        said = self._spelled_out(line)
        classifiers = _classifiers(metadata)
        if said:
            others = [name for name in classifiers if not self._agrees(name, said)]
            if others:
                return UNKNOWN, f"License says {said}, a classifier {others[0]!r}"
            return said, "License"
        named = {self._spelled_out(name) or name for name in classifiers}
        if len(named) != 1:
            return (
                UNKNOWN,
                f"classifiers of several: {', '.join(sorted(named))}" if named else "nothing in its metadata",
            )
        (name,) = named
        contradicting = self._licences_in(line) - {name}
        if contradicting:
            return UNKNOWN, f"License says {line[:_SHOWN]!r}, a classifier {name!r}"
        return (name, "Classifier") if _normal(name) == name else (UNKNOWN, f"a classifier says {name!r}")

    def _spelled_out(self, words: str) -> str:
        """Return the SPDX expression that a package's own words mean; empty if they aren't clear."""
        return _normal(self._spelled.get(words.lower(), words), or_else="")

    def _agrees(self, classifier: str, expression: str) -> bool:
        """Return True if a classifier says the same as an expression, or less of it."""
        generic = _GENERIC.get(classifier)
        named = self._spelled_out(classifier)
        symbols = [str(symbol) for symbol in _licensing().license_symbols(_licensing().parse(expression))]
        return any(symbol.startswith(generic) if generic else symbol == named for symbol in symbols)

    def _licences_in(self, line: str) -> set[str]:
        """Return the licences named in a line that isn't an SPDX expression, such as `MIT / GPL`."""
        return {found for part in _SEPARATORS.split(line) if (found := self._spelled_out(part.strip()))}


def _classifiers(metadata: Message | importlib.metadata.PackageMetadata) -> list[str]:
    """Return the names of a package's licence classifiers, without those that only say who approved it."""
    found = [str(one) for one in metadata.get_all("Classifier") or ()]
    return sorted(one.rpartition(" :: ")[2] for one in found if one.startswith("License :: ") and one not in _APPROVALS)


def _npm(component: Component) -> Licensed:
    return Licensed(component, _normal(component.licence or UNKNOWN), component.bundled_in or "package-lock.json")


def _site_packages(repository: ScannedTree) -> list[Path]:
    """Return the folder of packages of an environment's interpreter."""
    return sorted(repository.python.parent.parent.glob("lib/python3.*/site-packages"))


@cache
def _licensing() -> license_expression.Licensing:
    return license_expression.get_spdx_licensing()


def _normal(text: str, *, or_else: str = UNKNOWN) -> str:
    """Return an expression as SPDX spells it, or else what is given."""
    # Not with `validate`: it raises AttributeError for text that it cannot split into words, such as "MIT, GPL".
    try:
        found = _licensing().parse(text, strict=True)
    except license_expression.ExpressionError:
        return or_else
    if found is None or _licensing().unknown_license_keys(found):
        return or_else
    return str(found.render())


def allowed(expression: str, identifiers: Iterable[str]) -> bool:
    """Return True if an expression can be satisfied with the licences in a list.

    Args:
        expression: SPDX expression. With `OR` one licence must be allowed, with `AND` all of them.
        identifiers: The list.
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


def check(repository: ScannedTree, licences: Licences) -> Outcome:
    """Check every component, and write the list to `licences.json`.

    Args:
        repository: Installed and built.
        licences: The allow lists.

    Raises:
        SupplyError: A lock file cannot be used, the layer is not built, or the policy names no licence.
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
        Finding(
            "policy.toml",
            "stale",
            f"licences.stated names {one.package}, which states its licence itself or is missing; remove the entry",
        )
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
            raise SupplyError(f"policy.toml: {expression!r} is not a licence; use SPDX identifiers")


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
