"""Fixtures of the contract: the services and environments of the app under test."""

from __future__ import annotations

import importlib
import os
from functools import cache

import pytest

from slipway.settings import Environment
from slipway.testing.app import Subject
from slipway.testing.templates import DeployedTemplates

SUBJECT = "SLIPWAY_SUBJECT"


@cache
def _subject() -> Subject:
    module, _, name = os.environ.get(SUBJECT, "slipway.testing.app:subject").partition(":")
    found = getattr(importlib.import_module(module), name)()
    assert isinstance(found, Subject)
    return found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test for each deployment, or for each service, depending on its arguments."""
    if "deployment" in metafunc.fixturenames:
        cases = _subject().cases
        ids = [f"{service} in {environment}" for environment, service in cases]
        metafunc.parametrize("case", cases, ids=ids)
    elif {"deployments", "service"} & {*metafunc.fixturenames}:
        metafunc.parametrize("service", sorted({service for _, service in _subject().cases}))


@pytest.fixture
def subject() -> Subject:
    """Return the app."""
    return _subject()


@pytest.fixture
def of_this_project(subject: Subject) -> None:
    """Skip a test of this project's own files if another subject is tested."""
    if not subject.ships:
        pytest.skip("not the services of this project")


@pytest.fixture
def deployment(case: tuple[str, str]) -> DeployedTemplates:
    """Return a service in an environment."""
    return _subject().deploy(*case)


@pytest.fixture
def service(case: tuple[str, str]) -> str:
    """Return the name of that service."""
    return case[1]


@pytest.fixture
def environment(deployment: DeployedTemplates) -> Environment:
    """Return that environment."""
    return deployment.environment


@pytest.fixture
def deployments(service: str) -> list[DeployedTemplates]:
    """Return a service in each of its environments."""
    return [_subject().deploy(environment, each) for environment, each in _subject().cases if each == service]
