"""A terminal of our own: a real pty with a program in it, its keys, and its screen as a person would see it."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pexpect
import psutil
import pyte


class Terminal:
    """`command` in a new pty, which is its controlling terminal and the only one it knows.

    A thread reads all that it writes, as terminals do, and draws it. `lines`, `columns`: the size in cells.
    """

    def __init__(
        self, command: Sequence[str], env: Mapping[str, str], cwd: Path, lines: int = 30, columns: int = 100
    ) -> None:
        # A size in the environment, as parallel tests have it, would be believed before the terminal's own.
        env = {name: value for name, value in env.items() if name not in ("LINES", "COLUMNS")}
        self._child = pexpect.spawn(
            command[0], list(command[1:]), env=env, cwd=str(cwd), dimensions=(lines, columns), echo=False
        )
        self._pty = os.dup(self._child.child_fd)  # closing by pexpect would send signals of its own
        self._child.ptyproc.fileobj.close()
        self._child.ptyproc.closed = self._child.closed = True
        self._closed = False
        self.process = psutil.Process(self._child.pid)
        self.written = 0  # bytes, by the program
        self.alternate_screen = False
        self._screen = pyte.Screen(columns, lines)
        self._screen.write_process_input = self._reply
        self._stream = pyte.ByteStream(self._screen)
        self._mutex = threading.Lock()
        self._leave, self._left = os.pipe()  # a read that waits would keep the pty open while it is being closed
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def text(self) -> str:
        """What stands on the screen now."""
        with self._mutex:
            return "\n".join(line.rstrip() for line in self._screen.display)

    @property
    def cursor_shown(self) -> bool:
        return not self._screen.cursor.hidden

    def type(self, keys: str) -> None:
        os.write(self._pty, keys.encode())

    def disturb(self, text: str) -> None:
        """What another program writes on the same terminal."""
        with self._mutex:
            self._stream.feed(text.encode())

    def wait_for(self, text: str, seconds: float = 60.0) -> float:
        """Until `text` stands on the screen; the seconds that it took. Raises TimeoutError with the screen."""
        began = time.monotonic()
        while text not in self.text:
            if time.monotonic() - began > seconds or not self.running:
                raise TimeoutError(f"{text!r} is not on the screen:\n{self.text}")
            time.sleep(0.01)
        return time.monotonic() - began

    @property
    def running(self) -> bool:
        return bool(self._child.isalive())

    def wait(self, seconds: float = 60.0) -> float:
        """Until the program is gone; the seconds that it took. Raises TimeoutError with its CPU time and its screen."""
        began = time.monotonic()
        while self._child.isalive():
            if time.monotonic() - began > seconds:
                raise TimeoutError(f"still there after {self.process.cpu_times()}:\n{self.text}")
            time.sleep(0.005)
        return time.monotonic() - began

    @property
    def exit_code(self) -> int | None:
        """None where a signal ended it, or where it has not ended."""
        code: int | None = self._child.exitstatus
        return code

    def send_signal(self, number: signal.Signals) -> None:
        os.kill(self._child.pid, number)

    def close(self) -> None:
        """Close the window: the pty is gone, and the kernel sends SIGHUP to those in it."""
        if self._closed:
            return
        self._closed = True
        os.close(self._left)
        self._reader.join()
        os.close(self._leave)
        os.close(self._pty)

    def end(self) -> None:
        """After a test: nothing of it stays."""
        if self._child.isalive():
            os.kill(self._child.pid, signal.SIGKILL)
            self.wait()
        self.close()

    def _read(self) -> None:
        fd = self._pty
        while self._leave not in select.select([fd, self._leave], [], [])[0]:
            try:
                data = os.read(fd, 65536)
            except OSError:  # nobody is in the pty any more
                return
            self.written += len(data)
            entered, left = data.rfind(b"\x1b[?1049h"), data.rfind(b"\x1b[?1049l")  # pyte has but one screen
            if entered != left:
                self.alternate_screen = entered > left
            with self._mutex:
                self._stream.feed(data)

    def _reply(self, data: str) -> None:
        with contextlib.suppress(OSError):
            os.write(self._pty, data.encode())
