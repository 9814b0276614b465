"""Names that AWS refuses for their length."""

from __future__ import annotations

from slipway.delivery.names import too_long
from slipway.settings import Settings
from specimen import DEV, SETTINGS


def _of(**names: str) -> Settings:
    return SETTINGS.model_copy(update={"environments": (DEV.model_copy(update=names),)})


def test_names_of_common_length_are_fine() -> None:
    assert list(too_long(_of(name="preproduction-eu-west", app="acme-checkout"), ["catalog"])) == []


def test_too_long_name_is_reported_with_its_limit() -> None:
    (problem,) = too_long(_of(name="e" * 20, app="a" * 30), ["catalog"])

    role = f"{'a' * 30}-{'e' * 20}-catalog-verification"
    assert f"the role {role!r} has 72 characters, and AWS allows 64" in str(problem)
    assert problem.file == f"{'e' * 20}.toml"


def test_each_kind_of_name_has_its_limit() -> None:
    found = [str(problem) for problem in too_long(_of(name="e" * 32), ["s" * 32])]

    assert [text.split(" '")[0].rpartition("the ")[2] for text in found] == [
        "role",
        "backup vault",
        "source of access logs",
    ]
