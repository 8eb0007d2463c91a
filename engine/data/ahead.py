"""Work on the next pictures while one is being encoded, in threads; what comes of it and its order stay the same."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

EACH = 2
"""Results that wait for each thread: more would only hold pictures in memory."""


def ahead(call: Callable[[Item], Result], items: Iterable[Item], threads: int) -> Iterator[Result]:
    """`call(item)` of each item, in their order; with `threads` 0 each when it is asked for.

    What a call raises is raised in its place; then, and when the caller stops asking, those not begun are given up.
    """
    if threads < 1:
        yield from map(call, items)
        return
    pool = ThreadPoolExecutor(threads, thread_name_prefix="ahead")
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(call, item))
            if len(waiting) > EACH * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
