"""Read `config/*.toml` and report all of their errors at once."""

from __future__ import annotations

import re
import reprlib
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from slipway.errors import SlipwayError
from slipway.project import ROOT
from slipway.settings import groups, sandbox
from slipway.settings.model import APP, Environment, EnvironmentKind, OnFailure, PipelineSettings, Settings
from slipway.settings.services import Models, compose, discover

CONFIG_FOLDER = ROOT / "config"
"""Folder of the configuration files. Default of `load`."""

PIPELINE_FILE = "pipeline.toml"

TOOLS = "tools"
"""Name of the pipeline in place of an environment, and the value of its Environment tag."""

# Placeholders while the pipeline's own file has errors, so that the same run still finds the environments' errors.
NO_ACCOUNT = "000000000000"
NO_REGION = "us-east-1"

RULE_TIMEOUT_MINUTES = 60
"""Time-out of a rule of a CodePipeline condition: one hour, as for actions without their own quota
(https://docs.aws.amazon.com/codepipeline/latest/userguide/limits.html). CloudFormation cannot change it.
"""

_IS_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")

_LONGEST = 120
_REPR = reprlib.Repr()
_REPR.maxother = _REPR.maxstring = _REPR.maxlong = _LONGEST

_Model = TypeVar("_Model", bound=BaseModel)
_Raw = dict[str, Any]


@dataclass(frozen=True, order=True)
class Problem:
    """One error in one file: where, what was found, what is allowed."""

    file: str
    key: str
    value: str
    allowed: str

    def __str__(self) -> str:
        place = f"config/{self.file}: {self.key}" if self.key else f"config/{self.file}"
        found = f" = {self.value}" if self.value else ""
        return f"{place}{found}: {self.allowed}"


class ConfigurationError(SlipwayError):
    """The configuration is invalid. `problems` lists every error."""

    exit_code = 2

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = sorted(set(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))


def load(folder: Path | None = None, *, services: Models | None = None, group: str | None = None) -> Settings:
    """Read the pipeline's file and one file for each environment it names.

    Args:
        folder: Folder of `pipeline.toml` and `<environment>.toml`. Default: `CONFIG_FOLDER`, which is `config/`.
        services: The settings' model of each service. Default: those in `services/<name>/settings.py`.
        group: Only this group of services. Default: the one that `SLIPWAY_GROUP` names, or all.

    Returns:
        The validated settings, environments in the pipeline's order.

    Raises:
        ConfigurationError: A file is invalid. It lists the errors of all files.
    """
    folder = CONFIG_FOLDER if folder is None else folder
    models = discover() if services is None else services
    problems: list[Problem] = []
    raw_pipeline = _read(folder / PIPELINE_FILE, problems)
    names = _environment_names(raw_pipeline or {})
    raw_environments = {
        name: raw
        for name in names
        # An invalid name is an error of pipeline.toml, and must not become a path.
        if _IS_NAME.fullmatch(name) and (raw := _read(folder / f"{name}.toml", problems)) is not None
    }
    raw_environments = {
        name: _with_runbooks(raw, _at(raw_pipeline or {}, "source")) for name, raw in raw_environments.items()
    }
    problems.extend(_group_rules(raw_pipeline or {}, names, models))
    group = groups.selected() if group is None else group
    if raw_pipeline is not None and group and group not in groups.names_of(raw_pipeline):
        problems.append(_unknown_group(raw_pipeline, group))
    elif raw_pipeline is not None and group and not problems:
        models = {name: models[name] for name in groups.services_of(raw_pipeline, group)}
        raw_environments = {
            name: groups.narrow_environment(raw, raw_pipeline, group) for name, raw in raw_environments.items()
        }
        raw_pipeline = groups.narrow_pipeline(raw_pipeline, group, app=_names(raw_pipeline)["app"])
    given = _names(raw_pipeline or {})
    if raw_pipeline is not None:
        raw_pipeline = {"approval_before": _first_of_production(names, raw_environments), **raw_pipeline}
    pipeline = _validate(PipelineSettings, _named(raw_pipeline, name=TOOLS, **given), PIPELINE_FILE, problems)
    environments = _environments(compose(models), raw_environments, pipeline, given, problems)
    for name, raw in raw_environments.items():
        problems.extend(_environment_rules(name, raw, models))
    problems.extend(_pipeline_rules(raw_pipeline or {}, names, raw_environments, models))

    if problems or pipeline is None:
        raise ConfigurationError(problems)
    settings = Settings(pipeline=pipeline, environments=tuple(environments))
    wanted = sandbox.selected()
    return settings if wanted is None else sandbox.derive(settings, wanted)


def _environments(
    model: type[Environment],
    raw_environments: Mapping[str, _Raw],
    pipeline: PipelineSettings | None,
    given: Mapping[str, Any],
    problems: list[Problem],
) -> list[Environment]:
    """Validate each environment, with what the pipeline's file gives to all."""
    # Report an invalid name only for the pipeline's file.
    named = given if pipeline else _names({})
    shared = {
        "tools_account": pipeline.account if pipeline else NO_ACCOUNT,
        "tools_region": pipeline.region if pipeline else NO_REGION,
        "app": named["app"],
        "bucket_prefix": named["bucket_prefix"],
    }
    validated = (
        _validate(model, _named(raw, name=name, **shared), f"{name}.toml", problems)
        for name, raw in raw_environments.items()
    )
    return [environment for environment in validated if environment is not None]


def _read(path: Path, problems: list[Problem]) -> _Raw | None:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        wanted = "every configuration needs it" if path.name == PIPELINE_FILE else f"{PIPELINE_FILE} names it"
        problems.append(Problem(path.name, "", "", f"is missing, and {wanted}"))
    except (OSError, UnicodeDecodeError) as error:
        problems.append(Problem(path.name, "", "", f"cannot be read as UTF-8 text ({error})"))
    except (ValueError, RecursionError) as error:  # tomllib raises TOMLDecodeError for syntax errors only.
        problems.append(Problem(path.name, "", "", f"is not valid TOML ({_short(str(error))})"))
    return None


def _names(raw_pipeline: _Raw) -> dict[str, Any]:
    """Return the names in the pipeline's file, under the keys of the model."""
    app = raw_pipeline.get("name", APP)
    # Report an invalid name once, not once per name derived from it.
    known = app if isinstance(app, str) and _IS_NAME.fullmatch(app) else APP
    return {
        "app": app,
        "bucket_prefix": raw_pipeline.get("bucket_prefix", known),
        "permissions_boundary": raw_pipeline.get("permissions_boundary", f"{known}-bootstrap-permissions-boundary"),
        "key_alias": raw_pipeline.get("key_alias", f"{known}-pipeline"),
    }


def _named(raw: _Raw | None, **given: Any) -> _Raw | None:
    """Return a file's values combined with values from elsewhere, which `_everywhere` keeps out of the file."""
    return None if raw is None else {**raw, **given}


def _with_runbooks(raw: _Raw, source: Any) -> _Raw:
    """Return an environment's file with the address of its runbooks, if GitHub hosts the pipeline's repository."""
    alarms = raw.get("alarms")
    match source:
        case {"kind": "codeconnections", "repository": str(repository), "branch": str(branch)} if isinstance(
            alarms, dict
        ):
            address = f"https://github.com/{repository}/blob/{branch}/docs/runbooks"
            return {**raw, "alarms": {"runbooks": address, **alarms}}
    return raw


def _environment_names(raw_pipeline: _Raw) -> list[str]:
    names = raw_pipeline.get("environments", [])
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []


def _validate(model: type[_Model], raw: _Raw | None, file: str, problems: list[Problem]) -> _Model | None:
    if raw is None:
        return None
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        details = error.errors(include_url=False)
        places = [detail["loc"] for detail in details]
        problems.extend(
            _problem(file, detail)
            for detail in details
            # pydantic also reports a list whose only entry is invalid as too short; drop that second error.
            if not (detail["type"] == "too_short" and any(_is_below(place, detail["loc"]) for place in places))
        )
        return None


# pydantic puts the tag of a discriminated union into an error's path below these keys; the file has no such key.
_UNIONS = {"capacity", "source"}


def _key(location: tuple[int | str, ...]) -> str:
    parts = (part for above, part in zip((None, *location), location, strict=False) if above not in _UNIONS)
    return ".".join(part if _BARE_KEY.fullmatch(part) else repr(part) for part in map(str, parts))


def _is_below(place: tuple[int | str, ...], other: tuple[int | str, ...]) -> bool:
    return len(place) > len(other) and place[: len(other)] == other


def _value(value: object) -> str:
    return _short(repr(value)) if isinstance(value, str) else _short(value)


def _short(value: object) -> str:
    """Return a value on one line, shortened if long. A number can have more digits than Python prints."""
    try:
        text = value if isinstance(value, str) else _REPR.repr(value)
    except ValueError:
        return "a number of thousands of digits"
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"


def _problem(file: str, detail: ErrorDetails) -> Problem:
    key = _key(detail["loc"])
    if (file, key) == (PIPELINE_FILE, "app"):
        key = "name"
    match detail["type"]:
        case "missing":
            return Problem(file, key, "", "is required")
        case "extra_forbidden":
            return Problem(file, key, _value(detail["input"]), "is not a known key; see docs/configuration.md")
        case "value_error":
            return Problem(file, key, "", str(detail["ctx"]["error"]))
        case "string_pattern_mismatch":
            return Problem(file, key, _value(detail["input"]), f"must match {detail['ctx']['pattern']}")
        case _:
            message = detail["msg"]
            return Problem(file, key, _value(detail["input"]), message[0].lower() + message[1:])


def _at(raw: _Raw, key: str) -> Any:
    value: Any = raw
    for part in key.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(part)
    return value


def _environment_rules(name: str, raw: _Raw, models: Models) -> Iterator[Problem]:
    """Check the rules that depend on the kind, on the raw file, so that its other errors don't hide these."""
    file = f"{name}.toml"
    yield from _everywhere(file, raw)
    yield from _test_rules(file, raw)
    # A missing kind is reported by itself.
    if raw.get("kind") not in (EnvironmentKind.TEST, EnvironmentKind.PRODUCTION):
        return
    only = "is allowed in development only"
    origins = _at(raw, "cors.origins")
    if isinstance(origins, list) and "*" in origins:
        yield Problem(file, "cors.origins", "'*'", f"{only}; list origins such as https://app.example.com")
    if _at(raw, "waf.enabled") is False:
        yield Problem(file, "waf.enabled", "false", f"{only}; use true")
    if _at(raw, "alarms.emails") == []:
        yield Problem(file, "alarms.emails", "[]", f"{only}; name at least one address")
    for key in (f"services.{service}.{switch}" for service in models for switch in models[service].development_only):
        if _at(raw, key) is True:
            yield Problem(file, key, "true", f"{only}; use false")
    if raw.get("kind") == EnvironmentKind.PRODUCTION:
        for key in ("stateful.deletion_protection", "stateful.termination_protection"):
            if _at(raw, key) is False:
                yield Problem(file, key, "false", "must be true in production")


TEST_STEPS = ("attack", "performance", "resilience")
"""Keys of steps that load, break or attack the deployment."""


def _test_rules(file: str, raw: _Raw) -> Iterator[Problem]:
    """Refuse load, faults and attacks in environments that people depend on."""
    # An unknown kind is reported separately.
    if raw.get("kind") not in (EnvironmentKind.DEVELOPMENT, EnvironmentKind.PRODUCTION):
        return
    for key in TEST_STEPS:
        if key in raw:
            yield Problem(file, key, "", f"is allowed only with kind = {EnvironmentKind.TEST.value!r}; leave it out")


def _everywhere(file: str, raw: _Raw) -> Iterator[Problem]:
    if "name" in raw:
        yield Problem(file, "name", _value(raw["name"]), "comes from the file's name; leave it out")
    if "sandbox" in raw:
        yield Problem(file, "sandbox", _value(raw["sandbox"]), "is set by `slipway sandbox`; leave it out")
    for key in ("account", "region"):
        if f"tools_{key}" in raw:
            found = _value(raw[f"tools_{key}"])
            yield Problem(file, f"tools_{key}", found, f"comes from `{key}` in pipeline.toml; leave it out")
    for key in ("app", "bucket_prefix"):
        if key in raw:
            yield Problem(file, key, _value(raw[key]), "belongs in pipeline.toml; leave it out")
    yield from _disposable_rules(file, raw)
    yield from _probe_rules(file, raw)
    bake = _at(raw, "deployment.bake_minutes")
    if isinstance(bake, int) and bake >= RULE_TIMEOUT_MINUTES:
        allowed = f"must be less than {RULE_TIMEOUT_MINUTES}: CodePipeline ends a condition after that many minutes"
        yield Problem(file, "deployment.bake_minutes", _value(bake), allowed)


def _probe_rules(file: str, raw: _Raw) -> Iterator[Problem]:
    """Refuse a bake that may end before the probe has run twice with the new version."""
    bake, services = _at(raw, "deployment.bake_minutes"), raw.get("services")
    if not isinstance(bake, int) or not bake or not isinstance(services, dict):
        return
    for service in services:
        key = f"services.{service}.probe.every_minutes"
        minutes = _at(raw, key)
        if isinstance(minutes, int) and 2 * minutes > bake:
            allowed = f"must be at most half of deployment.bake_minutes, {bake}: otherwise the bake may miss its runs"
            yield Problem(file, key, _value(minutes), allowed)


def _disposable_rules(file: str, raw: _Raw) -> Iterator[Problem]:
    """Check that a disposable environment protects nothing, and that every other one keeps its data."""
    disposable = _at(raw, "stateful.disposable") is True
    policy = _at(raw, "stateful.removal_policy")
    if policy == "destroy" and not disposable:
        allowed = "is allowed only with stateful.disposable = true; use 'retain'"
        yield Problem(file, "stateful.removal_policy", "'destroy'", allowed)
    if not disposable:
        return
    if policy == "retain":
        yield Problem(file, "stateful.removal_policy", "'retain'", "must be 'destroy' with stateful.disposable = true")
    if _at(raw, "stateful.deletion_protection") is True:
        yield Problem(file, "stateful.deletion_protection", "true", "must be false with stateful.disposable = true")
    if "backup" in raw:
        yield Problem(
            file,
            "backup",
            "",
            "must be left out with stateful.disposable = true: recovery points in its vault cannot be deleted",
        )


def _pipeline_rules(raw: _Raw, names: list[str], environments: dict[str, _Raw], models: Models) -> Iterator[Problem]:
    yield from (
        Problem(PIPELINE_FILE, "environments", _value(name), "is named twice")
        for name, times in Counter(names).items()
        if times > 1
    )
    if "app" in raw:
        yield Problem(PIPELINE_FILE, "app", _value(raw["app"]), "is not a known key; see docs/configuration.md")
    approvals = raw.get("approval_before")
    if names and isinstance(approvals, list):
        yield from (
            Problem(PIPELINE_FILE, "approval_before", _value(name), f"is not one of {', '.join(names)}")
            for name in approvals
            if name not in names
        )
        missing = [name for name in _first_of_production(names, environments) if name not in approvals]
        if missing:
            allowed = f"must name {', '.join(missing)}: production needs an approval"
            yield Problem(PIPELINE_FILE, "approval_before", _value(approvals), allowed)
        waiting = [name for name in approvals if name in names]
        if waiting and _at(raw, "approval.emails") in (None, []) and isinstance(raw.get("approval"), dict):
            allowed = f"is empty, but {', '.join(waiting)} waits for an approval; name at least one address"
            yield Problem(PIPELINE_FILE, "approval.emails", "", allowed)
    yield from _wave_rules(raw, models)
    yield from _side_by_side_rules(raw, names, environments)
    yield from _connection_rules(raw)
    if _at(raw, "gates.review") == "off" and _at(raw, "source.kind") in {"codeconnections", "codecommit"}:
        allowed = "is allowed only with an S3 source, which has no history to review; use 'required'"
        yield Problem(PIPELINE_FILE, "gates.review", "'off'", allowed)
    for key, found in (("disposable", True), ("removal_policy", "destroy")):
        if _at(raw, f"stateful.{key}") == found:
            yield Problem(
                PIPELINE_FILE, f"stateful.{key}", _value(found), "belongs in an environment's file; leave it out"
            )
    if raw.get("share_accounts") is not True:
        yield from _account_rules(raw, environments)


def _first_of_production(names: list[str], environments: dict[str, _Raw]) -> list[str]:
    """Return the first environment of each run of production environments: one approval covers the run."""
    kinds = [environments.get(name, {}).get("kind") for name in names]
    return [
        name
        for name, before, kind in zip(names, (None, *kinds), kinds, strict=False)
        if kind == EnvironmentKind.PRODUCTION != before
    ]


ALIKE: tuple[tuple[str, Any], ...] = (
    ("kind", None),
    ("deployment.on_failure", OnFailure.ROLLBACK.value),
    ("deployment.frozen", False),
    ("deployment.window", None),
)
"""Keys with the same value in environments that share their stages, each with its default: a stage has one window, one
condition on failure and one transition into it.
"""


def _side_by_side_rules(raw: _Raw, names: list[str], environments: dict[str, _Raw]) -> Iterator[Problem]:
    lists = raw.get("side_by_side", [])
    if not isinstance(lists, list) or not all(isinstance(together, list) for together in lists):
        return
    key = "side_by_side"
    named = Counter(name for together in lists for name in together if isinstance(name, str))
    for name, times in named.items():
        if name not in names:
            yield Problem(PIPELINE_FILE, key, _value(name), f"is not one of {', '.join(names)}")
        elif times > 1:
            yield Problem(PIPELINE_FILE, key, _value(name), "is named twice")
    approvals = raw.get("approval_before")
    for together in lists:
        if not together or any(name not in names or named[name] > 1 for name in together):
            continue
        first, *others = together
        at = names.index(first)
        if names[at : at + len(together)] != together:
            allowed = "must follow each other in `environments`, in the same order"
            yield Problem(PIPELINE_FILE, key, _value(together), allowed)
        for name in others:
            if isinstance(approvals, list) and name in approvals:
                allowed = f"is deployed side by side with {first}, whose approval covers both; name {first} alone"
                yield Problem(PIPELINE_FILE, "approval_before", _value(name), allowed)
            yield from _apart(first, name, environments)


def _apart(first: str, other: str, environments: dict[str, _Raw]) -> Iterator[Problem]:
    """Check two environments that are deployed side by side."""
    if first not in environments or other not in environments:
        return
    one, two = environments[first], environments[other]
    for key, default in ALIKE:
        found, wanted = _at(two, key), _at(one, key)
        if (default if found is None else found) != (default if wanted is None else wanted):
            allowed = f"differs from {first}'s, and {PIPELINE_FILE} has both in one list of side_by_side: use the same"
            yield Problem(f"{other}.toml", key, "" if found is None else _value(found), allowed)
    if isinstance(two.get("region"), str) and (one.get("account"), one.get("region")) == (
        two.get("account"),
        two["region"],
    ):
        allowed = (
            f"is {first}'s account and region too: side by side, both would create what they share at the same time; "
            "use another, or take it out of side_by_side"
        )
        yield Problem(f"{other}.toml", "region", _value(two["region"]), allowed)


def _wave_rules(raw: _Raw, models: Models) -> Iterator[Problem]:
    waves = raw.get("waves", [])
    if not isinstance(waves, list) or not all(isinstance(wave, list) for wave in waves):
        return
    named = Counter(name for wave in waves for name in wave if isinstance(name, str))
    known = sorted(models)
    for name, times in named.items():
        if name not in known:
            yield Problem(PIPELINE_FILE, "waves", _value(name), f"is not a service; choose from {', '.join(known)}")
        elif times > 1:
            yield Problem(PIPELINE_FILE, "waves", _value(name), "is named twice")


def _group_rules(raw: _Raw, environments: list[str], models: Models) -> Iterator[Problem]:
    for key, found in groups.find_faults(raw, sorted(models), environments):
        yield Problem(PIPELINE_FILE, key, "", found)
    ignored = _at(raw, "source.ignored_paths")
    for group in groups.names_of(raw):
        others = [name for name in sorted(models) if name not in groups.services_of(raw, group)]
        patterns = len(ignored if isinstance(ignored, list) else []) + len(groups.ignored_patterns(others))
        if patterns > groups.PATTERNS:
            allowed = (
                f"and the folders of services of other groups than {group} are {patterns} patterns; "
                f"CodePipeline takes {groups.PATTERNS}"
            )
            yield Problem(PIPELINE_FILE, "source.ignored_paths", "", allowed)


def _unknown_group(raw: _Raw, group: str) -> Problem:
    known = ", ".join(groups.names_of(raw)) or "none"
    return Problem(PIPELINE_FILE, "groups", "", f"{groups.GROUP} names {group!r}; choose from {known}")


def _connection_rules(raw: _Raw) -> Iterator[Problem]:
    arn = _at(raw, "source.connection_arn")
    if not isinstance(arn, str):
        return
    found = re.match(r"arn:[a-z-]+:(?:codeconnections|codestar-connections):([a-z0-9-]+):", arn)
    if found and found[1] != raw.get("region"):
        pipeline = _value(raw.get("region"))
        allowed = f"is in {found[1]}, but the pipeline is in {pipeline}; a pipeline deploys only to its own region"
        yield Problem(PIPELINE_FILE, "source.connection_arn", _value(arn), allowed)


def _account_rules(raw: _Raw, environments: dict[str, _Raw]) -> Iterator[Problem]:
    owners: dict[str, str] = {}
    if isinstance(raw.get("account"), str):
        owners[raw["account"]] = "the pipeline"
    for name, environment in environments.items():
        account = environment.get("account")
        if not isinstance(account, str):
            continue
        if account in owners:
            allowed = (
                f"is also the account of {owners[account]}; give each its own, "
                f"or set share_accounts = true in {PIPELINE_FILE}"
            )
            yield Problem(f"{name}.toml", "account", _value(account), allowed)
        owners.setdefault(account, name)
