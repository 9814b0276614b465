"""One environment of the configuration, deployed on this machine."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from slipway import files, project
from slipway.accounts.bootstrap.plan import regions_of
from slipway.delivery.names import verification_role
from slipway.emulator.deploy import Deployer
from slipway.emulator.server import Credentials, Emulator
from slipway.emulator.stages import EmulatedStage, stage_folder, staged, translate_stage
from slipway.errors import RehearsalError
from slipway.process import Progress
from slipway.settings import Environment, PipelineSettings, Settings

FOUNDATION = "foundation"
CALLER = "slipway-caller"
"""The user who signs requests, with exactly the permissions of the services' tests after a deployment."""
FIRST_PORT = 4566
"""TLS port of the first environment of the pipeline; the port above it is plain HTTP, and the next environment's are
ten higher."""

Phase = Callable[[str], AbstractContextManager[Progress]]
"""Opens a named step of the work, and returns a function that reports its progress."""

Outputs = dict[str, dict[str, str]]


def choose(settings: Settings, environment: str) -> Environment:
    """Return the environment of that name.

    Raises:
        RehearsalError: It does not exist. The message lists the existing ones.
    """
    names = [known.name for known in settings.environments]
    if environment not in names:
        raise RehearsalError(f"unknown environment {environment!r}; choose from {', '.join(names)}", exit_code=2)
    return settings.environment(environment)


def services_of(environment: Environment, chosen: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the services that have a folder in `services/` and settings in the environment.

    Args:
        environment: The environment.
        chosen: Names of the requested services. Default: all.

    Raises:
        RehearsalError: A requested service is missing. The message lists the existing ones.
    """
    folders = {file.parent.name for file in (project.ROOT / "services").glob("*/infrastructure.py")}
    known = tuple(name for name, value in environment.services if name in folders and value is not None)
    for name in chosen:
        if name not in known:
            message = f"unknown service {name!r} in {environment.name}; choose from {', '.join(known)}"
            raise RehearsalError(message, exit_code=2)
    return tuple(name for name in known if name in set(chosen)) or known


@dataclass(frozen=True)
class DeploymentResult:
    """Result of a deployment."""

    stages: tuple[EmulatedStage, ...]
    outputs: Outputs
    """service → output → value, with addresses that answer on this machine; `foundation` besides the services."""


class LocalEnvironment:
    """An environment, its emulator, and the stacks deployed there.

    Args:
        environment: Its settings.
        pipeline: The settings of the pipeline that would deploy it.
        folder: Folder of its data. Default: `build/local/<name>`.
        port: TLS port; 0 picks free ports. Default: `FIRST_PORT`, plus ten per preceding environment.
        assembly: The assembly. Default: `cdk.out`.
        assets: The built assets. Default: `build/assets`.
    """

    def __init__(
        self,
        environment: Environment,
        pipeline: PipelineSettings,
        *,
        folder: Path | None = None,
        port: int | None = None,
        assembly: Path = project.ASSEMBLY,
        assets: Path = project.ASSETS,
    ) -> None:
        self.environment, self.pipeline = environment, pipeline
        self.folder = folder or project.LOCAL / environment.name
        self.assembly, self._assets = assembly, assets
        self._given_port = port
        self._tls = project.TLS if folder is None else self.folder / "tls"
        if port is None:
            port = FIRST_PORT + 10 * pipeline.environments.index(environment.name)
        self.emulator = Emulator.running(self.folder, tls=self._tls) or Emulator(
            environment.account,
            environment.region,
            self.folder,
            port=port or None,
            plain_port=port + 1 if port else None,
            tls=self._tls,
        )

    @property
    def name(self) -> str:
        """Name of the environment."""
        return self.environment.name

    def check(self) -> None:
        """Check that it can be started, before anything is done.

        Raises:
            RehearsalError: A port is in use, or it is running with other settings.
        """
        if self.emulator.pid is None:
            self.emulator.check_ports()
            return
        runs, wanted = (
            (self.emulator.account, self.emulator.region),
            (self.environment.account, self.environment.region),
        )
        if runs != wanted:
            raise RehearsalError(
                f"{self.name} runs as {'/'.join(runs)}, but its file says {'/'.join(wanted)}: run `make down`"
            )
        if self._given_port and self._given_port != self.emulator.port:
            raise RehearsalError(
                f"{self.name} runs on port {self.emulator.port}: run `make down` before you choose another port"
            )

    def start(self) -> bool:
        """Start the emulator, unless it runs.

        Returns:
            True if it was started.
        """
        if self.emulator.pid is not None and self.emulator.healthy():
            return False
        self.emulator.stop()
        self._marks_file.unlink(missing_ok=True)
        self._credentials_file.unlink(missing_ok=True)
        self.emulator.start()
        return True

    def stop(self) -> bool:
        """Stop the emulator and delete what was deployed.

        Returns:
            True if it was running.
        """
        stopped = self.emulator.stop()
        current = files.read_json(self.outputs_file)
        if current is not None and current == files.read_json(project.OUTPUTS):
            project.OUTPUTS.unlink()
        for file in (self.outputs_file, self._credentials_file, self._marks_file):
            file.unlink(missing_ok=True)
        return stopped

    def deploy(self, services: Iterable[str], phase: Phase) -> DeploymentResult:
        """Bootstrap the account, then deploy the foundation and the services, each in stack order.

        Args:
            services: Names of the services. Empty: all synthesised services.
            phase: Opens a step of the work.

        Raises:
            RehearsalError: The emulator or CloudFormation refused something. The message says what.
        """
        deployer = Deployer(self.emulator, qualifier=self.pipeline.qualifier, trust=self.pipeline.account)
        with phase("bootstrap") as progress:
            deployer.bootstrap(regions_of(self.environment.region), progress)
        marks: dict[str, str] = files.read_json(self._marks_file) or {}
        stages = []
        chosen = tuple(services) or [name for name in staged(self.assembly, self.name) if name != FOUNDATION]
        for name in (FOUNDATION, *chosen):
            with phase(f"deploy {name}") as progress:
                before = deployer.outputs()
                stage = self._translate(name, deployer, marks)
                deployer.deploy(stage.folder, progress)
                if stale := deployer.stale(stage.stacks, before, marks):
                    marks |= stale
                    deployer.deploy(self._translate(name, deployer, marks).folder, progress)
                files.write_json(self._marks_file, marks)
                stages.append(stage)
        outputs = self.collect(deployer.outputs())
        files.write_json(self.outputs_file, outputs)
        return DeploymentResult(tuple(stages), outputs)

    def outputs(self) -> Outputs:
        """Return the outputs of the last deployment.

        Raises:
            RehearsalError: Nothing is deployed, or the emulator does not run.
        """
        outputs: Outputs | None = files.read_json(self.outputs_file)
        if self.emulator.pid is None or outputs is None:
            raise RehearsalError(f"{self.name} is not up: run `make up ENV={self.name}`")
        return outputs

    def caller(self, outputs: Outputs) -> Credentials:
        """Return the user `slipway-caller`, creating it if necessary, with the permissions of the services' tests.

        Args:
            outputs: Outputs of the deployment.

        Returns:
            Its access key, which is also stored in `credentials.json`, readable only by the file's owner.
        """
        iam = self.emulator.session().client("iam")
        try:
            iam.get_user(UserName=CALLER)
        except iam.exceptions.NoSuchEntityException:
            iam.create_user(UserName=CALLER)
            self._credentials_file.unlink(missing_ok=True)
        for service in sorted(outputs.keys() - {FOUNDATION}):
            policy = {"Version": "2012-10-17", "Statement": self._statements(service)}
            iam.put_user_policy(UserName=CALLER, PolicyName=f"tests-of-{service}", PolicyDocument=json.dumps(policy))
        if (kept := files.read_json(self._credentials_file)) is not None:
            return Credentials(**kept)
        for lost in iam.list_access_keys(UserName=CALLER)["AccessKeyMetadata"]:
            iam.delete_access_key(UserName=CALLER, AccessKeyId=lost["AccessKeyId"])
        key = iam.create_access_key(UserName=CALLER)["AccessKey"]
        credentials = Credentials(key["AccessKeyId"], key["SecretAccessKey"])
        files.write_json(self._credentials_file, asdict(credentials), mode=0o600)
        return credentials

    def api_key(self, outputs: Mapping[str, str]) -> str | None:
        """Return the value of a service's API key; None if the service has none."""
        if "ApiKeyId" not in outputs:
            return None
        client = self.emulator.session().client("apigateway")
        return client.get_api_key(apiKey=outputs["ApiKeyId"], includeValue=True)["value"]

    def _statements(self, service: str) -> list[dict[str, object]]:
        """Return the permissions of a service's tests after a deployment, which the caller gets too."""
        iam = self.emulator.session().client("iam")
        role = verification_role(self.environment, service)
        return [
            statement
            for attached in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]
            for version in [iam.get_policy(PolicyArn=attached["PolicyArn"])["Policy"]["DefaultVersionId"]]
            for statement in _document(
                iam.get_policy_version(PolicyArn=attached["PolicyArn"], VersionId=version)["PolicyVersion"]["Document"]
            )["Statement"]
        ]

    def credentials(self) -> Credentials:
        """Return the access key that `caller` created.

        Raises:
            RehearsalError: It does not exist.
        """
        kept = files.read_json(self._credentials_file)
        if self.emulator.pid is None or kept is None:
            raise RehearsalError(f"{self.name} is not up: run `make up ENV={self.name}`")
        return Credentials(**kept)

    @property
    def outputs_file(self) -> Path:
        """Outputs of this environment: service → output → value."""
        return self.folder / "outputs.json"

    @property
    def _credentials_file(self) -> Path:
        return self.folder / "credentials.json"

    @property
    def _marks_file(self) -> Path:
        return self.folder / "references.json"

    def _translate(self, name: str, deployer: Deployer, marks: dict[str, str]) -> EmulatedStage:
        return translate_stage(
            stage_folder(self.assembly, self.name, name),
            self.folder / "assembly" / f"{self.name}-{name}",
            plain_port=self.emulator.plain_port,
            assets=self._assets,
            unknown_types=deployer.unknown_types,
            marks=marks,
        )

    def collect(self, stacks: dict[str, dict[str, str]]) -> Outputs:
        """Return the outputs by service, with addresses that work on this machine.

        Args:
            stacks: Outputs of every stack of the account: stack → output → value.
        """
        collected: Outputs = {}
        for name in (FOUNDATION, *services_of(self.environment)):
            found = {
                output: value
                for stack, values in stacks.items()
                if stack == f"{self.name}-{name}" or stack.startswith(f"{self.name}-{name}-")
                for output, value in values.items()
                # CDK's own outputs, through which one stack reads another.
                if not output.startswith("PublishOutput")
            }
            outputs = {output: self._here(value, found.get("ApiEndpoint", "")) for output, value in found.items()}
            if "DistributionDomain" in outputs:
                outputs["EdgeEndpoint"] = f"{self.emulator.endpoint}/"
            if outputs:
                collected[name] = outputs
        return collected

    def _here(self, value: str, api_endpoint: str) -> str:
        """Return the address that works on this machine.

        Args:
            value: An output.
            api_endpoint: The output `ApiEndpoint` of the same service; that of an HTTP API has no stage in its path.
        """
        endpoint = self.emulator.endpoint
        if (api := re.fullmatch(r"https://(\w+)\.execute-api\.[\w-]+\.[\w.]+/", api_endpoint)) and value.startswith(
            api_endpoint
        ):
            return f"{endpoint}/_aws/execute-api/{api[1]}/$default/{value.removeprefix(api_endpoint)}"
        if api := re.fullmatch(r"https://(\w+)\.execute-api\.[\w-]+\.[\w.]+/([\w-]+)(/.*)?", value):
            return f"{endpoint}/restapis/{api[1]}/{api[2]}/_user_request_{api[3] or '/'}"
        for port in (self.emulator.port, self.emulator.plain_port):
            value = value.replace(f"http://localhost:{port}/", f"{endpoint}/")
        return value


def _document(policy: Any) -> dict[str, Any]:
    """Return a policy's document, which boto3 may have parsed."""
    parsed: dict[str, Any] = json.loads(policy) if isinstance(policy, str) else policy
    return parsed
