"""Any CDK app whose delivery is rehearsed: its folder, and the user's additions."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from slipway.emulator.substitutions import SUBSTITUTIONS, Substitution, of_type
from slipway.errors import RehearsalError

FILE = "rehearsal.toml"
"""File in an app's folder with what its assembly does not contain; optional."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Call(_Model):
    """A call of AWS's API that creates a prerequisite: a secret, a hosted zone, a parameter.

    Attributes:
        account: The account.
        region: The region. Default: the account's main one.
        service: Name of boto3's client, such as `secretsmanager`.
        operation: Its method, such as `create_secret`.
        parameters: Parameters of the method.
    """

    account: str = Field(pattern=r"\d{12}")
    region: str | None = None
    service: str
    operation: str
    parameters: dict[str, Any] = {}


class Seed(_Model):
    """Prerequisites of the pipelines' deployment.

    Attributes:
        assemblies: Folders of assemblies whose stacks are deployed first, relative to the file.
        calls: Calls, in order.
    """

    assemblies: tuple[str, ...] = Field(default=(), strict=False)
    calls: tuple[Call, ...] = Field(default=(), strict=False)


class SubstitutionRow(_Model):
    """A resource type that the emulator does not support, and its replacement.

    Attributes:
        type: The type; a name that ends in `::` covers all types below it.
        stand_in: Description of its replacement, for the list at a run's end.
        unproven: Description of what remains unproven.
        references: `Ref` or an attribute → its replacement in the format of `Fn::Sub`; `${LogicalId}` is the resource's
            own logical id. Default: its name, for `Ref`.
    """

    type: str
    stand_in: str = "nothing"
    unproven: str
    references: dict[str, str] = {"Ref": "${AWS::StackName}-${LogicalId}"}

    def substitution(self) -> Substitution:
        """Return the row in the table's format."""
        return Substitution(
            subject=self.type,
            stand_in=self.stand_in,
            unproven=self.unproven,
            applies=of_type(self.type),
            drops=True,
            references={name: _stand_in(text) for name, text in self.references.items()},
        )


class Requests(_Model):
    """Requests to functions while a canary moves.

    Attributes:
        function: Names of functions; `*` matches any characters.
        file: A file with a list of events in JSON, relative to this one.
    """

    function: str
    file: str


class _File(_Model):
    seed: Seed = Seed()
    rows: tuple[SubstitutionRow, ...] = Field(default=(), strict=False)
    requests: tuple[Requests, ...] = Field(default=(), strict=False)
    variables: dict[str, str] = {}


@dataclass(frozen=True)
class App:
    """An app.

    Attributes:
        folder: Its repository's folder.
        assembly: Its assembly.
        seed: Resources that must exist beforehand.
        rows: The table of substitutions, the app's own rows first.
        requests: Pattern of a function's name → the events to call it with.
        variables: Additional variables of each build. Default: none.
    """

    folder: Path
    assembly: Path
    seed: Seed = field(default_factory=Seed)
    rows: Sequence[Substitution] = SUBSTITUTIONS
    requests: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path, *, assembly: Path | None = None, file: Path | None = None) -> App:
        """Read an app's folder, and its `rehearsal.toml` if it has one.

        Args:
            folder: Folder of its repository.
            assembly: Its assembly. Default: `cdk.out` in the folder.
            file: The file with the user's additions. Default: `rehearsal.toml` in the folder.

        Raises:
            RehearsalError: The file is invalid. The message names each fault.
        """
        file = file or folder / FILE
        added = _read(file)
        requests = {}
        for each in added.requests:
            path = file.parent / each.file
            try:
                requests[each.function] = json.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                raise RehearsalError(f"{file}: {path} is not a list of events: {error}", exit_code=2) from None
        seed = Seed(
            assemblies=tuple(str((file.parent / each).resolve()) for each in added.seed.assemblies),
            calls=added.seed.calls,
        )
        rows = (*(row.substitution() for row in added.rows), *SUBSTITUTIONS)
        return cls(folder, assembly or folder / "cdk.out", seed, rows, requests, added.variables)

    def requests_of(self, function: str) -> list[dict[str, Any]]:
        """Return the events that a function is called with; empty if none are configured."""
        return next((found for pattern, found in self.requests.items() if fnmatchcase(function, pattern)), [])


def _read(file: Path) -> _File:
    if not file.is_file():
        return _File()
    try:
        return _File.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except tomllib.TOMLDecodeError as error:
        raise RehearsalError(f"{file}: {error}", exit_code=2) from None
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise RehearsalError(f"{file}: {faults}", exit_code=2) from None


def _stand_in(text: str) -> Any:
    return lambda logical_id: {"Fn::Sub": text.replace("${LogicalId}", logical_id)}
