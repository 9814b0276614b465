"""Scan for secrets with Kingfisher: the current files, and every version of them in this commit's history.

By default Kingfisher validates findings with providers and checks for updates. Both are disabled: a found secret is
sent nowhere, not even to a report.
"""

from __future__ import annotations

import hashlib
import random
import shutil
import string
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from slipway.gates.outcome import Accepted, Finding, Outcome
from slipway.supply.errors import SupplyError
from slipway.supply.policy import Secrets
from slipway.supply.repository import ScannedTree
from slipway.supply.tool import run

RULES = Path(__file__).with_name("rules")

# Exit codes of `kingfisher scan`: nothing found, something found.
_CLEAN = 0
_FOUND = 200
_PLANTED = "planted-before-the-scan.txt"
# One of Kingfisher's own, and ours.
_PLANTED_RULES = frozenset({"betterleaks.github-pat", "slipway.assigned-secret"})
_HISTORY_FILE = "(history)"


class _Read(BaseModel):
    model_config = ConfigDict(frozen=True)


class _Rule(_Read):
    id: str
    name: str


class _Commit(_Read):
    id: str


class _GitFile(_Read):
    path: str


class _GitMetadata(_Read):
    commit: _Commit | None = None
    file: _GitFile | None = None


class _Place(_Read):
    snippet: str
    path: str
    line: int
    git_metadata: _GitMetadata | None = None


class _Found(_Read):
    rule: _Rule
    finding: _Place


class _Git(_Read):
    shallow: bool = False


class _Stats(_Read):
    blobs_scanned: int = 0


class _Scanned(_Read):
    git: _Git | None = None
    stats: _Stats


class _ScanSummary(_Read):
    scan_succeeded: int
    scan_partial: int
    scan_failed: int


class _Audit(_Read):
    summary: _ScanSummary
    repositories: tuple[_Scanned, ...]


class _Summary(_Read):
    blobs_scanned: int
    rules_applied: int


class _Metadata(_Read):
    summary: _Summary


class _Kingfisher(_Read):
    findings: tuple[_Found, ...]
    metadata: _Metadata
    audit: _Audit | None = None


@dataclass(frozen=True, order=True)
class Suspect:
    """A value that looks like a secret, by its digest: the value itself is stored nowhere."""

    place: str
    rule: str
    sha256: str


def check(repository: ScannedTree, secrets: Secrets, *, today: date) -> Outcome:
    """Scan the files, and the history where there is one.

    Args:
        repository: The checkout.
        secrets: The values that aren't secrets.
        today: Statements that end before this day are expired.

    Raises:
        SupplyError: Kingfisher failed, skipped something, or did not find the planted secret.
    """
    files = repository.files()
    suspects, rules = _files(repository, files)
    notes: list[str] = []
    looked = f"{len(files)} files"
    if repository.has_history:
        blobs, old, note = _history(repository)
        suspects += [one for one in old if one.sha256 not in {known.sha256 for known in suspects}]
        looked += f" and {blobs} versions of them in the history"
        notes += note
    else:
        notes.append("the history was not scanned, because this checkout has none")
    waivers = {one.value: one for one in secrets.none}
    findings = [
        Finding(
            one.place,
            one.rule,
            "looks like a secret: remove it, and rotate it if it is valid; "
            f"if it isn't one, add it to [[secrets.none]] in policy.toml (value = {one.sha256})",
        )
        for one in suspects
        if one.sha256 not in waivers
    ]
    met = {one.sha256 for one in suspects}
    if repository.has_history:
        findings += [
            Finding("policy.toml", "stale", f"secrets.none: {value} is not found any more: remove it")
            for value in waivers
            if value not in met
        ]
    findings += [
        Finding("policy.toml", "expired", f"secrets.none: {one.value} expired on {one.expires} (owner: {one.owner})")
        for one in secrets.none
        if one.is_expired(today)
    ]
    return Outcome.of(
        findings,
        f"{looked} by {rules} rules of Kingfisher",
        accepted=[
            Accepted(one.place, one.rule, waiver.reason, owner=waiver.owner, expires=waiver.expires)
            for one in suspects
            if (waiver := waivers.get(one.sha256))
        ],
        notes=notes,
        scanned=[path.as_posix() for path in files],
    )


def _files(repository: ScannedTree, files: Iterable[Path]) -> tuple[list[Suspect], int]:
    """Return the suspects in the files, which are copied beside a planted secret that must be found."""
    with tempfile.TemporaryDirectory(prefix="secrets-") as folder:
        top = Path(folder, "files")
        for path in files:
            (top / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(repository.root / path, top / path)
        (top / _PLANTED).write_text(planted(), encoding="utf-8")
        answer = _kingfisher(repository, top, "--git-history", "none", "--no-dedup")
        suspects = [
            _suspect(one, f"{Path(one.finding.path).relative_to(top).as_posix()}:{one.finding.line}")
            for one in answer.findings
        ]
    ours = [one for one in suspects if one.place.startswith(f"{_PLANTED}:")]
    if not {one.rule for one in ours} >= _PLANTED_RULES:
        raise SupplyError("kingfisher did not find the planted secret")
    return sorted(set(suspects) - set(ours)), answer.metadata.summary.rules_applied


def planted() -> str:
    """Return a line with an invalid token in the format of GitHub's; generated, so that no file contains it."""
    letters = string.ascii_letters + string.digits
    drawn = random.Random("planted")  # noqa: S311  # nosec B311  # a shape to be found, and no secret
    return f'token = "gh{"p"}_{"".join(drawn.choices(letters, k=36))}"\n'


def _history(repository: ScannedTree) -> tuple[int, list[Suspect], list[str]]:
    """Return the number of file versions in the history, the suspects in them, and the limits of the scan."""
    blobs = sum(1 for _ in _blobs(repository))
    answer = _kingfisher(repository, repository.root, "--git-history", "full", "--branch", "HEAD")
    scanned = answer.metadata.summary.blobs_scanned
    if scanned < blobs:
        raise SupplyError(f"kingfisher scanned {scanned} of the {blobs} versions of files in the history")
    suspects = []
    for one in answer.findings:
        metadata = one.finding.git_metadata
        commit = metadata.commit.id[:12] if metadata and metadata.commit else _HISTORY_FILE
        path = metadata.file.path if metadata and metadata.file else one.finding.path
        suspects.append(_suspect(one, f"{path}:{one.finding.line} at {commit}"))
    shallow = repository.git("rev-parse", "--is-shallow-repository") or ""
    cut = "only a part of the history was scanned, because this clone is shallow"
    return blobs, sorted(set(suspects)), [cut] if shallow.strip() == "true" else []


def _blobs(repository: ScannedTree) -> Iterator[str]:
    """Yield every version of every file in the commit's history."""
    objects = repository.git("rev-list", "--objects", "HEAD")
    names = "\n".join(line.partition(" ")[0] for line in (objects or "").splitlines())
    kinds = repository.git("cat-file", "--batch-check=%(objecttype) %(objectname)", given=names)
    for line in (kinds or "").splitlines():
        kind, _, name = line.partition(" ")
        if kind == "blob":
            yield name


def _kingfisher(repository: ScannedTree, target: Path, *arguments: str) -> _Kingfisher:
    command: list[str | Path] = [repository.python.with_name("kingfisher"), "scan", "--quiet"]
    command += ["--no-validate", "--no-update-check", "--no-ignore"]
    command += ["--rules-path", RULES, "--rule-cache-dir", repository.cache / "kingfisher"]
    command += ["--no-extract-archives", "--max-file-size", "0", "--format", "json", *arguments, target]
    ran = run(command, folder=repository.root, environ=repository.environ)
    try:
        answer = _Kingfisher.model_validate_json(ran.out) if ran.code in {_CLEAN, _FOUND} else None
    except ValidationError:
        answer = None
    if answer is None:
        raise SupplyError(f"kingfisher did not finish ({ran.complaint()})")
    if answer.audit and (answer.audit.summary.scan_partial or answer.audit.summary.scan_failed):
        raise SupplyError("kingfisher could not read all of the history")
    return answer


def _suspect(found: _Found, place: str) -> Suspect:
    return Suspect(place=place, rule=found.rule.id, sha256=hashlib.sha256(found.finding.snippet.encode()).hexdigest())
