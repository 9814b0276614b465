"""Requirements are rows of TOML, joined with the tests that are marked with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.evidence.errors import EvidenceError
from slipway.evidence.requirements import problems, read_requirements, write_page
from unit.evidence.repository import Repository

OF_SERVICE = """
[[requirement]]
section = "`shop`"
name = "routes"
text = "Two of them."
"""


def test_rows_have_the_tests_that_are_marked_for_them(repository: Repository) -> None:
    required = read_requirements(repository.root)

    assert [(row.name, row.section, row.tests) for row in required.rows] == [
        ("its own KMS key", "Every service", ("tests/unit/test_key.py::test_it_rotates",)),
        (
            "a key that `logs` may not use",
            "What only AWS can show",
            ("tests/unit/test_key.py::TestUse::test_logs_may",),
        ),
    ]
    assert required.rows[0].text == "It rotates; see [the other page](other.md)."
    assert problems(required) == ()


def test_services_rows_precede_faults_and_are_removed_with_it(repository: Repository) -> None:
    file = repository.write("services/shop/requirements.toml", OF_SERVICE)
    repository.write(
        "services/shop/tests/local/test_shop.py",
        'import pytest\n\npytestmark = pytest.mark.requirement("shop: routes")\n',
    )

    assert list(read_requirements(repository.root).sections) == ["Every service", "`shop`", "What only AWS can show"]
    assert (
        "### routes\nTwo of them.\n- request, on the emulator: `services/shop/tests/local/test_shop.py`"
        in write_page(read_requirements(repository.root))
    )

    file.unlink()
    assert problems(read_requirements(repository.root)) == (
        "services/shop/tests/local/test_shop.py is marked for 'shop: routes', which is not a requirement",
    )


def test_shared_test_may_name_a_removed_service(repository: Repository) -> None:
    mark = '@pytest.mark.requirement("gone: routes")'
    repository.write("tests/test_shared.py", f"import pytest\n\n{mark}\ndef test_it(): ...\n")

    assert problems(read_requirements(repository.root)) == ()


def test_the_page_names_rows_without_tests(repository: Repository) -> None:
    repository.edit("tests/unit/test_key.py", '@pytest.mark.requirement("its own KMS key")\n', "")

    required = read_requirements(repository.root)

    assert problems(required) == ("no test shows: its own KMS key",)
    assert "see [the other page](other.md).\n- no test\n- only AWS: that it is" in write_page(required)


def test_marks_on_classes_and_in_lists_count(repository: Repository) -> None:
    repository.write(
        "tests/unit/test_more.py",
        "import pytest\n\n"
        'pytestmark = [pytest.mark.writes, pytest.mark.requirement("its own KMS key")]\n\n'
        '@pytest.mark.requirement("its own KMS key", "a key that `logs` may not use")\nclass TestMore: ...\n',
    )

    rows = read_requirements(repository.root).rows

    assert rows[0].tests[1:] == ("tests/unit/test_more.py", "tests/unit/test_more.py::TestMore")
    assert rows[1].tests[1:] == ("tests/unit/test_more.py::TestMore",)


@pytest.mark.parametrize(
    ("path", "text", "said"),
    [
        ("docs/requirements.toml", "requirement = 1", r"requirements\.toml: requirement: Input should be"),
        ("docs/requirements.toml", "[", r"requirements\.toml cannot be read"),
        ("docs/requirements.toml", '[[requirement]]\nsection = "A"', "requirement.0.name: Field required"),
        ("services/a/requirements.toml", OF_SERVICE + OF_SERVICE, "two requirements are called a: routes"),
        ("tests/test_broken.py", "requirement(", r"test_broken\.py is not valid Python"),
    ],
)
def test_what_cannot_be_read_is_one_line(repository: Repository, path: str, text: str, said: str) -> None:
    repository.write(path, text)

    with pytest.raises(EvidenceError, match=said):
        read_requirements(repository.root)


def test_a_repository_without_rows_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(EvidenceError, match=r"requirements\.toml cannot be read"):
        read_requirements(tmp_path)
