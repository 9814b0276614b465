"""Known vulnerabilities: a vulnerable pin is red, and an audit without an index is never green."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from slipway.gates.outcome import Outcome, StepState
from slipway.supply import audit
from slipway.supply.audit import PLANTABLE_PYTHON, planted_among
from slipway.supply.components import Component, PackageKind, layer, tools
from slipway.supply.errors import SupplyError
from slipway.supply.policy import AcceptedAdvisory, Audit
from unit.supply.checkout import Checkout, metadata

pytestmark = pytest.mark.programs


HERE = Path(__file__).parent
RECORDED = HERE / "recorded"
TODAY = date(2026, 11, 1)
VULNERABLE = {"requests": metadata("requests", "2.19.1")}
FIXED = {"requests": metadata("requests", "2.20.0")}


@pytest.fixture
def asked() -> Iterator[Audit]:
    """Start a server with recorded advisories in a subprocess, since tests cannot open sockets here."""
    with _asked(RECORDED) as found:
        yield found


@pytest.fixture
def knowing_nothing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Audit]:
    folder = tmp_path_factory.mktemp("empty")
    for name in ("osv.json", "npm.json"):
        (folder / name).write_text("{}", encoding="utf-8")
    with _asked(folder) as found:
        yield found


class _asked:  # noqa: N801  # reads as what it gives
    def __init__(self, recorded: Path) -> None:
        command = [sys.executable, str(HERE / "advisories.py"), str(recorded)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Audit:
        assert self._process.stdout is not None
        address = self._process.stdout.readline().strip()
        return Audit(osv=f"{address}/v1/query", npm_registry=address)

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


def python(checkout: Checkout, asked: Audit, *, today: date = TODAY) -> Outcome:
    return audit.python(checkout.write(), asked, today=today)


def javascript(checkout: Checkout, asked: Audit, *, today: date = TODAY) -> Outcome:
    return audit.javascript(checkout.write(), asked, today=today)


# --- With the real tools ---


@pytest.mark.requirement("gates before any account")
def test_vulnerable_python_pin_fails_and_fixed_one_passes(tmp_path: Path, asked: Audit) -> None:
    found = python(Checkout(tmp_path / "red", layer=VULNERABLE), asked)

    assert found.state is StepState.FAILED
    (finding,) = found.findings
    assert (finding.place, finding.rule) == ("pkg:pypi/requests@2.19.1", "PYSEC-2018-28")
    assert finding.message.endswith("(take 2.20.0)")

    fixed = python(Checkout(tmp_path / "green", layer=FIXED), asked)

    assert (fixed.state, fixed.findings) == (StepState.PASSED, ())
    assert "pkg:pypi/requests@2.20.0" in fixed.scanned


@pytest.mark.requirement("gates before any account")
def test_vulnerable_npm_package_fails_and_fixed_one_passes(tmp_path: Path, asked: Audit) -> None:
    # Given a package that is bundled into another, so that no lock file lists it
    bundled = "** lodash@4.17.20 - https://example.com | MIT\n"
    checkout = Checkout(tmp_path / "red", npm={"left": ("1.0.0", "MIT")}, notices={"left": bundled})

    found = javascript(checkout, asked)

    (finding,) = found.findings
    assert finding.rule == "GHSA-35jh-r3h4-6jhm"
    assert finding.message == "high: Command Injection in lodash (in left/node_modules/lodash)"

    fixed = javascript(Checkout(tmp_path / "green", notices={"left": bundled.replace(".20", ".21")}), asked)

    assert (fixed.state, fixed.findings) == (StepState.PASSED, ())


def test_an_index_without_advisories_makes_it_not_done(tmp_path: Path, knowing_nothing: Audit) -> None:
    # Given a mirror that answers, but does not know the planted vulnerability
    of_python = python(Checkout(tmp_path / "python"), knowing_nothing)
    of_npm = javascript(Checkout(tmp_path / "npm"), knowing_nothing)

    assert (of_python.state, of_npm.state) == (StepState.NOT_DONE, StepState.NOT_DONE)
    assert "returned no advisories for flask 0.5" in of_python.summary
    assert "returned no advisories for minimist 1.2.0" in of_npm.summary


@pytest.mark.requirement("gates before any account")
def test_without_an_index_the_audit_is_not_done(tmp_path: Path) -> None:
    # Given a port that nobody listens on
    nobody = Audit(osv="http://127.0.0.1:9/v1/query", npm_registry="http://127.0.0.1:9")

    of_python = python(Checkout(tmp_path / "python"), nobody)
    of_npm = javascript(Checkout(tmp_path / "npm"), nobody)

    assert (of_python.state, of_npm.state) == (StepState.NOT_DONE, StepState.NOT_DONE)
    assert of_python.summary.startswith("not done: pip-audit got no answer")
    assert of_npm.summary.startswith("not done: npm audit got no answer")


def test_the_planted_package_is_not_one_that_the_locks_pin() -> None:
    flask, django = PLANTABLE_PYTHON
    ours = Component(kind=PackageKind.PYTHON, name="Flask", version="3.1.3")

    assert planted_among([]) == flask
    assert planted_among([ours]) == django
    with pytest.raises(SupplyError, match="the locks pin all planted packages, flask, django"):
        planted_among([ours, django])


# --- With recorded answers ---


def answered(checkout: Checkout, *more: dict[str, Any], planted: bool = True) -> Checkout:
    """Return a checkout whose pip-audit answers for its packages, with the given answers for some."""
    repository = checkout.write()
    pins = {(one.name, one.version) for one in layer(repository)}
    pins |= {(one.name, one.version) for one in tools(repository) if one.kind is PackageKind.PYTHON}
    given = {(one["name"], one.get("version")) for one in more} | {(one["name"], None) for one in more}
    dependencies: list[dict[str, Any]] = [
        {"name": name, "version": number, "vulns": []}
        for name, number in sorted(pins)
        if (name, number) not in given and (name, None) not in given
    ]
    if planted:
        dependencies.append({"name": "flask", "version": "0.5", "vulns": [{"id": "PYSEC-2018-66", "fix_versions": []}]})
    checkout.python = checkout.stub("python", json.dumps({"dependencies": [*dependencies, *more], "fixes": []}))
    return checkout


ALPHA = {
    "name": "alpha",
    "version": "1.0",
    "vulns": [{"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["1.1"], "description": "It opens doors."}],
}


def accepted(**more: Any) -> Audit:
    words = {"advisory": "CVE-1", "package": "Alpha", "owner": "platform", "expires": date(2027, 1, 1)}
    words |= {"reason": "the door is one that we never build in", **more}
    return Audit(accepted=(AcceptedAdvisory.model_validate(words),))


def test_an_answer_without_vulnerabilities_is_green(tmp_path: Path) -> None:
    assert python(answered(Checkout(tmp_path)), Audit()).state is StepState.PASSED


def test_advisory_is_accepted_by_any_name_until_expiry(tmp_path: Path) -> None:
    checkout = answered(Checkout(tmp_path), ALPHA)

    assert python(checkout, Audit()).state is StepState.FAILED
    (one,) = python(checkout, accepted(), today=date(2027, 1, 1)).accepted
    assert (one.rule, one.owner, one.expires) == ("PYSEC-1", "platform", date(2027, 1, 1))
    expired = python(checkout, accepted(), today=date(2027, 1, 2))
    assert [finding.rule for finding in expired.findings] == ["PYSEC-1"]
    assert "expired on 2027-01-01 (owner: platform" in expired.findings[0].message


def test_stale_acceptance_fails(tmp_path: Path) -> None:
    found = python(answered(Checkout(tmp_path)), accepted())

    assert [(finding.rule, finding.place) for finding in found.findings] == [("stale", "policy.toml")]


@pytest.mark.parametrize(
    "more",
    [
        {"name": "alpha", "skip_reason": "Dependency not found on PyPI and could not be audited: alpha (1.0)"},
        {"name": "alpha", "version": "0.9", "vulns": []},
    ],
)
def test_a_package_that_got_no_answer_makes_it_not_done(tmp_path: Path, more: dict[str, Any]) -> None:
    found = python(answered(Checkout(tmp_path), more), Audit())

    assert found.state is StepState.NOT_DONE
    assert found.summary.startswith("not done: 1 of 3 packages got no answer")


def test_an_answer_without_the_planted_one_makes_it_not_done(tmp_path: Path) -> None:
    assert python(answered(Checkout(tmp_path), planted=False), Audit()).state is StepState.NOT_DONE


@pytest.mark.parametrize("out", ["", "ERROR: no such host", "{}", '{"dependencies": 1}'])
def test_no_answer_at_all_makes_it_not_done(tmp_path: Path, out: str) -> None:
    checkout = Checkout(tmp_path)
    checkout.python = checkout.stub("python", out, code=1)

    found = python(checkout, Audit())

    assert found.state is StepState.NOT_DONE
    # The packages to audit are listed nevertheless
    assert "pkg:pypi/alpha@1.0" in found.scanned


def test_npm_error_is_reported(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    program = checkout.stub("npm", '{"message": "405 Method Not Allowed", "error": {}}', code=1)
    checkout.environ = {"PATH": f"{program.parent}:{os.defpath}"}

    found = javascript(checkout, Audit())

    assert found.summary == "not done: npm audit got no answer (405 Method Not Allowed)"


def test_npm_counts_one_version_at_two_places_twice(tmp_path: Path, asked: Audit) -> None:
    # Given one version of a package below two others
    checkout = Checkout(tmp_path)
    repository = checkout.write()
    packages: dict[str, Any] = {"": {"name": "small", "version": "1.0.0", "dependencies": {"a": "1.0.0", "b": "1.0.0"}}}
    for name in ("a", "b"):
        packages[f"node_modules/{name}"] = {"version": "1.0.0", "dependencies": {"c": "1.0.0"}}
        packages[f"node_modules/{name}/node_modules/c"] = {"version": "1.0.0"}
    for place in packages:
        (tmp_path / place).mkdir(parents=True, exist_ok=True)
    lock = {"name": "small", "version": "1.0.0", "lockfileVersion": 3, "requires": True, "packages": packages}
    checkout.put("package-lock.json", json.dumps(lock))
    checkout.put("package.json", json.dumps(packages[""]))

    found = audit.javascript(repository, asked, today=TODAY)

    # Then npm counts the places, and the planted vulnerability is found
    assert (found.state, found.summary) == (StepState.PASSED, "3 packages audited")


def test_npm_has_to_audit_every_package(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    answer = {"auditReportVersion": 2, "vulnerabilities": {}, "metadata": {"dependencies": {"total": 1}}}
    program = checkout.stub("npm", json.dumps(answer))
    checkout.environ = {"PATH": f"{program.parent}:{os.defpath}"}

    found = javascript(checkout, Audit())

    assert found.summary == "not done: npm audit asked about 1 of 2 packages"
