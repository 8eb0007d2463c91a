"""A process that looks at pictures for another one: a path a line comes in, what was seen goes out.

The app paints while thousands of pictures are looked at, and threads of its own would take turns with it at every
picture. A process can also step back behind everybody else, and a file that makes a decoder crash takes only it along.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import engine
from engine.plan.looks import Look, from_row, look_at

_NICENESS = 10  # a training, and the keys of the app, come first


class Worker:
    """The other side of the process, which begins when it is first asked. answered: whether it ever did."""

    def __init__(self) -> None:
        self.answered = False
        self._process: subprocess.Popen[bytes] | None = None

    def look_at(self, path: Path) -> Look | None:
        """As `looks.look_at`; None also where the process does not outlive it. Raises OSError where none begins."""
        if self._process is None:
            self._process = _begin()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(str(path)).encode() + b"\n")
            self._process.stdin.flush()
            row = json.loads(self._process.stdout.readline())
            self.answered = True
            return from_row(row)
        except (OSError, ValueError, TypeError):
            self.end()
            if not self.answered:
                raise OSError("no process that looks at pictures") from None
            return None

    def end(self) -> None:
        """End the process, also in the middle of a picture."""
        process, self._process = self._process, None
        if process is not None and process.stdin is not None and process.stdout is not None:
            process.kill()
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(OSError):  # what was not sent yet
                    pipe.close()
            process.wait()


def _begin() -> subprocess.Popen[bytes]:
    code = [str(Path(engine.__file__).parent.parent), os.environ.get("PYTHONPATH", "")]
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "engine.plan.look_worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, code))},
        start_new_session=True,  # Ctrl-C is for the command that it works for
    )


def main() -> None:
    """Answer until nobody asks any more; whoever ends, however hard, closes the pipe."""
    with contextlib.suppress(OSError):
        os.nice(_NICENESS)
    for line in sys.stdin.buffer:
        look = look_at(Path(json.loads(line)))
        sys.stdout.buffer.write(json.dumps(look.as_row() if look is not None else []).encode() + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
