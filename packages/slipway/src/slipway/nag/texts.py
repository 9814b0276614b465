"""The rules' own texts, to reject reasons that only repeat them."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from slipway.nag.names import PACKS

# Each pack of cdk-nag is a file of calls like the following. Its texts are nowhere else, and jsii hides them:
#     this.applyRule({ ruleSuffixOverride: 'S1', info: '…', explanation: '…', level: …, rule: s3.S3BucketLogging, … });
_PACK_FILES = re.compile(r"package/lib/packs/[\w-]+\.js")
_PACK_NAME = re.compile(r"this\.packName = '([\w.]+)'")
_LITERAL = r"(?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")"
_TEXT = rf"{_LITERAL}(?:\s*\+\s*{_LITERAL})*"
_CALL = re.compile(
    rf"applyRule\(\{{\s*(?:ruleSuffixOverride:\s*'(?P<suffix>\w+)',\s*)?"
    rf"info:\s*(?P<info>{_TEXT}),\s*explanation:\s*(?P<explanation>{_TEXT}),\s*"
    r"level:[^,]+,\s*rule:\s*\w+\.(?P<rule>\w+),"
)


@cache
def rule_texts() -> Mapping[str, str]:
    """Return each rule's text from the installed cdk-nag, by the rule's id.

    Raises:
        LookupError: cdk-nag is not installed, or its version has packs of a different format.
    """
    texts = dict(_texts())
    for pack in PACKS:
        if not any(rule.startswith(f"{pack}-") for rule in texts):
            raise LookupError(f"the installed cdk-nag shows no texts of {pack}: reasons cannot be compared with them")
    return texts


def _texts() -> Iterator[tuple[str, str]]:
    for source in _sources():
        name = _PACK_NAME.search(source)
        if name is None:
            continue
        for call in _CALL.finditer(source):
            yield f"{name[1]}-{call['suffix'] or call['rule']}", f"{_plain(call['info'])} {_plain(call['explanation'])}"


def _plain(text: str) -> str:
    return "".join(re.sub(r"\\(.)", r"\1", literal[1:-1]) for literal in re.findall(_LITERAL, text))


def _sources() -> Iterator[str]:
    """Yield the packs' source code, from the archive that the Python package contains for jsii."""
    spec = find_spec("cdk_nag")
    folders = [Path(folder) for folder in (spec.submodule_search_locations or ())] if spec else []
    for archive in (path for folder in folders for path in sorted(folder.glob("_jsii/*.tgz"))):
        with tarfile.open(archive) as package:
            for member in package:
                if _PACK_FILES.fullmatch(member.name) and (file := package.extractfile(member)):
                    yield file.read().decode()
