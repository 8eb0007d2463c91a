"""Connections that are lost: `python -m benchmarks.ssh`, a table and JSON in build/ssh.json.

A real OpenSSH server on loopback, with keys, a configuration and a port of its own, in a temporary folder; where there
is none yet and this is Debian, as root, it installs openssh-server first. Over each connection a training is started
and followed, over a second one it is watched; then both connections are lost in one of several ways. Afterwards the
programs in them must be gone, the engine must not, a new connection must find the run with its whole history, and
what comes out must be equal to the bit to what an undisturbed run makes.
"""

from __future__ import annotations

import argparse
import contextlib
import getpass
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

from benchmarks import small_run
from benchmarks.terminal import Terminal
from engine.plan.files import atomic_write
from engine.runs.folder import RunFolder, list_runs
from engine.runs.lock import look
from engine.runs.state import observe

ASLEEP_SECONDS = 10.0
LOST_AFTER_STEP = 5
PROJECT: dict[str, object] = {"max_train_epochs": 4, "checkpoint_every_n_steps": 100}
PICTURES, REPEATS = 16, 16  # 128 steps an epoch: long enough to lose connections and come back


@dataclass
class Server:
    """An OpenSSH server on loopback; `ssh(…)` is a client's command line for it."""

    folder: Path
    port: int = 0
    process: psutil.Popen | None = None
    variables: dict[str, str] = field(default_factory=dict)

    def prepare(self) -> None:
        """Keys and a configuration; once."""
        for name in ("host_key", "key"):
            make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / name)]
            subprocess.run(make, check=True)
        (self.folder / "authorized_keys").write_bytes((self.folder / "key.pub").read_bytes())
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self.port = found.getsockname()[1]
        lines = [
            f"Port {self.port}",
            "ListenAddress 127.0.0.1",
            f"HostKey {self.folder / 'host_key'}",
            f"AuthorizedKeysFile {self.folder / 'authorized_keys'}",
            f"PidFile {self.folder / 'pid'}",
            "PasswordAuthentication no",
            "PermitRootLogin prohibit-password",
            "StrictModes no",  # the keys lie in a temporary folder
            "UsePAM no",
            "Subsystem sftp internal-sftp",  # what scp copies over
        ]
        (self.folder / "sshd_config").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def start(self) -> None:
        """Start it, and return when it answers."""
        with (self.folder / "sshd.log").open("ab") as log:
            command = [shutil.which("sshd") or "/usr/sbin/sshd", "-D", "-e", "-f", str(self.folder / "sshd_config")]
            # In a session of its own, as a machine's server is: it must not share anything with those who test it.
            self.process = psutil.Popen(command, stdin=subprocess.DEVNULL, stderr=log, start_new_session=True)
        small_run.wait_for(self._answers, "the SSH server", 20.0)

    def _answers(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise RuntimeError(f"sshd ended: {(self.folder / 'sshd.log').read_text()}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1.0):
            return True
        return False

    def kill(self) -> None:
        """The server and every process of it that serves a connection, at once."""
        if self.process is not None:
            for process in [*self.connections(), self.process]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            self.process.wait()
            self.process = None

    def connections(self) -> list[psutil.Process]:
        """The server's own processes, one or two for each connection; not the users' programs in them."""
        if self.process is None:
            return []
        return [child for child in self.process.children(recursive=True) if child.name().startswith("sshd")]

    def client_options(self) -> list[str]:
        """What `ssh` and `scp` need to come in by this server's key, and to know nothing else of this machine."""
        options = {
            "IdentityFile": self.folder / "key",
            "IdentitiesOnly": "yes",
            "StrictHostKeyChecking": "no",
            "UserKnownHostsFile": self.folder / "known_hosts",
            "LogLevel": "ERROR",
        }
        return ["-F", "none", *(part for name, value in options.items() for part in ("-o", f"{name}={value}"))]

    def ssh(self, *arguments: object, terminal: bool) -> list[str]:
        """`ssh -t localhost lora-tui ARGUMENTS`."""
        remote = [f"{name}={value}" for name, value in self.variables.items()]
        remote_line = shlex.join(["exec", "env", *remote, *small_run.command(*arguments)])
        how = "-tt" if terminal else "-T"
        user = f"{getpass.getuser()}@127.0.0.1"
        return ["ssh", *self.client_options(), how, "-p", str(self.port), user, remote_line]


@dataclass
class Outcome:
    """What became of one loss."""

    how: str
    lost_at_step: int = 0
    gone_seconds: float = 0.0  # from then until the programs in the lost connections were gone
    steps_after: int = 0  # that the engine did between the loss and the next connection's first look
    wrong: list[str] = field(default_factory=list)


Lose = Callable[[Server, list[Terminal]], None]


def client_killed(server: Server, clients: list[Terminal]) -> None:
    for client in clients:
        client.send_signal(signal.SIGKILL)


def window_closed(server: Server, clients: list[Terminal]) -> None:
    for client in clients:
        client.close()


def connection_killed(server: Server, clients: list[Terminal]) -> None:
    for process in server.connections():
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def server_killed(server: Server, clients: list[Terminal]) -> None:
    server.kill()
    server.start()


def client_asleep(server: Server, clients: list[Terminal]) -> None:
    """As when a laptop is closed: for a while nothing comes or goes and nobody says so, and then it is given up."""
    for client in clients:
        client.send_signal(signal.SIGSTOP)
    time.sleep(ASLEEP_SECONDS)
    client_killed(server, clients)


LOSSES: dict[str, Lose] = {
    "the client is killed": client_killed,
    "the client's window is closed": window_closed,
    "the server's process of the connection is killed": connection_killed,
    "the whole server is killed": server_killed,
    f"the client says nothing for {ASLEEP_SECONDS:.0f} s and is given up": client_asleep,
}


def install() -> str:
    """Make sure that there are an SSH server and a client; "" or why there are none."""
    if not all(shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin") for name in ("sshd", "ssh")):
        if os.geteuid() or not shutil.which("apt-get"):
            return "there is no sshd, and only root on Debian can install it here"
        for words in (["update"], ["install", "-y", "--no-install-recommends", "openssh-server", "openssh-client"]):
            done = subprocess.run(["apt-get", "-q", *words], capture_output=True, text=True, check=False)
            if done.returncode:
                return f"apt-get {words[0]} failed: {done.stderr.strip()[-500:]}"
    if not os.geteuid():
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd wants it when root starts it by hand
    return ""


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """A server that runs, and at the end nothing of it."""
    folder.mkdir()
    home = folder / "home"
    home.mkdir()
    server = Server(folder)
    own = small_run.environment(home)
    server.variables = {name: own[name] for name in ("HOME", "LANG", "OMP_NUM_THREADS", "PATH")}
    server.prepare()
    server.start()
    try:
        yield server
    finally:
        server.kill()


def lose(server: Server, project: Path, undisturbed: RunFolder, how: str) -> Outcome:
    """Start and watch a training over two connections, lose both, come back over a third."""
    outcome = Outcome(how)
    clients: list[Terminal] = []

    def connect(*arguments: object) -> Terminal:
        env = {**os.environ, "TERM": "xterm-256color"}
        clients.append(Terminal(server.ssh(*arguments, terminal=True), env, project.parent))
        return clients[-1]

    try:
        connect("train", project)
        run = small_run.wait_for_run(project)
        connect("watch", run.path).wait_for("training")
        small_run.wait_for_step(run, LOST_AFTER_STEP)
        engine = psutil.Process(look(run).pid)
        programs = programs_in(server, project)
        if len(programs) != 2:
            outcome.wrong.append(f"{len(programs)} programs are in the connections instead of 2")
        outcome.lost_at_step = observe(run).snapshot.step
        LOSSES[how](server, clients)
        gone = small_run.wait_for(lambda: not any(map(is_alive, programs)), "the programs to be gone")
        outcome.gone_seconds = round(gone, 2)
        if not is_alive(engine) or observe(run).state != "training":
            outcome.wrong.append("the engine did not go on")
        again = connect("watch", run.path)
        again.wait_for("training")
        outcome.steps_after = observe(run).snapshot.step - outcome.lost_at_step
        if small_run.wait_for_end(run) != "finished":
            outcome.wrong.append(f"the run has {observe(run).state}")
        again.wait_for("finished")
        again.type("q")
        again.wait(20.0)
        if again.exit_code:
            outcome.wrong.append(f"the last dashboard ended with {again.exit_code}")
        outcome.wrong += small_run.differences(run, undisturbed)
    finally:
        for client in clients:
            client.end()
        for run in list_runs(project):
            end_engine(run)
    return outcome


def detached(server: Server, project: Path, undisturbed: RunFolder) -> Outcome:
    """`ssh HOST lora-tui train DIR --detach`: comes back at once, though sshd waits for all who hold its pipes."""
    outcome = Outcome("no terminal at all: train --detach in one line")
    began = time.monotonic()
    line = server.ssh("train", project, "--detach", terminal=False)
    done = subprocess.run(line, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    outcome.gone_seconds = round(time.monotonic() - began, 2)
    try:
        if done.returncode:
            outcome.wrong.append(done.stderr.strip())
            return outcome
        run = small_run.wait_for_run(project)
        if observe(run).over:
            outcome.wrong.append("ssh only came back when the training was over")
        outcome.lost_at_step = observe(run).snapshot.step
        small_run.wait_for_end(run)
        outcome.steps_after = observe(run).snapshot.step - outcome.lost_at_step
        outcome.wrong += small_run.differences(run, undisturbed)
    finally:
        for run in list_runs(project):
            end_engine(run)
    return outcome


def programs_in(server: Server, project: Path) -> list[psutil.Process]:
    """The lora-tui commands that run over the server's connections on this project."""
    assert server.process is not None
    found = []
    for process in server.process.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            line = process.cmdline()
            if any(Path(part).name == "lora-tui" for part in line[:2]) and any(str(project) in part for part in line):
                found.append(process)
    return found


def is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def end_engine(run: RunFolder) -> None:
    lock = look(run)
    if lock.status == "held":
        with contextlib.suppress(ProcessLookupError):
            os.kill(lock.pid, signal.SIGKILL)


def campaign(folder: Path) -> list[Outcome]:
    """Every way to lose a connection, one after the other, told as they come; in `folder`, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    env = small_run.environment(folder)
    template = small_run.make_project(folder / "undisturbed", PICTURES, REPEATS, **PROJECT)
    undisturbed = small_run.start(template, env=env)
    if small_run.wait_for_end(undisturbed) != "finished":
        raise RuntimeError("the undisturbed run did not finish")
    outcomes = []
    with serving(folder / "server") as server:
        for number, how in enumerate([*LOSSES, ""], 1):
            project = small_run.copy_project(template, folder / f"lost-{number}")
            lost = lose(server, project, undisturbed, how) if how else detached(server, project, undisturbed)
            outcomes.append(lost)
            said = "; ".join(lost.wrong) or "equal to the bit"
            print(
                f"{lost.how:<50} at step {lost.lost_at_step:>3}  gone in {lost.gone_seconds:4.2f} s  "
                f"{lost.steps_after:>3} steps meanwhile  {said}",
                flush=True,
            )
    return outcomes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, default=Path("build/ssh.json"))
    args = parser.parse_args()
    if why := install():
        sys.exit(f"Nothing was measured: {why}.")
    with tempfile.TemporaryDirectory() as folder:
        outcomes = campaign(Path(folder))
    args.json.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(args.json, json.dumps([asdict(outcome) for outcome in outcomes], indent=1))
    print(f"\nwritten to {args.json}")
    sys.exit(any(outcome.wrong for outcome in outcomes))


if __name__ == "__main__":
    main()
