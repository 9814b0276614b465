"""Groups of services with a pipeline each, of one configuration.

A group is an app of its own in AWS: its pipeline, and all that is named after that, have the app's name and the
group's. Whatever reads the configuration with `SLIPWAY_GROUP` set sees the group alone, so every verb works on it.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

GROUP = "SLIPWAY_GROUP"
"""Environment variable with the name of a group of `[groups]` in `pipeline.toml`. Default: the app as a whole."""

PATTERNS = 8
"""The most file paths that a trigger excludes
(https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_GitFilePathFilterCriteria.html)."""

PATTERN_CHARACTERS = 255
"""The longest of them."""

_Raw = dict[str, Any]


def selected() -> str | None:
    """Return the name of the group that this process works on; None for the whole app."""
    return os.environ.get(GROUP) or None


def narrow_pipeline(raw: _Raw, group: str, *, app: str) -> _Raw:
    """Return what the pipeline's file says of one group.

    Args:
        raw: the file.
        group: name of the group.
        app: the app's name.
    """
    services = services_of(raw, group)
    narrowed = {**raw, "name": f"{app}-{group}", "group": group, "bucket_prefix": raw.get("bucket_prefix", app)}
    narrowed["qualifier"] = raw["groups"][group].get("qualifier")
    if "key_alias" in raw:
        narrowed["key_alias"] = f"{raw['key_alias']}-{group}"
    if "waves" in raw:
        waves = [[name for name in wave if name in services] for wave in raw["waves"]]
        narrowed["waves"] = [wave for wave in waves if wave]
    return narrowed


def narrow_environment(raw: _Raw, pipeline: _Raw, group: str) -> _Raw:
    """Return what an environment's file says of one group.

    Args:
        raw: the file.
        pipeline: the pipeline's file.
        group: name of the group.
    """
    services = services_of(pipeline, group)
    tables = raw.get("services")
    if isinstance(tables, Mapping):
        raw = {**raw, "services": {name: table for name, table in tables.items() if name in services}}
    return {**raw, "group": group, "leads": group == next(iter(pipeline["groups"]))}


def names_of(raw: _Raw) -> list[str]:
    """Return the groups of the pipeline's file, in order; none while they are not tables."""
    groups = raw.get("groups", {})
    tables = isinstance(groups, Mapping) and all(isinstance(table, Mapping) for table in groups.values())
    return list(groups) if tables else []


def services_of(raw: _Raw, group: str) -> list[str]:
    """Return the services that a group of the pipeline's file names."""
    services = raw["groups"][group].get("services")
    return [name for name in services if isinstance(name, str)] if isinstance(services, list) else []


def find_faults(raw: _Raw, services: Sequence[str], environments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the groups of the pipeline's file: the key, and what is allowed.

    Args:
        raw: the file.
        services: names of all services.
        environments: names of all environments.
    """
    groups = names_of(raw)
    named = Counter(name for group in groups for name in services_of(raw, group))
    for group in groups:
        if group in environments:
            yield f"groups.{group}", "is the name of an environment; roles would be named alike"
        yield from (
            (f"groups.{group}.services", f"names {name!r}; there are {', '.join(sorted(services))}")
            for name in services_of(raw, group)
            if name not in services
        )
    yield from (("groups", f"{name!r} is in several groups") for name, times in named.items() if times > 1)
    if groups:
        yield from (("groups", f"{name!r} is in no group") for name in services if name not in named)
    qualifiers = Counter(str(raw["groups"][group].get("qualifier")) for group in groups)
    yield from (
        ("groups", f"qualifier {name!r} is that of several groups; each has CDK bootstrap stacks of its own")
        for name, times in qualifiers.items()
        if times > 1
    )


def ignored_patterns(services: Sequence[str]) -> list[str]:
    """Return glob patterns of the folders of services, as few as their length allows.

    Braces are CodePipeline's own (https://docs.aws.amazon.com/codepipeline/latest/userguide/syntax-glob.html).

    Args:
        services: names of the services of other groups.
    """
    patterns: list[list[str]] = []
    for name in services:
        if patterns and len(_pattern([*patterns[-1], name])) <= PATTERN_CHARACTERS:
            patterns[-1].append(name)
        else:
            patterns.append([name])
    return [_pattern(names) for names in patterns]


def _pattern(names: Sequence[str]) -> str:
    return f"services/{names[0]}/**" if len(names) == 1 else f"services/{{{','.join(names)}}}/**"
