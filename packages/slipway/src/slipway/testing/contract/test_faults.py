"""Faults of the rehearsal fit the app's services as they are."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from slipway.project import ROOT
from slipway.rehearsal.faults import find_target, list_faults
from slipway.testing.app import settings

pytestmark = pytest.mark.usefixtures("of_this_project")

SERVICES = sorted(file.parent.name for file in (ROOT / "services").glob("*/infrastructure.py"))

EDITS = [
    pytest.param(file, edit, id=f"{fault.name} {file}")
    for service in SERVICES
    for fault in list_faults(find_target(settings(), [service]))
    for edits in (fault.edits, fault.base_edits)
    for file, edit in edits.items()
]


@pytest.mark.parametrize(("file", "edit"), EDITS)
def test_each_edit_fits_the_sources_and_leaves_python(file: str, edit: Callable[[str], str]) -> None:
    before = (ROOT / file).read_text(encoding="utf-8")
    after = edit(before)

    assert after != before
    compile(after, file, "exec")
    # And the edited code mentions no environment: the gate would stop it before the fault shows
    if "/runtime/" in file:
        assert not set(re.findall(r"\w+", after)) & {environment.name for environment in settings().environments}
