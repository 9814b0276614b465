"""The lock files are read whole, or not at all."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gates.supply import repository
from gates.supply.components import Kind, layer, npm, python_lock, tools
from gates.supply.errors import SupplyError
from gates.supply.repository import Repository, lambda_environment
from services import build
from tests.unit.gates.supply.checkout import Checkout, pin

REAL = Repository()


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
        ("./here \\\n    --hash=sha256:00\n", "lock.txt: './here' is no pin"),
    ],
)
def test_what_is_no_pin_is_one_clear_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SupplyError, match=re.escape(message)):
        read(tmp_path, text)


def test_it_is_known_what_brought_a_package_in(tmp_path: Path) -> None:
    path = tmp_path / "lock.txt"
    path.write_text(pin("alpha", "1.0") + pin("beta", "1.0", via="alpha"), encoding="utf-8")

    alpha, beta = python_lock(path, lambda_environment())

    assert (alpha.direct, beta.direct, beta.needed_by) == (True, False, ("alpha",))


def test_packages_of_npm_have_what_is_bundled_into_them(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path, notices={"left": "** @a/in@2.0 - https://example.com | MIT AND ISC\n"})

    inside, left = npm(checkout.write())

    assert (inside.purl, inside.licence, inside.bundled_in) == ("pkg:npm/%40a/in@2.0", "MIT AND ISC", "left")
    assert (left.kind, left.purl, left.direct) == (Kind.NPM, "pkg:npm/left@1.0.0", True)
    assert left.hashes[0].startswith("sha512:")


def test_what_is_not_installed_cannot_be_looked_into(tmp_path: Path) -> None:
    repository = Checkout(tmp_path).write()
    (tmp_path / "node_modules" / "left").rename(tmp_path / "elsewhere")

    with pytest.raises(SupplyError, match="node_modules/left is not installed: run `make install`"):
        npm(repository)


@pytest.mark.parametrize(("text", "message"), [("{", "is damaged"), (None, "is missing")])
def test_a_lock_of_npm_that_cannot_be_used_is_one_clear_line(tmp_path: Path, text: str | None, message: str) -> None:
    repository = Checkout(tmp_path).write()
    path = tmp_path / "package-lock.json"
    path.unlink() if text is None else path.write_text(text, encoding="utf-8")

    with pytest.raises(SupplyError, match=f"package-lock.json {message}: run `make lock`"):
        npm(repository)


def test_the_layer_is_read_for_what_it_is_built_for() -> None:
    assert repository.LAMBDA_PYTHON == build.LAMBDA_PYTHON
    assert build.LAMBDA_PLATFORM.startswith(repository.LAMBDA_MACHINE)


def test_the_committed_locks_can_be_read_and_name_what_everyone_knows_is_there() -> None:
    assert {"aws-lambda-powertools", "pydantic"} <= {one.name for one in layer(REAL)}
    found = {one.name for one in tools(REAL)}
    assert {"aws-cdk-lib", "aws-cdk", "bandit", "pip-audit", "kingfisher-bin"} <= found
    # And what is bundled into the CDK's tools, which no lock file knows
    assert sum(1 for one in npm(REAL) if one.bundled_in) > 100
