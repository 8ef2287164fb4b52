"""Faults of MLLP, over every HL7 entry of the catalogue."""

from __future__ import annotations

import pytest

from drivers.definition import load_catalog
from tests.wire.conftest import Case
from tests.wire.judging import goes_on, judge
from tests.wire.scripts import FS, VT, Step
from tests.wire.wires import Wire
from tests.wire.yard import turns

HL7 = [one.key for one in load_catalog() if one.protocol == "hl7"]
every_hl7_entry = pytest.mark.parametrize("key", HL7)


def shaped(step: Step, before: bytes, after: bytes) -> Step:
    """The same message in other clothes."""
    text = step.data.strip(VT + FS + b"\r") + b"\r"
    return Step(before + text + after, step.answer, text)


@every_hl7_entry
@pytest.mark.parametrize(
    ("before", "after"),
    [(b"", FS + b"\r"), (VT, FS), (VT, FS + b"\r\n"), (VT, FS + FS + b"\r"), (VT, b"\r" + FS + b"\r"), (VT + VT, FS + b"\r")],
    ids=["no VT", "no CR", "LF behind", "two FS", "an empty line before FS", "two VT"],
)  # fmt: skip
def test_block_marks_that_peers_get_wrong(case: Case, before: bytes, after: bytes) -> None:
    async def story() -> None:
        wire = await Wire.to(case.line)
        for message in case.messages:
            for step in message:
                await wire.step(shaped(step, before, after))
        await wire.close()
        judge(case.line, case.calm, [wire])

    case.yard.run(story())


@every_hl7_entry
def test_the_end_mark_comes_late(case: Case) -> None:
    """Twenty seconds between the last segment and FS: one message, once."""

    async def story() -> None:
        wire = await Wire.to(case.line)
        for message in case.messages:
            for step in message:
                await wire.in_parts(step.data[:-2])
                await turns(4)
                case.yard.loop.turn(20)
                await turns(4)
                await wire.step(step, step.data[-2:])
        await wire.close()
        judge(case.line, case.calm, [wire])
        assert case.line.troubles == case.calm.troubles

    case.yard.run(story())


@every_hl7_entry
def test_our_answer_was_lost_and_every_message_comes_again(case: Case) -> None:
    """With the same control id, on the same connection: answered again, and known by its fingerprint."""

    async def story() -> None:
        wire = await Wire.to(case.line)
        for message in case.messages:
            for step in message:
                await wire.step(step)
                await wire.step(step)
        await wire.close()
        judge(case.line, case.calm, [wire], at_least=2, at_most=2)

    case.yard.run(story())


@every_hl7_entry
def test_a_block_without_its_end_is_overtaken_by_the_next(case: Case) -> None:
    """Two messages are never read as one: what had no end is refused, told, and comes again."""

    async def story() -> None:
        wire = await Wire.to(case.line)
        for message in case.messages:
            for step in message:
                await wire.in_parts(step.data[: len(step.data) * 2 // 3])
                await wire.step(step)
        await wire.close()
        judge(case.line, case.calm, [wire])
        assert any("HL7 bloğu alınamadı" in sentence for sentence in case.line.troubles)
        await goes_on(case.line, case.calm, case.messages)

    case.yard.run(story())


@every_hl7_entry
@pytest.mark.parametrize("charset", ["windows-1254", "cp857", "utf-8"])
def test_names_in_eight_bit_text(case: Case, charset: str) -> None:
    name = "ÇAĞRI^İŞGÜÖ ığşç".encode(charset)

    async def story() -> None:
        wire = await Wire.to(case.line)
        for message in case.messages:
            for step in message:
                await wire.step(Step(_named(step.data, name), step.answer))
        await wire.close()
        came = [[_known(one) for one in delivery.observations] for delivery in case.line.deliveries]
        kept = b"".join(delivery.raw for delivery in case.line.deliveries)
        case.line.fresh()
        wire = await Wire.to(case.line)
        await wire.messages(case.messages)
        await wire.close()
        assert came == [[_known(one) for one in delivery.observations] for delivery in case.line.deliveries]
        assert b"\rPID|" not in kept or name in kept

    case.yard.run(story())


def _named(data: bytes, name: bytes) -> bytes:
    segments = data.split(b"\r")
    for place, segment in enumerate(segments):
        if segment[:4] == b"PID|":
            fields = segment.split(b"|")
            fields += [b""] * (6 - len(fields))
            fields[5] = name
            segments[place] = b"|".join(fields)
    return b"\r".join(segments)


def _known(observation: object) -> tuple[object, ...]:
    return tuple(getattr(observation, field) for field in ("kind", "specimen", "test", "value", "unit", "flags"))
