"""The embedded AWS emulator: one process per account, on the loopback interface, with TLS and enforced IAM.

This module only manages the process. Everything in it is reached through AWS's own API, so that a different emulator
could replace it.
"""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import sys
import threading
import time
import weakref
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from copy import copy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import boto3
import httpx
import psutil
import trustme
from botocore.loaders import create_loader
from filelock import FileLock, Timeout

from slipway.emulator import disk
from slipway.emulator.extensions import application
from slipway.emulator.extensions.application import NOT_SAVED, SAVE, SAVED
from slipway.emulator.extensions.faults import FAULTS
from slipway.errors import RehearsalError
from slipway.files import read_json, write_json, write_text
from slipway.process import Server, start_server
from slipway.project import TLS

APPLICATION = Path(application.__file__)
HOST = "localhost"
LOOPBACK = "127.0.0.1"
EMULATED_SECRET = "test"  # noqa: S105  # nosec B105  # the emulator's own, for the root of any account
"""Secret of the root of every account."""
START_SECONDS = 30.0
"""Time-out of a start, seconds; one second is usual."""
STOP_SECONDS = 10.0
"""Time-out of ending a killed process, seconds."""
SAVE_SECONDS = 300.0
"""Time-out of saving an account, seconds; two are usual."""

SAVED_FILE = "saved"
"""File that exists if the account was saved after its last change."""
KEPT = ("s3", "state")
"""Folders that store an account while its process does not run."""
_TEMPORARY = ("tmp", "home")


@dataclass(frozen=True)
class Credentials:
    """Credentials with which a client signs."""

    access_key_id: str
    secret_access_key: str
    session_token: str | None = None


@dataclass(frozen=True)
class _State:
    """State that `up` saves for later commands."""

    pid: int
    started: float
    """Start of the process, from `started`: a recycled pid has a different start."""
    account: str
    region: str
    port: int
    plain_port: int


def isolate() -> None:
    """Remove the user's AWS account from this process.

    No variable, profile or instance role of the user can then reach a client by mistake.
    """
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(
        AWS_CONFIG_FILE=os.devnull, AWS_SHARED_CREDENTIALS_FILE=os.devnull, AWS_EC2_METADATA_DISABLED="true"
    )


def certificates(folder: Path = TLS, *, names: Iterable[str] = ()) -> Path:
    """Create a certificate authority and a certificate for the loopback interface, once.

    Args:
        folder: Folder for them; the server's key and certificate are in `server.pem`. Default: `build/local/tls`.
        names: Additional names of the server; only the first call's names count. Default: none.

    Returns:
        The authority's certificate, which clients must trust.
    """
    authority, server = folder / "ca.pem", folder / "server.pem"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        if not (authority.exists() and server.exists()):
            ca = trustme.CA(organization_name="Slipway rehearsal")
            certificate = ca.issue_cert(HOST, LOOPBACK, *names)
            write_text(server, certificate.private_key_and_cert_chain_pem.bytes().decode(), mode=0o600)
            write_text(authority, ca.cert_pem.bytes().decode())
    return authority


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def holder_of(port: int) -> str | None:
    """Return the program that listens on a port of the loopback interface.

    Args:
        port: The TCP port.

    Returns:
        Name and pid of the process; "another process" if it belongs to another user; None if the port is free.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            pass
        else:
            return None
    try:
        for connection in psutil.net_connections(kind="tcp"):
            if connection.status != psutil.CONN_LISTEN or not connection.laddr or not connection.pid:
                continue
            if connection.laddr.port == port:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except psutil.Error:
        pass
    return "another process"


class Emulator:
    """One account of AWS on this machine.

    Args:
        account: The twelve digits. Unsigned requests belong to this account too.
        region: The region it serves.
        folder: Folder for its state, its log and its temporary files.
        port: The TLS port. Default: a free one.
        plain_port: The port for plain HTTP, which the emulator's own edge and authorizers call. Default: a free one.
        tls: Folder of the certificates. Default: `build/local/tls`.
        keep: True to save the account in `folder` from a `stop` to the next `start`. Default: it is deleted with the
            process.
        variables: Additional environment variables of the process; functions inherit them. Default: none.
    """

    def __init__(
        self,
        account: str,
        region: str,
        folder: Path,
        *,
        port: int | None = None,
        plain_port: int | None = None,
        tls: Path = TLS,
        keep: bool = False,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self.account = account
        self.region = region
        self.folder = folder.resolve()
        self.port = port or free_port()
        self.plain_port = plain_port or free_port()
        self.tls = tls.resolve()
        self._keep = keep
        self._variables = dict(variables or {})
        self._child: Server | None = None

    @classmethod
    def running(cls, folder: Path, *, tls: Path = TLS, keep: bool = False) -> Self | None:
        """Return the emulator that an earlier command started in this folder, if it still runs.

        Args:
            folder: The folder it was given.
            tls: Folder of the certificates. Default: `build/local/tls`.
            keep: The value it was started with. Default: its account is deleted with its process.
        """
        state = _read_state(folder)
        if state is None or _process(state) is None:
            return None
        return cls(
            state.account, state.region, folder, port=state.port, plain_port=state.plain_port, tls=tls, keep=keep
        )

    @staticmethod
    def lost(folder: Path) -> bool:
        """Return True if an account in this folder was to be kept, but its process ended without saving it."""
        state = _read_state(folder)
        runs = state is not None and _process(state) is not None
        return any((folder / name).exists() for name in KEPT) and not runs and not (folder / SAVED_FILE).exists()

    @property
    def endpoint(self) -> str:
        """Return the endpoint of every API of the account."""
        return f"https://{HOST}:{self.port}"

    @property
    def ca(self) -> Path:
        """The certificate that clients trust."""
        return self.tls / "ca.pem"

    @property
    def log(self) -> Path:
        """Return the file of the process's output."""
        return self.folder / "emulator.log"

    @property
    def faults_file(self) -> Path:
        """File that specifies which requests of functions fail (`slipway.emulator.extensions.faults`)."""
        return self.folder / "faults.json"

    @property
    def root(self) -> Credentials:
        """Credentials of the account's root, whose access key is the account's number."""
        return Credentials(self.account, EMULATED_SECRET)

    @property
    def pid(self) -> int | None:
        """The process; None if it does not run."""
        state = _read_state(self.folder)
        return state.pid if state is not None and _process(state) is not None else None

    @contextmanager
    def lock(self, *, seconds: float = 0) -> Iterator[None]:
        """Lock this account against other commands during the block.

        Args:
            seconds: Maximum time to wait for another command. Default: don't wait.

        Raises:
            RehearsalError: Another command holds it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / "emulator.lock")
        try:
            lock.acquire(timeout=seconds)
        except Timeout:
            raise RehearsalError(f"another command is running in {self.folder}; wait for it, or stop it") from None
        try:
            yield
        finally:
            lock.release()

    def check_ports(self) -> None:
        """Check that the ports are free.

        Raises:
            RehearsalError: A port is in use. The message names the program and says what to do.
        """
        for port in (self.port, self.plain_port):
            if (holder := holder_of(port)) is not None:
                raise RehearsalError(
                    f"port {port} is in use by {holder}; stop it, or choose another port: make up PORT={port + 100}",
                    exit_code=2,
                )

    def start(self) -> None:
        """Start the process and wait until it answers. It outlives the command that starts it.

        Raises:
            RehearsalError: A port is in use, or the process did not start. The message contains the last line of its
                log.
        """
        self.check_ports()
        certificates(self.tls)
        # An earlier process's files are useless unless it saved its account there.
        self._remove(() if self._keep else KEPT)
        for name in (*KEPT, *_TEMPORARY):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        with self.log.open("wb") as log:
            process = self._child = start_server(
                self._command(), folder=self.folder, environment=self._process_environment(), log=log
            )
        try:
            state = _State(
                process.pid, started(psutil.Process(process.pid)), self.account, self.region, self.port, self.plain_port
            )
            write_json(self._state_file, asdict(state))
            self._wait(process)
        except BaseException:
            # It has not started, so the saved account is unchanged.
            self._kill()
            raise
        # From now on the process owns the account, and the saved files are outdated.
        self._saved_file.unlink(missing_ok=True)

    def stop(self) -> bool:
        """Stop the process and its children, as recorded in this folder's state, and nothing else.

        Returns:
            True if there was anything to stop.

        Raises:
            RehearsalError: The account should have been saved but is lost. The process is stopped anyway.
        """
        state = _read_state(self.folder)
        kept = self._save(state) if state is not None and self._keep else True
        stopped = self._kill()
        if not kept:
            raise RehearsalError(f"{self.account} is lost: {self._unsaved()} (see {self.log})")
        return stopped

    def _kill(self) -> bool:
        state = _read_state(self.folder)
        stopped = False
        if state is not None:
            # Killed immediately: the accounts are in memory and are discarded, so there is nothing to clean up. This is
            # done twice, because a function that was starting during the first listing only appears in the second.
            for _ in range(2):
                members = _members(state)
                stopped = stopped or bool(members)
                for member in members:
                    with suppress(psutil.NoSuchProcess):
                        member.kill()
                psutil.wait_procs(members, timeout=STOP_SECONDS)
        if self._child is not None:
            self._child.kill()
            self._child.wait(STOP_SECONDS)
            self._child = None
        self._state_file.unlink(missing_ok=True)
        self._remove(() if self._keep else KEPT)
        return stopped

    def forget(self) -> None:
        """Delete the saved account.

        Raises:
            RehearsalError: The process is running.
        """
        if self.pid is not None:
            raise RehearsalError(f"{self.account} is running; stop it first")
        self._remove(KEPT)

    def _save(self, state: _State) -> bool:
        """Let the process save its account, and return True if it did."""
        process = _process(state)
        if process is None:
            return False
        self._saved_file.unlink(missing_ok=True)
        self._failed_file.unlink(missing_ok=True)
        process.send_signal(SAVE)
        deadline = time.monotonic() + SAVE_SECONDS
        while (
            not self._saved_file.exists()
            and not self._failed_file.exists()
            and time.monotonic() < deadline
            and _process(state) is not None
        ):
            time.sleep(0.02)
        return self._saved_file.exists()

    def _unsaved(self) -> str:
        """Return why the process did not save its account."""
        if self._failed_file.is_file():
            failures = self._failed_file.read_text(encoding="utf-8").splitlines()
            return disk.full(failures) or failures[0]
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines() if self.log.is_file() else []
        return disk.full(lines) or "the emulator did not save it"

    def _remove(self, kept: Iterable[str]) -> None:
        for name in (*_TEMPORARY, *kept):
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def healthy(self) -> bool:
        """Return True if it answers over TLS."""
        try:
            with self.http(timeout=2) as client:
                return client.get("/_ministack/health").is_success
        except httpx.HTTPError:
            return False

    def http(self, *, timeout: float = 30) -> httpx.Client:
        """Return a client that trusts its certificate and uses its address.

        Args:
            timeout: Seconds per request. Default: 30, more than API Gateway's limit for a function.
        """
        # trust_env off: the user's proxy must not be used for the loopback interface.
        context = ssl.create_default_context(cafile=str(self.ca))
        # The emulator closes an idle connection after 5 s, as httpx does: a request on a closing connection waits for
        # the time-out.
        limits = httpx.Limits(keepalive_expiry=2)
        return httpx.Client(base_url=self.endpoint, verify=context, timeout=timeout, trust_env=False, limits=limits)

    def in_region(self, region: str) -> Self:
        """Return the same account as seen in another region: the process serves all of them.

        Args:
            region: The region.
        """
        found = copy(self)
        found.region = region
        return found

    def session(self, credentials: Credentials | None = None) -> boto3.Session:
        """Return a boto3 session whose clients all use this emulator.

        Args:
            credentials: Credentials of the session. Default: the root of the account.
        """
        chosen = credentials or self.root
        key = (self.endpoint, self.region, chosen)
        with _SESSIONS_LOCK:
            if key not in _SESSIONS:
                _SESSIONS[key] = _Session(
                    endpoint=self.endpoint,
                    ca=self.ca,
                    aws_access_key_id=chosen.access_key_id,
                    aws_secret_access_key=chosen.secret_access_key,
                    aws_session_token=chosen.session_token,
                    region_name=self.region,
                )
            return _SESSIONS[key]

    def environment(self, credentials: Credentials | None = None) -> dict[str, str]:
        """Return variables that make any AWS client in another process use this emulator, and nothing else.

        Args:
            credentials: Credentials of the session. Default: the root of the account.
        """
        chosen = credentials or self.root
        home = self.folder.parent / "home"
        home.mkdir(parents=True, exist_ok=True)
        variables = {
            **_base_environment(),
            # The CLI caches in the home folder which account a key belongs to.
            "HOME": str(home),
            "CDK_HOME": str(home),
            "TMPDIR": str(self.folder / "tmp"),
            "AWS_ACCESS_KEY_ID": chosen.access_key_id,
            "AWS_SECRET_ACCESS_KEY": chosen.secret_access_key,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_CA_BUNDLE": str(self.ca),
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NODE_EXTRA_CA_CERTS": str(self.ca),
            "SSL_CERT_FILE": str(self.ca),
        }
        if chosen.session_token:
            variables["AWS_SESSION_TOKEN"] = chosen.session_token
        return variables

    def environments(self, function: str = "", version: str = "") -> list[psutil.Process]:
        """Return the processes in which functions run: their execution environments.

        Args:
            function: Name of one function. Default: all.
            version: One version. Default: all.
        """
        pid = self.pid
        if pid is None:
            return []
        found = []
        for process in psutil.Process(pid).children(recursive=True):
            with suppress(psutil.Error):
                if not any(f"/ministack-lambda-{function}" in argument for argument in process.cmdline()):
                    continue
                if not version or process.environ().get("AWS_LAMBDA_FUNCTION_VERSION") == version:
                    found.append(process)
        return found

    def recycle(self, function: str = "", version: str = "") -> None:
        """End idle execution environments: they free their memory, and the next call starts a new one.

        Args:
            function: Name of one function. Default: those of all.
            version: One version. Default: those of all.
        """
        ended = self.environments(f"{function}-" if function else "", version)
        for process in ended:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        deadline = time.monotonic() + STOP_SECONDS
        # Not `psutil.wait_procs`: the emulator only collects an ended child at its next invocation.
        while any(map(_runs, ended)) and time.monotonic() < deadline:
            time.sleep(0.01)

    @property
    def _state_file(self) -> Path:
        return self.folder / "emulator.json"

    @property
    def _saved_file(self) -> Path:
        return self.folder / SAVED_FILE

    @property
    def _failed_file(self) -> Path:
        return self.folder / f"{SAVED_FILE}{NOT_SAVED}"

    def _command(self) -> list[str]:
        server = str(self.tls / "server.pem")
        return [
            *(sys.executable, "-m", "hypercorn", f"{APPLICATION}:app"),
            # Exactly one: a second process would have a second set of accounts.
            *("--workers", "0"),
            *("--bind", f"{LOOPBACK}:{self.port}", "--insecure-bind", f"{LOOPBACK}:{self.plain_port}"),
            *("--certfile", server, "--keyfile", server),
            *("--graceful-timeout", "1"),
        ]

    def _process_environment(self) -> dict[str, str]:
        """Return the process's environment. Functions inherit it, so it contains nothing from the user's shell."""
        return {
            **_base_environment(),
            "HOME": str(self.folder / "home"),
            "TMPDIR": str(self.folder / "tmp"),
            "S3_DATA_DIR": str(self.folder / "s3"),
            "STATE_DIR": str(self.folder / "state"),
            "AUTH": "true",
            "GATEWAY_PORT": str(self.plain_port),
            "MINISTACK_ACCOUNT_ID": self.account,
            "MINISTACK_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_CA_BUNDLE": str(self.ca),
            "AWS_EC2_METADATA_DISABLED": "true",
            # AWS waits a minute before the first retry of a failed event.
            "LAMBDA_ASYNC_RETRY_BASE_SECONDS": "0.2",
            # Their listeners bind every interface.
            "SFTP_ENABLED": "0",
            "IOT_MTLS_ENABLED": "0",
            **({"PERSIST_STATE": "1", "S3_PERSIST": "1"} if self._keep else {}),
            SAVED: str(self._saved_file),
            FAULTS: str(self.faults_file),
            **self._variables,
        }

    def _wait(self, process: Server) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if process.poll() is not None:
                break
            if self.healthy():
                return
            time.sleep(0.1)
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        last = lines[-1] if lines else "it wrote nothing"
        raise RehearsalError(f"the emulator did not start: {last} (full log: {self.log})")


_LOADER = create_loader()
"""Loads the models of AWS's services, and caches them."""
_SESSIONS: dict[tuple[str, str, Credentials], _Session] = {}
_SESSIONS_LOCK = threading.Lock()


class _Session(boto3.Session):
    """A session that gives the endpoint and its certificate to every client, and creates each client once.

    Creating a client takes a tenth of a second, a new session reads the models of its services again, and a rehearsal
    calls hundreds of times. Several threads may use a client, but not create one.
    """

    def __init__(self, *, endpoint: str, ca: Path, **settings: str | None) -> None:
        super().__init__(**settings)  # type: ignore[arg-type]  # boto3 types each keyword on its own
        self._endpoint, self._ca = endpoint, str(ca)
        self._session.register_component("data_loader", _LOADER)
        self._made: dict[str, Any] = {}
        self._others: weakref.WeakSet[Any] = weakref.WeakSet()
        self._lock = threading.RLock()

    def close(self) -> None:
        """Close the connections of its clients, so that a server that stops doesn't wait for them."""
        with self._lock:
            for client in (*self._made.values(), *self._others):
                client.close()

    def client(self, *args, **settings):  # type: ignore[no-untyped-def]  # the stubs overload it once a service
        with self._lock:
            if len(args) == 1 and not settings:
                if args[0] not in self._made:
                    self._made[args[0]] = super().client(*args, endpoint_url=self._endpoint, verify=self._ca)
                return self._made[args[0]]
            other = super().client(*args, **{"endpoint_url": self._endpoint, "verify": self._ca, **settings})
            self._others.add(other)
            return other

    def resource(self, *args, **settings):  # type: ignore[no-untyped-def]  # as above
        return super().resource(*args, **{"endpoint_url": self._endpoint, "verify": self._ca, **settings})


def session_at(endpoint: str, ca: Path, *, region: str, credentials: Credentials) -> _Session:
    """Return a boto3 session whose every client talks to an endpoint on this machine.

    Args:
        endpoint: URL of the endpoint.
        ca: The certificate that clients trust.
        region: The default region.
        credentials: Credentials of the session.
    """
    return _Session(
        endpoint=endpoint,
        ca=ca,
        aws_access_key_id=credentials.access_key_id,
        aws_secret_access_key=credentials.secret_access_key,
        aws_session_token=credentials.session_token,
        region_name=region,
    )


def _base_environment() -> dict[str, str]:
    return {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}


def _read_state(folder: Path) -> _State | None:
    content = read_json(folder / "emulator.json")
    try:
        return _State(**content) if isinstance(content, dict) else None
    except TypeError:  # Written by another version.
        return None


def started(process: psutil.Process) -> float:
    """Return when a process started, in a form that setting the machine's clock doesn't change.

    Linux counts from the boot, and psutil converts that to the current clock: a machine whose clock is set would no
    longer recognise its own processes (https://psutil.readthedocs.io/latest/#psutil.Process.create_time). Other systems
    keep the time itself.

    Returns:
        Seconds since the boot on Linux, since 1970 elsewhere.
    """
    return process.create_time() - (psutil.boot_time() if psutil.LINUX else 0)


def _process(state: _State) -> psutil.Process | None:
    """Return the process in the state; a recycled pid has another creation time."""
    try:
        process = psutil.Process(state.pid)
        alive = process.is_running() and process.status() != psutil.STATUS_ZOMBIE
        return process if alive and abs(started(process) - state.started) < 1 else None
    except psutil.NoSuchProcess:
        return None


def _runs(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _members(state: _State) -> list[psutil.Process]:
    """Return the process and its children: functions that outlive a killed emulator stay in its process group."""
    members = []
    for process in psutil.process_iter():
        try:
            ours = os.getpgid(process.pid) == state.pid and started(process) >= state.started - 1
            if ours and process.status() != psutil.STATUS_ZOMBIE:
                members.append(process)
        except (psutil.Error, OSError):
            continue
    return members
