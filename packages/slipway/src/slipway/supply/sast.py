"""Analyse our own Python code with Bandit, whose rules come with its package, without the network.

An accepted finding has `# nosec B123  # why it is safe here` on one of its lines. Bandit runs without these marks and
they are evaluated here, since Bandit lets a bare `# nosec` accept everything, and does not fail for a stale one.
"""

from __future__ import annotations

import io
import re
import tempfile
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path, PurePosixPath
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from slipway.gates.outcome import Accepted, Finding, Outcome
from slipway.supply.errors import SupplyError
from slipway.supply.policy import LeftOut, Sast
from slipway.supply.repository import ScannedTree
from slipway.supply.tool import run

_COMMENT = re.compile(r"#\s*nosec\b(?P<rules>[^#]*)(?:#\s*(?P<reason>.*))?$")
_RULE = re.compile(r"B\d{3}")
_ANYWHERE = "**/"
# Planted beside the files: a scan that does not find this fault did not run properly.
_PLANTED = "print(eval(input()))\n"
_PLANTED_RULE = "B307"
# Bandit exits with 1 when it finds something, which it always does.
_FOUND = 1


class _Read(BaseModel):
    model_config = ConfigDict(frozen=True)


class _Result(_Read):
    filename: str
    test_id: str
    issue_text: str
    issue_severity: str
    issue_confidence: str
    line_number: int
    line_range: tuple[int, ...]


class _Error(_Read):
    filename: str
    reason: str


_Named = TypeVar("_Named", _Result, _Error)


class _Bandit(_Read):
    errors: tuple[_Error, ...]
    metrics: dict[str, dict[str, float]]
    results: tuple[_Result, ...]


@dataclass
class AcceptanceComment:
    """A comment that accepts findings on its line."""

    file: str
    line: int
    rules: tuple[str, ...]
    reason: str
    used: set[str] = field(default_factory=set)


def check(repository: ScannedTree, sast: Sast, *, today: date) -> Outcome:
    """Scan every Python file that is committed, or would be.

    Args:
        repository: The checkout.
        sast: Rules that are switched off, with their folders.
        today: Exceptions that end before this day are expired.

    Raises:
        SupplyError: Bandit did not finish, or did not find the planted fault.
    """
    files = [path for path in repository.files() if path.suffix == ".py"]
    if not files:
        raise SupplyError(f"{repository.root}: no Python to check")
    answer = _bandit(repository, files)
    marks = [mark for path in files for mark in read_marks(repository.root / path, path.as_posix())]
    left_out = dict.fromkeys(sast.left_out, 0)
    findings: list[Finding] = []
    accepted: list[Accepted] = []
    for result in answer.results:
        rule = next((one for one in left_out if _covers(one, result)), None)
        mark = next((one for one in marks if _accepts(one, result)), None)
        if rule is not None:
            left_out[rule] += 1
        elif mark is not None:
            mark.used.add(result.test_id)
            accepted.append(Accepted(f"{result.filename}:{result.line_number}", result.test_id, mark.reason))
        else:
            message = f"{result.issue_text} (severity {result.issue_severity.lower()})"
            findings.append(Finding(f"{result.filename}:{result.line_number}", result.test_id, message))
    findings += [Finding(error.filename, "unread", f"was not checked: {error.reason}") for error in answer.errors]
    findings += _unlooked(files, answer)
    findings += [fault for mark in marks for fault in _faults(mark)]
    findings += [
        Finding(
            "policy.toml", "stale", f"sast.left_out: {one.rule} finds nothing under {one.under or 'the repository'}"
        )
        for one, count in left_out.items()
        if not count
    ]
    findings += [
        Finding("policy.toml", "expired", f"sast.left_out: {one.rule} expired on {one.expires} (owner: {one.owner})")
        for one in left_out
        if one.is_expired(today)
    ]
    return Outcome.of(
        findings,
        f"{len(files)} files, {int(answer.metrics['_totals']['loc'])} lines by Bandit",
        accepted=accepted,
        notes=[
            f"{one.rule} is left out{f' under {one.under}' if one.under else ''} ({count} places): {one.reason}"
            for one, count in left_out.items()
        ],
        scanned=[path.as_posix() for path in files],
    )


def _bandit(repository: ScannedTree, files: Iterable[Path]) -> _Bandit:
    """Return Bandit's answer, without the planted file."""
    with tempfile.TemporaryDirectory(prefix="sast-") as folder:
        planted = Path(folder, "planted.py")
        planted.write_text(_PLANTED, encoding="utf-8")
        command: list[str | Path] = [repository.python, "-m", "bandit", "--quiet", "--format", "json"]
        command += ["--ignore-nosec", *files, planted]
        ran = run(command, folder=repository.root, environ=repository.environ)
    try:
        answer = _Bandit.model_validate_json(ran.out)
    except ValidationError:
        raise SupplyError(f"bandit did not finish ({ran.complaint()})") from None
    found = [one.test_id for one in answer.results if one.filename == str(planted)]
    if ran.code != _FOUND or found != [_PLANTED_RULE]:
        raise SupplyError(f"bandit did not find the planted fault ({', '.join(found) or 'nothing'})")
    return answer.model_copy(
        update={
            "results": tuple(_named(one) for one in answer.results if one.filename != str(planted)),
            "errors": tuple(_named(one) for one in answer.errors),
            "metrics": {_plain(name): figures for name, figures in answer.metrics.items() if name != str(planted)},
        }
    )


def _named(result: _Named) -> _Named:
    return result.model_copy(update={"filename": _plain(result.filename)})


def _plain(name: str) -> str:
    return name.removeprefix("./")


def _covers(rule: LeftOut, result: _Result) -> bool:
    return rule.rule == result.test_id and _is_under(result.filename, rule.under)


def _is_under(name: str, folder: str) -> bool:
    if folder.startswith(_ANYWHERE):
        return folder.removeprefix(_ANYWHERE) in PurePosixPath(name).parent.parts
    return not folder or name.startswith(f"{folder}/")


def _accepts(mark: AcceptanceComment, result: _Result) -> bool:
    return mark.file == result.filename and mark.line in result.line_range and result.test_id in mark.rules


def _unlooked(files: Iterable[Path], answer: _Bandit) -> Iterator[Finding]:
    """Yield files that Bandit's answer omits."""
    told = {*answer.metrics, *(error.filename for error in answer.errors)}
    for path in files:
        if path.as_posix() not in told:
            yield Finding(path.as_posix(), "unread", "was not checked")


def read_marks(path: Path, name: str) -> list[AcceptanceComment]:
    """Return the comments of a file that accept findings.

    Args:
        path: The file.
        name: Its display name.
    """
    text = path.read_text(encoding="utf-8")
    if "nosec" not in text:
        return []
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    except (tokenize.TokenError, SyntaxError):
        # Bandit says that it cannot be read.
        return []
    found = []
    for token in tokens:
        match = _COMMENT.search(token.string) if token.type == tokenize.COMMENT else None
        if match:
            rules = tuple(_RULE.findall(match["rules"]))
            found.append(
                AcceptanceComment(file=name, line=token.start[0], rules=rules, reason=(match["reason"] or "").strip())
            )
    return found


def _faults(mark: AcceptanceComment) -> Iterator[Finding]:
    place = f"{mark.file}:{mark.line}"
    if not mark.rules:
        yield Finding(place, "nosec", "names no rule: write `# nosec B123  # why it is safe here`")
    elif not mark.reason:
        yield Finding(place, "nosec", "gives no reason: write `# nosec B123  # why it is safe here`")
    for rule in mark.rules:
        if rule not in mark.used:
            yield Finding(place, "stale", f"accepts {rule}, which is not found there: remove it")
