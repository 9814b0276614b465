"""Lock files are read completely, or not at all."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from slipway import build
from slipway.supply import repository
from slipway.supply.components import PackageKind, layer, npm, npm_lock_with_bundled, python_lock, tools
from slipway.supply.errors import SupplyError
from slipway.supply.repository import ScannedTree, lambda_environment
from unit.supply.checkout import Checkout, pin

pytestmark = pytest.mark.programs


REAL = ScannedTree()


def read(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "lock.txt"
    path.write_text(text, encoding="utf-8")
    return [f"{one.name} {one.version}" for one in python_lock(path, lambda_environment())]


def test_every_pin_of_this_platform_is_read(tmp_path: Path) -> None:
    text = pin("Alpha", "1.0") + pin("win", "2.0", marker="sys_platform == 'win32'")
    text += pin("old", "3.0", marker="python_full_version < '3.12'") + pin("beta_b", "4.0", marker="os_name == 'posix'")

    assert read(tmp_path, text) == ["alpha 1.0", "beta-b 4.0"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "lock.txt pins nothing: run `make lock`"),
        ("alpha==1.0\n", "lock.txt: 'alpha==1.0' has no hash"),
        ("alpha>=1.0 \\\n    --hash=sha256:00\n", "lock.txt: 'alpha>=1.0' allows more than one version"),
        ("alpha==1.* \\\n    --hash=sha256:00\n", "lock.txt: 'alpha==1.*' allows more than one version"),
        ("./here \\\n    --hash=sha256:00\n", "lock.txt: './here' is not a pin"),
    ],
)
def test_an_invalid_pin_is_reported_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SupplyError, match=re.escape(message)):
        read(tmp_path, text)


def test_requirements_of_a_package_are_known(tmp_path: Path) -> None:
    path = tmp_path / "lock.txt"
    path.write_text(pin("alpha", "1.0") + pin("beta", "1.0", via="alpha"), encoding="utf-8")

    alpha, beta = python_lock(path, lambda_environment())

    assert (alpha.direct, beta.direct, beta.needed_by) == (True, False, (alpha.purl,))


def test_npm_packages_include_bundled_packages(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path, notices={"left": "** @a/in@2.0 - https://example.com | MIT AND ISC\n"})

    inside, left = npm(checkout.write())

    assert (inside.purl, inside.licence, inside.bundled_in) == ("pkg:npm/%40a/in@2.0", "MIT AND ISC", left.purl)
    assert (left.kind, left.purl, left.direct) == (PackageKind.NPM, "pkg:npm/left@1.0.0", True)
    assert left.hashes[0].startswith("sha512:")


LOCK: dict[str, Any] = {
    "": {"dependencies": {"one": "1", "renamed": "npm:real@1", "space": "1"}, "optionalDependencies": {"far": "1"}},
    "node_modules/one": {"version": "1.0.0", "license": "MIT", "dependencies": {"twice": "1", "inner": "1"}},
    "node_modules/one/node_modules/twice": {"version": "1.0.0", "optionalDependencies": {"inner": "1"}},
    "node_modules/one/node_modules/inner": {"version": "1.0.0", "license": "MIT"},
    "node_modules/inner": {"version": "2.0.0", "license": "MIT"},
    "node_modules/renamed": {"name": "real", "version": "1.0.0", "license": ["MIT", {"type": "ISC"}]},
    "node_modules/real": {"version": "2.0.0", "license": {"type": "MIT"}, "peerDependencies": {"twice": "1"}},
    "node_modules/twice": {"version": "1.0.0", "license": "MIT", "optionalDependencies": {"inner": "2"}},
    "node_modules/far": {"version": "1.0.0", "license": "MIT", "optional": True, "os": ["win32"]},
    "node_modules/space": {"resolved": "packages/space", "link": True},
    "packages/space": {"version": "1.0.0", "dependencies": {"real": "2"}},
}
"""A lock file with nested packages, one version at two places, an alias, an optional package, and a workspace."""


@pytest.fixture
def nested(tmp_path: Path) -> ScannedTree:
    checkout = Checkout(tmp_path)
    repository = checkout.write()
    checkout.put("package-lock.json", json.dumps({"lockfileVersion": 3, "packages": LOCK}))
    for place, package in LOCK.items():
        if not package.get("optional"):
            (tmp_path / place).mkdir(parents=True, exist_ok=True)
    return repository


def test_aliased_package_keeps_its_own_name(nested: ScannedTree) -> None:
    found = {one.purl: one for one in npm(nested)}

    assert found["pkg:npm/real@1.0.0"].direct
    assert "pkg:npm/renamed@1.0.0" not in found


def test_version_at_two_places_is_one_component(nested: ScannedTree) -> None:
    (twice,) = [one for one in npm(nested) if one.name == "twice"]

    assert twice.needed_by == ("pkg:npm/one@1.0.0", "pkg:npm/real@2.0.0")


def test_dependency_is_the_version_that_node_finds(nested: ScannedTree) -> None:
    found = {one.purl: one.needed_by for one in npm(nested)}

    assert found["pkg:npm/inner@1.0.0"] == ("pkg:npm/one@1.0.0", "pkg:npm/twice@1.0.0")
    assert found["pkg:npm/inner@2.0.0"] == ("pkg:npm/twice@1.0.0",)


def test_optional_package_of_another_platform_is_listed(nested: ScannedTree) -> None:
    assert "pkg:npm/far@1.0.0" in {one.purl for one in npm(nested)}


def test_dependencies_of_a_workspace_are_direct(nested: ScannedTree) -> None:
    found = {one.name: one for one in npm(nested) if one.version == "2.0.0" or one.name == "space"}

    assert "space" not in found
    assert found["real"].direct


@pytest.mark.parametrize(
    ("said", "licence"),
    [
        ("MIT", "MIT"),
        ({"type": "MIT", "url": "https://example.com"}, "MIT"),
        (["MIT", "ISC"], "(MIT) OR (ISC)"),
        (["MIT", {"type": "ISC"}], "(MIT) OR (ISC)"),
        (["MIT", 1], ""),
        ([], ""),
        ({"url": "https://example.com"}, ""),
        (True, ""),
        (None, ""),
    ],
)
def test_every_form_of_an_npm_licence_is_read(tmp_path: Path, said: object, licence: str) -> None:
    checkout = Checkout(tmp_path)
    repository = checkout.write()
    packages = {"": {}, "node_modules/left": {"version": "1.0.0", "license": said}}
    checkout.put("package-lock.json", json.dumps({"lockfileVersion": 3, "packages": packages}))

    assert [one.licence for one in npm(repository)] == [licence]


def test_bundled_packages_belong_to_their_package(tmp_path: Path) -> None:
    # Given two versions of a package, each with a bundled package
    checkout = Checkout(tmp_path)
    repository = checkout.write()
    places = {"node_modules/tool": "1.0.0", "node_modules/a/node_modules/tool": "2.0.0"}
    packages = {"": {}, **{place: {"version": version} for place, version in places.items()}}
    packages["node_modules/a"] = {"version": "1.0.0"}
    checkout.put("package-lock.json", json.dumps({"lockfileVersion": 3, "packages": packages}))
    (tmp_path / "node_modules" / "a").mkdir(parents=True)
    for place, version in places.items():
        checkout.put(f"{place}/THIRD_PARTY_LICENSES", f"** in@{version} - x | MIT\n")

    lock = npm_lock_with_bundled(repository)["packages"]

    assert {place: lock[f"{place}/node_modules/in"]["version"] for place in places} == places


def test_bundled_packages_need_an_installation(tmp_path: Path) -> None:
    repository = Checkout(tmp_path).write()
    (tmp_path / "node_modules" / "left").rename(tmp_path / "elsewhere")

    with pytest.raises(SupplyError, match="node_modules/left is not installed: run `make install`"):
        npm(repository)


@pytest.mark.parametrize(("text", "message"), [("{", "is damaged"), (None, "is missing")])
def test_unusable_npm_lock_is_reported_in_one_line(tmp_path: Path, text: str | None, message: str) -> None:
    repository = Checkout(tmp_path).write()
    path = tmp_path / "package-lock.json"
    path.unlink() if text is None else path.write_text(text, encoding="utf-8")

    with pytest.raises(SupplyError, match=f"package-lock.json {message}: run `make lock`"):
        npm(repository)


def test_the_layer_is_read_for_its_target_platform() -> None:
    assert repository.LAMBDA_PYTHON == build.LAMBDA_PYTHON
    assert build.LAMBDA_PLATFORM.startswith(repository.LAMBDA_MACHINE)


def test_committed_locks_contain_well_known_packages() -> None:
    assert {"aws-lambda-powertools", "pydantic"} <= {one.name for one in layer(REAL)}
    found = {one.name for one in tools(REAL)}
    assert {"aws-cdk-lib", "aws-cdk", "bandit", "pip-audit", "kingfisher-bin"} <= found
    # Packages bundled into the CDK's tools, which no lock file lists
    assert sum(1 for one in npm(REAL) if one.bundled_in) > 100
