"""Groups of services, each with its own pipeline, in one configuration.

A group is its own app in AWS: its pipeline, and everything named after it, carries the app's name and the group's. Code
that reads the configuration with `SLIPWAY_GROUP` set sees only that group, so every verb works on it.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

GROUP = "SLIPWAY_GROUP"
"""Environment variable that names a group of `[groups]` in `pipeline.toml`. Default: the whole app."""

PATTERNS = 8
"""Maximum number of file paths that a trigger can exclude
(https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_GitFilePathFilterCriteria.html).
"""

PATTERN_CHARACTERS = 255
"""Maximum length of each file path."""

_Raw = dict[str, Any]


def selected() -> str | None:
    """Return the name of the group that this process works on; None for the whole app."""
    return os.environ.get(GROUP) or None


def narrow_pipeline(raw: _Raw, group: str, *, app: str) -> _Raw:
    """Return the pipeline's file, limited to one group.

    Args:
        raw: The file.
        group: Name of the group.
        app: The app's name.
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
    """Return an environment's file, limited to one group.

    Args:
        raw: The file.
        pipeline: The pipeline's file.
        group: Name of the group.
    """
    services = services_of(pipeline, group)
    tables = raw.get("services")
    if isinstance(tables, Mapping):
        raw = {**raw, "services": {name: table for name, table in tables.items() if name in services}}
    return {**raw, "group": group, "leads": group == next(iter(pipeline["groups"]))}


def names_of(raw: _Raw) -> list[str]:
    """Return the groups of the pipeline's file, in order; an empty list if `groups` is not a table."""
    groups = raw.get("groups", {})
    tables = isinstance(groups, Mapping) and all(isinstance(table, Mapping) for table in groups.values())
    return list(groups) if tables else []


def services_of(raw: _Raw, group: str) -> list[str]:
    """Return the services that a group of the pipeline's file names."""
    services = raw["groups"][group].get("services")
    return [name for name in services if isinstance(name, str)] if isinstance(services, list) else []


def find_faults(raw: _Raw, services: Sequence[str], environments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the errors in the groups of the pipeline's file: the key, and what is allowed.

    Args:
        raw: The file.
        services: Names of all services.
        environments: Names of all environments.
    """
    groups = names_of(raw)
    named = Counter(name for group in groups for name in services_of(raw, group))
    for group in groups:
        if group in environments:
            yield f"groups.{group}", "is also the name of an environment, so role names would collide; rename the group"
        yield from (
            (f"groups.{group}.services", f"names {name!r}; choose from {', '.join(sorted(services))}")
            for name in services_of(raw, group)
            if name not in services
        )
    yield from (("groups", f"{name!r} is in several groups") for name, times in named.items() if times > 1)
    if groups:
        yield from (("groups", f"{name!r} is in no group") for name in services if name not in named)
    qualifiers = Counter(str(raw["groups"][group].get("qualifier")) for group in groups)
    yield from (
        ("groups", f"qualifier {name!r} is used by several groups; give each group its own")
        for name, times in qualifiers.items()
        if times > 1
    )


def ignored_patterns(services: Sequence[str]) -> list[str]:
    """Return glob patterns for the folders of the given services, combined up to the allowed length.

    Braces are CodePipeline's own (https://docs.aws.amazon.com/codepipeline/latest/userguide/syntax-glob.html).

    Args:
        services: Names of the services of other groups.
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
