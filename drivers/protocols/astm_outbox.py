"""Outgoing transfers of one ASTM line: their order, how far the first one came, when it may start (again)."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from drivers.protocols.astm_events import SendDone, SendFailed, SendPostponed, SendStarted, SendWhy

__all__ = ["Outbox"]


@dataclass(slots=True)
class _Transfer:
    token: object
    frames: tuple[bytes, ...]
    failures: int = 0  # attempts that ended without success
    turned_down: int = 0  # ENQs of this attempt that met a busy receiver or contention
    index: int = 0  # of the frame that is out
    tries: int = 0  # how often that frame was refused


class Outbox:
    """A queue whose head is sent whole or not at all. Times are the link's."""

    __slots__ = ("_enq_tries", "_frame_tries", "_hold_until", "_max_attempts", "_queue", "_yielding")

    def __init__(self, *, max_attempts: int, enq_tries: int, frame_tries: int) -> None:
        self._max_attempts = max_attempts
        self._enq_tries = enq_tries
        self._frame_tries = frame_tries
        self._queue: deque[_Transfer] = deque()
        self._hold_until = 0.0  # no own ENQ before this
        self._yielding = False  # ... unless the peer, to whom the line was left, has sent something before

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def not_before(self) -> float:
        """When the head of the queue may start."""
        return self._hold_until

    def add(self, frames: Sequence[bytes], token: object) -> None:
        """Queue one transfer behind the others."""
        self._queue.append(_Transfer(token, tuple(frames)))

    def remove(self, token: object, *, but_the_first: bool) -> bool:
        """Take a transfer out; the first only if it is not under way."""
        for place, transfer in enumerate(self._queue):
            if transfer.token == token and not (place == 0 and but_the_first):
                del self._queue[place]
                return True
        return False

    def begin(self) -> SendStarted:
        """Start the head of the queue over, whole."""
        transfer = self._queue[0]
        transfer.index = transfer.tries = 0
        return SendStarted(transfer.token, transfer.failures + 1)

    @property
    def frame(self) -> bytes:
        """The frame that is to go out now."""
        transfer = self._queue[0]
        return transfer.frames[transfer.index]

    @property
    def whole(self) -> bytes:
        """All frames of the head in a row, for lines on which nobody answers."""
        return b"".join(self._queue[0].frames)

    def accepted(self) -> bool:
        """The frame that is out was accepted; False when it was the last one."""
        transfer = self._queue[0]
        if transfer.index + 1 == len(transfer.frames):
            return False
        transfer.index += 1
        transfer.tries = 0
        return True

    def refused(self) -> bool:
        """The frame that is out was refused; False when it has been tried often enough (6.5.1)."""
        self._queue[0].tries += 1
        return self._queue[0].tries < self._frame_tries

    def done(self) -> SendDone:
        """The head went through."""
        return SendDone(self._queue.popleft().token)

    def turned_down(self, why: SendWhy, now: float, wait: float, *, yielding: bool) -> SendPostponed | SendFailed:
        """The peer did not let us begin; ask again after `wait`, or sooner once a peer we yield to has sent."""
        transfer = self._queue[0]
        transfer.turned_down += 1
        if transfer.turned_down >= self._enq_tries:
            return self.failed(why, now, wait, yielding=yielding)
        return self._postpone(transfer, why, now, wait, yielding=yielding)

    def failed(self, why: SendWhy, now: float, wait: float, *, yielding: bool = False) -> SendPostponed | SendFailed:
        """An attempt failed; the transfer starts over later, or is given up after its last attempt."""
        transfer = self._queue[0]
        transfer.failures += 1
        transfer.turned_down = 0
        if transfer.failures >= self._max_attempts:
            self._queue.popleft()
            self.hold(now + wait, yielding=yielding)
            return SendFailed(transfer.token, why)
        return self._postpone(transfer, why, now, wait, yielding=yielding)

    def _postpone(self, transfer: _Transfer, why: SendWhy, now: float, wait: float, *, yielding: bool) -> SendPostponed:
        self.hold(now + wait, yielding=yielding)
        return SendPostponed(transfer.token, why, self._hold_until)

    def hold(self, until: float, *, yielding: bool) -> None:
        """No own ENQ before `until`."""
        if until >= self._hold_until:
            self._hold_until, self._yielding = until, yielding

    def peer_has_sent(self, now: float) -> None:
        """The peer used the line: what was held off for its sake alone may go on, and has not failed in vain."""
        if self._yielding:
            self._hold_until, self._yielding = now, False
        if self._queue:
            self._queue[0].turned_down = 0

    def release(self, now: float) -> None:
        """A new connection: nothing is held off."""
        self._hold_until, self._yielding = now, False
