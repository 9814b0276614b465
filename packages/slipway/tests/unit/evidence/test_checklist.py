"""Checklists: a yes needs code and a test, and a claim without proof is reported."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from slipway import project
from slipway.evidence.checklist import FILES, QUESTIONS, ChecklistAnswer, answers_to, load_checklist, problems
from slipway.evidence.errors import EvidenceError
from slipway.evidence.sources import Sources
from unit.evidence.repository import CHECKLIST, Repository

ROOT = project.ROOT


def test_every_entry_of_architecture_and_lens_is_present() -> None:
    pipeline, lens = (load_checklist(QUESTIONS / name, *answers_to(name)) for name in FILES)

    assert [group.name for group in pipeline.groups] == [
        "Local Development",
        "Source",
        "Build",
        "Test (Beta)",
        "Test (Gamma)",
        "Prod",
    ]
    assert {entry.weight for entry in pipeline.entries} == {"required", "recommended"}
    questions = [re.match(r"[A-Z]+ \d", group.name) for group in lens.groups]
    assert [found and found[0] for found in questions] == [
        *("OPS 1", "OPS 2", "SEC 1", "SEC 2", "SEC 3", "REL 1", "REL 2", "PERF 1", "COST 1"),
    ]
    assert {entry.weight for entry in lens.entries} == {"required", "good", "best"}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            'code = [{ path = "blocks/key.py", symbol = "Key.rotate" }]\n',
            "",
            "Unit Tests: a yes names the code",
        ),
        ('tests = ["tests/unit/test_key.py::test_it_rotates"]\n', "", "Unit Tests: a yes names the code"),
        ('answer = "yes"', 'answer = "no"', "Unit Tests: only a yes names code and tests"),
        ('answer = "yes"', 'answer = "maybe"', "group.0.entry.0.answer: Input should be 'yes', 'no' or 'not here'"),
        ("Nothing puts load on it.", "No.", "group.0.entry.1.says: explain in a sentence"),
        ("Performance Tests", "Unit Tests", "Build: Unit Tests appears twice"),
        ('weight = "required"', "", "group.0.entry.0.weight: Field required"),
        ('note = "Of one entry."', 'note = "Of one entry."\nwaight = 1', "waight: Extra inputs are not permitted"),
        ("https://example.com", "example.com", "source: String should match"),
        ("[[group]]", "[[group", "is not valid TOML"),
    ],
)
def test_invalid_checklist_is_one_line_with_its_file(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in CHECKLIST
    path = tmp_path / "list.toml"
    path.write_text(CHECKLIST.replace(old, new), encoding="utf-8")

    with pytest.raises(EvidenceError) as raised:
        load_checklist(path)

    assert str(raised.value).startswith(f"{path}")
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_missing_checklist_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(EvidenceError, match=r"none\.toml cannot be read"):
        load_checklist(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("claimed", "said"),
    [
        ("tests/unit/test_key.py::test_nothing", "tests/unit/test_key.py has no test test_nothing"),
        ("tests/unit/test_lock.py::test_it_rotates", "tests/unit/test_lock.py does not exist"),
        ("tests/unit/test_key.py", "tests/unit/test_key.py names no test, only a file"),
        (
            "blocks/key.py::Key",
            "blocks/key.py::Key is not the id of a test",
        ),
        ("tests/unit/test_key.py::TestUse::test_it_rotates", "has no test TestUse::test_it_rotates"),
        ("tests/unit/../unit/test_key.py::test_it_rotates", "is not the id of a test"),
    ],
)
def test_a_test_that_does_not_exist_is_no_proof(repository: Repository, claimed: str, said: str) -> None:
    path = repository.write(
        "list.toml", CHECKLIST.replace('tests = ["tests/unit/test_key.py::test_it_rotates"]', f'tests = ["{claimed}"]')
    )

    (problem,) = problems(load_checklist(path), Sources(repository.root))

    assert problem.startswith("Unit Tests: ")
    assert problem.endswith(said)


@pytest.mark.parametrize(
    ("path", "symbol", "said"),
    [
        (
            "blocks/lock.py",
            "Key",
            "blocks/lock.py does not exist",
        ),
        ("blocks", "Key", "blocks does not exist"),
        ("../outside.py", "Key", "../outside.py does not exist"),
        (
            "blocks/key.py",
            "rotate",
            "blocks/key.py has no rotate",
        ),
        ("docs/requirements.toml", "Key.rotate", "docs/requirements.toml has no Key.rotate"),
    ],
)
def test_code_that_does_not_exist_is_no_proof(repository: Repository, path: str, symbol: str, said: str) -> None:
    # Given a file that exists, but outside the repository
    (repository.root.parent / "outside.py").write_text("class Key: ...\n", encoding="utf-8")
    claim = f'code = [{{ path = "{path}", symbol = "{symbol}" }}]'
    text = CHECKLIST.replace('code = [{ path = "blocks/key.py", symbol = "Key.rotate" }]', claim)

    (problem,) = problems(load_checklist(repository.write("list.toml", text)), Sources(repository.root))

    assert problem == f"Unit Tests: {said}"


def test_symbol_in_a_non_python_file_is_searched_as_text(repository: Repository) -> None:
    assert Sources(repository.root).line_of("docs/requirements.toml", "only_aws = ") == 6


def test_a_services_claims_are_in_its_folder(repository: Repository) -> None:
    # Given a service that adds a test to an answer, and one that adds nothing
    (questions, app) = (repository.write("questions.toml", CHECKLIST), repository.write("answers/list.toml", ""))
    claim = "services/orders/tests/unit/test_api.py::test_it"
    own = repository.write("services/orders/checklists/list.toml", f'["Build"."Unit Tests"]\ntests = ["{claim}"]\n')
    repository.write("services/tiny/infrastructure.py", "")

    found = answers_to("list.toml", root=repository.root, folder=app.parent)

    assert found == (app, own)
    (entry, *_) = load_checklist(questions, *found).entries
    assert entry.tests == ("tests/unit/test_key.py::test_it_rotates", claim)
    (problem,) = problems(load_checklist(questions, *found), Sources(repository.root))
    assert problem == "Unit Tests: services/orders/tests/unit/test_api.py does not exist"
    # And without the service the others suffice
    own.unlink()
    found = answers_to("list.toml", root=repository.root, folder=app.parent)
    assert problems(load_checklist(questions, *found), Sources(repository.root)) == ()


ANSWERS = """
["Build"."Unit Tests"]
code = [{ path = "blocks/key.py", symbol = "Key" }]
tests = ["tests/unit/test_key.py::TestUse::test_logs_may"]

["Build"."Performance Tests"]
answer = "not here"
says = "Nobody has to wait for it."
"""


def test_an_app_adds_to_the_tools_answer_or_answers_itself(repository: Repository) -> None:
    # Given an answer of the tool's to which the app adds, and one that it replaces
    questions = repository.write("questions.toml", CHECKLIST)

    both = load_checklist(questions, repository.write("answers.toml", ANSWERS))

    unit, performance = both.entries
    assert unit.says == "They run at every push."
    assert [each.symbol for each in unit.code] == ["Key.rotate", "Key"]
    assert [test.rpartition("::")[2] for test in unit.tests] == ["test_it_rotates", "test_logs_may"]
    assert (performance.answer, performance.says) == (ChecklistAnswer.NOT_HERE, "Nobody has to wait for it.")


@pytest.mark.parametrize(
    ("questions", "answers", "said"),
    [
        (CHECKLIST, ANSWERS.replace("Performance", "Speed"), "Build: Speed Tests is not an entry of the checklist"),
        (CHECKLIST.replace('answer = "no"\n', ""), "", "Build: Performance Tests has no answer"),
        (CHECKLIST, ANSWERS.replace("says", "said"), "Build.Performance Tests.said: Extra inputs are not permitted"),
        (CHECKLIST, ANSWERS.replace('"not here"', '"yes"'), "a yes names the code that does it"),
    ],
)
def test_an_answer_to_nothing_and_no_answer_are_errors(
    repository: Repository, questions: str, answers: str, said: str
) -> None:
    path = repository.write("answers.toml", answers)

    with pytest.raises(EvidenceError, match=re.escape(str(path))) as raised:
        load_checklist(repository.write("questions.toml", questions), path)

    assert said in str(raised.value)


def test_claims_of_a_tool_without_its_tests_are_the_tools(repository: Repository) -> None:
    # Given an app that has the tool, and not its tests
    claim = "packages/slipway/tests/unit/test_key.py::test_it_rotates"
    text = CHECKLIST.replace("tests/unit/test_key.py::test_it_rotates", claim)
    checklist = load_checklist(repository.write("list.toml", text))
    assert problems(checklist, Sources(repository.root)) == ()

    # Then they are looked up where its tests are, too
    (repository.root / "packages/slipway/tests").mkdir(parents=True)
    (problem,) = problems(checklist, Sources(repository.root))
    assert problem == "Unit Tests: packages/slipway/tests/unit/test_key.py does not exist"
