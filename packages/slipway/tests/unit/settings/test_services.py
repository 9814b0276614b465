"""A service defines the model of its settings, and the platform combines the models."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import Field

import specimen
from slipway import settings as config
from slipway.settings import ConfigurationError, ServiceSettings
from slipway.settings.model import PerSecond, Traffic
from slipway.settings.services import compose, discover
from unit.settings.configuration import pristine, write


class ClockTraffic(Traffic):
    worker_invocations_per_second: PerSecond


class ClockSettings(ServiceSettings):
    """Settings of a service without an API."""

    development_only = ("debug.open",)

    traffic: ClockTraffic
    debug: dict[str, bool] = Field(default_factory=dict)


MODELS = {"clock": ClockSettings}


def _documents(**settings: object) -> dict[str, dict[str, object]]:
    table = {"clock": {"traffic": {"worker_invocations_per_second": 2.0}, **settings}}
    return {
        name: document if name == "pipeline.toml" else document | {"services": table}
        for name, document in pristine().items()
    }


def test_a_service_without_an_api_needs_neither_throttle_nor_api(tmp_path: Path) -> None:
    settings = config.load(write(tmp_path, _documents()), services=MODELS)

    for environment in settings.environments:
        assert environment.services.names == ("clock",)
        assert environment.settings_of(ClockSettings).traffic.of("worker") == 2.0


def test_unnamed_traffic_is_unknown() -> None:
    with pytest.raises(KeyError, match="requests_per_second"):
        ClockTraffic(worker_invocations_per_second=2.0).of("api")


def test_settings_of_missing_service_are_not_found() -> None:
    with pytest.raises(KeyError, match="ClockSettings"):
        specimen.SETTINGS.environments[0].settings_of(ClockSettings)


def test_a_development_only_switch_is_refused_elsewhere(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as refused:
        config.load(write(tmp_path, _documents(debug={"open": True})), services=MODELS)

    problems = refused.value.problems
    assert {problem.key for problem in problems} == {"services.clock.debug.open"}
    kinds = {f"{name}.toml": document.get("kind") for name, document in pristine().items()}
    assert "development" not in {kinds.get(problem.file) for problem in problems}


def test_the_same_models_give_the_same_class() -> None:
    assert compose(MODELS) is compose(dict(MODELS))


def _service(folder: Path, name: str, text: str) -> None:
    (folder / name).mkdir(parents=True)
    (folder / name / "settings.py").write_text(text)


def test_every_folder_with_settings_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("one", "two"):
        text = "from slipway.settings import ServiceSettings\nclass Mine(ServiceSettings):\n    pass\n"
        _service(tmp_path / "found_services", name, text)

    found = discover(tmp_path / "found_services")

    assert list(found) == ["one", "two"]
    assert all(issubclass(model, ServiceSettings) for model in found.values())


def test_settings_without_a_model_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    _service(tmp_path / "empty_services", "one", "from slipway.settings import ServiceSettings\n")

    with pytest.raises(TypeError, match=r"empty_services\.one\.settings must define one subclass"):
        discover(tmp_path / "empty_services")
