"""Names that exceed AWS's length limits are reported."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from slipway.delivery import names
from slipway.delivery.names import too_long
from slipway.settings import Environment, Settings
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


@pytest.mark.parametrize(
    ("role", "step"),
    [
        (names.verification_step_role, "verify"),
        (names.protection_step_role, "protect"),
        (names.bake_step_role, "bake"),
        (names.attack_step_role, "attack"),
        (names.performance_step_role, "perform"),
        (names.experiment_step_role, "experiment"),
    ],
)
def test_each_step_has_a_role_of_its_name(role: Callable[[Environment], str], step: str) -> None:
    assert role(DEV.model_copy(update={"app": "shop", "name": "preview"})) == f"shop-preview-{step}"


@pytest.mark.parametrize(
    ("kind", "limit"), [("role", 64), ("backup vault", 50), ("source of access logs", 60), ("bucket", 63)]
)
def test_a_name_may_be_as_long_as_its_limit(kind: str, limit: int) -> None:
    # Given service names and bucket prefixes of increasing length
    reported = (
        str(problem)
        for length in range(1, limit)
        for problem in too_long(_of(bucket_prefix="b" * length), ["s" * length])
        if f"the {kind} '" in str(problem)
    )

    # Then the first reported name exceeds the limit by one character
    assert f"has {limit + 1} characters, and AWS allows {limit};" in next(reported)
