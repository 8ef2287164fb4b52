"""What must hold after every fault (architecture, invariants 1, 2 and 4)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from drivers.messages import Delivery
from tests.wire.scripts import Message
from tests.wire.wires import Wire
from tests.wire.yard import Line


def content(delivery: Delivery) -> bytes:
    """What a delivery says, to compare: its observations, in order."""
    return msgspec.json.encode(delivery.observations)


@dataclass(frozen=True, slots=True)
class Undisturbed:
    """What comes of an entry's messages on a good line: (fingerprint, observations) of each, in order."""

    said: list[tuple[bytes, bytes]]
    troubles: list[str]

    @property
    def times(self) -> Counter[bytes]:
        return Counter(fingerprint for fingerprint, _ in self.said)


async def undisturbed(line: Line, messages: Sequence[Message]) -> Undisturbed:
    """Send them once, everything answered, nothing disturbed."""
    line.fresh()
    wire = await Wire.to(line)
    await wire.messages(messages)
    await wire.close()
    assert line.deliveries, "nothing was delivered"
    whole = [one for one in line.deliveries if one.whole]
    assert len(whole) == len(line.deliveries), [one.problem for one in line.deliveries]
    acknowledged_is_kept(line, [wire])
    return Undisturbed([(one.fingerprint, content(one)) for one in line.deliveries], line.troubles)


def acknowledged_is_kept(line: Line, wires: Iterable[Wire]) -> None:
    """Every byte that the gateway said it had, it has."""
    kept = b"\n".join(one.raw for one in line.deliveries)
    for wire in wires:
        for one in wire.acknowledged:
            assert one in kept, f"acknowledged and nowhere: {one!r}"


def judge(
    line: Line,
    calm: Undisturbed,
    wires: Iterable[Wire],
    *,
    at_least: int = 1,
    at_most: int = 1,
) -> None:
    """Every message of the entry came between so many times, each time as on a good line; nothing else came whole.

    More than once only where the sender repeated it, and then with one fingerprint, so that it is applied once.
    """
    acknowledged_is_kept(line, wires)
    keys = [one.key for one in line.deliveries]
    assert len(keys) == len(set(keys)), "one key, two deliveries"
    known = dict(calm.said)
    for one in line.deliveries:
        if one.whole:
            assert one.fingerprint in known, f"nobody sent this: {one.raw!r} -> {one.observations}"
            assert content(one) == known[one.fingerprint]
        else:
            assert one.observations == [] and one.problem, "a part of a message must not be applied"
    came = Counter(one.fingerprint for one in line.deliveries if one.whole)
    for fingerprint, times in calm.times.items():
        assert times * at_least <= came[fingerprint] <= times * at_most, (
            f"{came[fingerprint]} instead of {times * at_least}-{times * at_most}: {line.written}"
        )


async def goes_on(line: Line, calm: Undisturbed, messages: Sequence[Message], wire: Wire | None = None) -> None:
    """The line takes the next good messages, each once: on this connection, or on a new one."""
    line.fresh()
    if wire is None or wire.closed:
        wire = await Wire.to(line)
    wire.acknowledged.clear()
    await wire.messages(messages)
    await wire.close()
    judge(line, calm, [wire])
