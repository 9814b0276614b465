"""The accounts of a delivery: tools and one per environment, each a process, behind one endpoint.

Like AWS accounts, they are kept from one rehearsal to the next.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import boto3
import certifi
from filelock import FileLock, Timeout

from slipway import files
from slipway.emulator.partition import Partition, Server, forwarder
from slipway.emulator.partition.router import Api, Hook
from slipway.emulator.server import Credentials, Emulator, certificates, free_port, holder_of, session_at
from slipway.emulator.substitutions import SUBSTITUTIONS, Substitution
from slipway.emulator.topology import Topology
from slipway.errors import RehearsalError

FUNCTION = "slipway-rehearsal"
"""Name of the function that hands custom resources to the player, and of its role."""

_TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}}],
}

_LOGS = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": ["logs:CreateLogStream", "logs:PutLogEvents"], "Resource": "arn:aws:logs:*:*:*"}
    ],
}


class Accounts:
    """The accounts of a delivery.

    Args:
        topology: The accounts and their regions.
        folder: Folder of their data.
        apis: Service, by its name in signatures → the API that replaces the emulator's.
        on_custom_resource: Receives the custom resources that CloudFormation hands to the player.
        rows: The table of substitutions. Default: ours.
        variables: Additional variables of every account's process, which its functions inherit. Default: none.
    """

    def __init__(
        self,
        topology: Topology,
        folder: Path,
        *,
        apis: Mapping[str, Api],
        on_custom_resource: Hook,
        rows: Sequence[Substitution] = SUBSTITUTIONS,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self.topology, self.folder, self.rows = topology, folder, tuple(rows)
        self.tools = topology.tools
        self._variables = dict(variables or {})
        self._lock = FileLock(folder.parent / f"{folder.name}.lock")
        self.tls = folder / "tls"
        self.emulators: dict[str, Emulator] = {}
        self._closing: list[Callable[[], None]] = []
        """Close the issued sessions."""
        self.partition = Partition(self.emulators, apis=apis, on_handed_over=on_custom_resource)
        self.server = Server(
            self.partition, regions={region for each in topology.regions.values() for region in each}, tls=self.tls
        )

    @property
    def are_kept(self) -> bool:
        """True if an earlier rehearsal kept them."""
        return self._state_file.is_file()

    @property
    def lost(self) -> tuple[str, ...]:
        """Accounts of an earlier rehearsal that were lost because their processes died."""
        if not self.are_kept:
            return ()
        return tuple(account for account in self.ids if Emulator.lost(self.folder / account))

    @property
    def ids(self) -> tuple[str, ...]:
        """The accounts, the tools account first."""
        return tuple(self.topology.regions)

    def region(self, account: str) -> str:
        """Return the main region of an account."""
        return self.topology.region(account)

    def emulator(self, account: str, region: str | None = None) -> Emulator:
        """Return an account as seen in one of its regions.

        Args:
            account: The account.
            region: The region. Default: its main one.
        """
        found = self.emulators[account]
        return found if region in {None, found.region} else found.in_region(str(region))

    def session(self, account: str, credentials: Credentials | None = None) -> boto3.Session:
        """Return a session of an account that includes the APIs which the emulator lacks.

        Args:
            account: The account.
            credentials: Credentials of the session. Default: the root of the account.
        """
        own = credentials or self.emulators[account].root
        made = session_at(self.server.endpoint, self.server.ca, region=self.region(account), credentials=own)
        self._closing.append(made.close)
        return made

    def seen(self, account: str) -> list[Emulator]:
        """Return an account as it is seen in each of its regions, the main one first."""
        return [self.emulator(account, region) for region in self.topology.regions[account]]

    def label(self, account: str) -> str:
        """Return an account's display name: `tools`, or its environments."""
        return self.topology.label(account)

    @contextmanager
    def held(self, *, seconds: float = 0) -> Iterator[None]:
        """Lock the accounts against other rehearsals during the block.

        Args:
            seconds: Maximum time to wait for another rehearsal; -1 waits for ever. Default: don't wait.

        Raises:
            RehearsalError: Another rehearsal is running.
        """
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=seconds)
        except Timeout:
            raise RehearsalError(
                f"another rehearsal is running in {self.folder.parent}; wait for it, or stop it"
            ) from None
        try:
            yield
        finally:
            self._lock.release()

    def forget(self) -> None:
        """Delete the accounts and all their data."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _variables_in(self, account: str) -> dict[str, str]:
        """Return the variables of an account's process, which its functions inherit."""
        return {
            forwarder.ENDPOINT: self.server.endpoint,
            # Functions reach these two APIs at the player, and all other APIs at their own account.
            "AWS_ENDPOINT_URL_CODEDEPLOY": f"{self.server.endpoint}/_from/{account}",
            "AWS_ENDPOINT_URL_CODEPIPELINE": f"{self.server.endpoint}/_from/{account}",
            # Otherwise functions of three environments would stay in memory for five minutes.
            "LAMBDA_WARM_TTL_SECONDS": "30",
            # Requests of functions to AWS's host names, such as a probe's, are routed to the account that has them.
            **{name: value for name, value in self.server.variables().items() if "proxy" in name.lower()},
            # Node.js functions only trust certificates from this variable.
            "NODE_EXTRA_CA_CERTS": str((self.tls / "ca.pem").resolve()),
            **self._variables,
        }

    def start(self, progress: Callable[[str], None]) -> None:
        """Start the accounts that do not run, and the endpoint in front of them.

        Args:
            progress: Called with a description of each step.

        Raises:
            RehearsalError: They are not the configuration's accounts, or one does not start.
        """
        state = files.read_json(self._state_file) or {}
        wanted = {account: self.region(account) for account in self.ids}
        if state and {account: each["region"] for account, each in state["accounts"].items()} != wanted:
            raise RehearsalError(
                f"{self.folder} has the accounts {', '.join(sorted(state['accounts']))}, but the delivery needs "
                f"{', '.join(sorted(wanted))}: run with FRESH=yes, or `make forget`"
            )
        # Running processes have these ports in their variables, and templates contain the plain ones, so they are kept.
        self.server.port = self._port(state.get("endpoint"))
        self.server.proxy_port = self._port(state.get("proxy"))
        certificates(self.tls, names=self.server.names)
        self._trust_more()
        for account, region in wanted.items():
            folder = self.folder / account
            running = Emulator.running(folder, tls=self.tls, keep=True)
            known = state.get("accounts", {}).get(account, {})
            self.emulators[account] = running or Emulator(
                account,
                region,
                folder,
                port=self._port(known.get("port")),
                plain_port=self._port(known.get("plain_port")),
                tls=self.tls,
                keep=True,
                variables=self._variables_in(account),
            )
        self.server.start()
        try:
            with ThreadPoolExecutor(len(self.emulators)) as pool:
                list(pool.map(lambda emulator: self._start_one(emulator, progress), self.emulators.values()))
        except BaseException:
            self.stop()
            raise
        kept = {
            account: {"region": emulator.region, "port": emulator.port, "plain_port": emulator.plain_port}
            for account, emulator in self.emulators.items()
        }
        files.write_json(
            self._state_file, {"endpoint": self.server.port, "proxy": self.server.proxy_port, "accounts": kept}
        )

    def stop(self) -> None:
        """Stop their processes, and keep their data.

        Raises:
            RehearsalError: One could not be saved. All are stopped anyway.
        """
        while self._closing:
            self._closing.pop()()
        running = dict(self.emulators)
        for account in self.ids:
            if account not in running and (left := Emulator.running(self.folder / account, tls=self.tls, keep=True)):
                running[account] = left
        try:
            if running:
                with ThreadPoolExecutor(len(running)) as pool:
                    lost = [each for each in pool.map(self._stop_one, running.values()) if each]
                if lost:
                    raise RehearsalError("; ".join(lost))
        finally:
            self.server.stop()

    def _stop_one(self, emulator: Emulator) -> str:
        """Stop an account, and return the labels of what is lost with it."""
        try:
            emulator.stop()
        except RehearsalError as error:
            return f"{self.label(emulator.account)}: {error}"
        return ""

    def player(self, account: str, region: str) -> str:
        """Return the ARN of the function that notifies the player of an account's custom resources in a region."""
        return f"arn:aws:lambda:{region}:{account}:function:{FUNCTION}"

    def variables(self, account: str, credentials: Credentials) -> dict[str, str]:
        """Return variables that point a command to the rehearsal instead of AWS, without any from the user's shell.

        Args:
            account: The account whose main region is the default.
            credentials: Credentials for the command.
        """
        variables = {
            **self.client_variables(account),
            "AWS_ACCESS_KEY_ID": credentials.access_key_id,
            "AWS_SECRET_ACCESS_KEY": credentials.secret_access_key,
        }
        if credentials.session_token:
            variables["AWS_SESSION_TOKEN"] = credentials.session_token
        return variables

    def client_variables(self, account: str) -> dict[str, str]:
        """Return variables that point a command to the rehearsal, without credentials.

        Args:
            account: The account whose main region is the default.
        """
        return {
            **self.server.variables(),
            "AWS_REGION": self.region(account),
            "AWS_DEFAULT_REGION": self.region(account),
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CA_BUNDLE": str(self.bundle),
            "SSL_CERT_FILE": str(self.bundle),
            "REQUESTS_CA_BUNDLE": str(self.bundle),
            "NODE_EXTRA_CA_CERTS": str(self.bundle),
        }

    @property
    def bundle(self) -> Path:
        """Return the file of trusted certificates for a command: the rehearsal's and this machine's."""
        return self.tls / "bundle.pem"

    def _trust_more(self) -> None:
        theirs = os.environ.get("SSL_CERT_FILE")
        known = Path(theirs) if theirs and Path(theirs).is_file() else Path(certifi.where())
        own = (self.tls / "ca.pem").read_text(encoding="utf-8")
        files.write_text(self.bundle, f"{known.read_text(encoding='utf-8')}\n{own}")

    def _start_one(self, emulator: Emulator, progress: Callable[[str], None]) -> None:
        if emulator.pid is None or not emulator.healthy():
            emulator.start()
        for region in self.topology.regions[emulator.account]:
            self._install(self.emulator(emulator.account, region))
        progress(f"{self.label(emulator.account)} ({emulator.account}) answers")

    def _install(self, emulator: Emulator) -> None:
        """Create the function that hands custom resources over."""
        session = emulator.session()
        functions = session.client("lambda")
        with suppress(functions.exceptions.ResourceNotFoundException):
            functions.get_function(FunctionName=FUNCTION)
            return
        iam = session.client("iam")
        with suppress(iam.exceptions.EntityAlreadyExistsException):
            iam.create_role(RoleName=FUNCTION, AssumeRolePolicyDocument=json.dumps(_TRUST))
        role = iam.get_role(RoleName=FUNCTION)["Role"]
        iam.put_role_policy(RoleName=FUNCTION, PolicyName="logs", PolicyDocument=json.dumps(_LOGS))
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as code:
            code.write(forwarder.__file__, "forwarder.py")
        functions.create_function(
            FunctionName=FUNCTION,
            Runtime="python3.14",
            Role=role["Arn"],
            Handler="forwarder.handler",
            Code={"ZipFile": content.getvalue()},
            Timeout=30,
        )

    @staticmethod
    def _port(known: Any) -> int:
        if isinstance(known, int) and holder_of(known) is None:
            return known
        return free_port()

    @property
    def _state_file(self) -> Path:
        return self.folder / "accounts.json"
