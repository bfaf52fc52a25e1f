"""Things that are said elsewhere than where they happen: a bounded queue, and a thread that carries them away."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

T = TypeVar("T")

_CLOSE_S: Final = 5.0


class Conveyor(Generic[T]):
    """Takes things without ever waiting, and hands them on in batches. What finds no room is dropped and counted."""

    def __init__(
        self,
        carry: Callable[[Sequence[T]], None],
        *,
        name: str,
        room: int = 4096,
        batch: int = 512,
        every_s: float = 1.0,
        hurry: Callable[[], None] | None = None,
    ) -> None:
        """Build.

        Args:
            carry: is called with batches, in a thread; it raises nothing.
            name: of the thread.
            room: how many may wait.
            batch: how many are handed on at once.
            every_s: how long the first one waits for others.
            hurry: makes a `carry` that is under way return soon.
        """
        self._carry = carry
        self._name = name
        self._waiting: deque[T] = deque()
        self._room = room
        self._batch = batch
        self._every_s = every_s
        self._hurry = hurry
        self._wake = threading.Event()
        self._closing = False
        self._thread: threading.Thread | None = None
        self.dropped = 0
        """How many found no room."""

    def put(self, one: T) -> None:
        """Take one."""
        if len(self._waiting) >= self._room:
            self.dropped += 1
            return
        self._waiting.append(one)
        if len(self._waiting) >= self._batch:
            self._wake.set()

    def start(self) -> None:
        """Begin to carry."""
        # Not waited for at the end of the process: what it waits for may be away.
        self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Carry what waits, within 5 seconds, and stop."""
        if self._thread is None:
            return
        self._closing = True
        self._wake.set()
        self._thread.join(_CLOSE_S)
        if self._hurry is not None:
            self._hurry()
            self._thread.join(1)
        self._thread = None

    def _run(self) -> None:
        while not self._closing:
            self._wake.wait(self._every_s)
            self._wake.clear()
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), self._batch))]
                self._carry(batch)
