"""Faults that every line may meet, over every entry of the catalogue, whatever its protocol."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from tests.drivers.test_catalogue_contract import KEYS
from tests.wire.conftest import Case
from tests.wire.judging import goes_on, judge
from tests.wire.scripts import Step
from tests.wire.wires import Wire
from tests.wire.yard import turns

every_entry = pytest.mark.parametrize("key", KEYS)
NOISE = b"\xfe~\x00\x7f#"


def cut_in_two(data: bytes, chance: random.Random) -> tuple[bytes, bytes]:
    at = chance.randrange(1, len(data)) if len(data) > 1 else 0
    return data[:at], data[at:]


def places(case: Case, count: int) -> Iterator[tuple[int, int, int]]:
    """Places (message, step, byte) where a line may break: inside and between steps, sampled when there are many."""
    found = [
        (m, s, at)
        for m, message in enumerate(case.messages)
        for s, step in enumerate(message)
        for at in (0, len(step.data) // 2)
        if (m, s, at) != (0, 0, 0)
    ]
    chance = random.Random(case.line.definition.key)
    yield from sorted(chance.sample(found, min(count, len(found))))


async def up_to(wire: Wire, case: Case, message: int, step: int, at: int) -> None:
    """Send everything before this place; then nothing."""
    await wire.messages(case.messages[:message])
    for one in case.messages[message][:step]:
        await wire.step(one)
    await wire.in_parts(case.messages[message][step].data[:at])


# ---- cuts and merges


@every_entry
def test_the_network_cuts_between_all_bytes(case: Case) -> None:
    async def story() -> None:
        wire = await Wire.to(case.line)
        for message in case.messages:
            for step in message:
                await wire.step(step, *(step.data[at : at + 1] for at in range(len(step.data))))
        await wire.close()
        judge(case.line, case.calm, [wire])
        assert case.line.troubles == case.calm.troubles

    case.yard.run(story())


@every_entry
def test_the_network_cuts_once_in_every_step(case: Case) -> None:
    """Two reads a step, the cut elsewhere each time."""
    rounds = 1 if case.line.definition.link_options().get("start") == "" else 2  # strips: what a printer feeds between

    async def story() -> None:
        chance = random.Random(case.line.definition.key)
        wire = await Wire.to(case.line)
        for _ in range(rounds):
            for message in case.messages:
                for step in message:
                    await wire.step(step, *cut_in_two(step.data, chance))
        await wire.close()
        judge(case.line, case.calm, [wire], at_least=rounds, at_most=rounds)
        assert set(case.line.troubles) == set(case.calm.troubles)

    case.yard.run(story())


@every_entry
def test_everything_arrives_in_one_segment(case: Case) -> None:
    """A sender that waits for nobody, or a network that kept it back: the order holds, each message is its own."""

    async def story() -> None:
        wire = await Wire.to(case.line)
        wire.write(b"".join(step.data for message in case.messages for step in message))
        await wire.close()
        judge(case.line, case.calm, [])
        order = [fingerprint for fingerprint, _ in case.calm.said]
        assert [one.fingerprint for one in case.line.deliveries] == order
        await goes_on(case.line, case.calm, case.messages)

    case.yard.run(story())


# ---- lines that break


@every_entry
def test_the_line_is_cut_and_the_instrument_sends_again(case: Case) -> None:
    async def story() -> None:
        for place in places(case, 4):
            case.line.fresh()
            first = await Wire.to(case.line)
            await up_to(first, case, *place)
            first.cut()
            await case.line.hung_up()
            again = await Wire.to(case.line)
            await again.messages(case.messages)
            await again.close()
            judge(case.line, case.calm, [first, again], at_most=2)
            if any(not one.whole for one in case.line.deliveries):
                assert case.line.troubles, "a message broke off and nobody is told"

    case.yard.run(story())


@every_entry
def test_the_instrument_falls_silent_and_begins_again(case: Case) -> None:
    """A minute without a byte, in every state of the line; then the same peer sends everything anew."""
    if case.line.definition.link_options().get("pause"):
        pytest.skip("a printed strip: a pause is its end, so nothing tells a whole one from a part")

    async def story() -> None:
        for place in places(case, 4):
            case.line.fresh()
            wire = await Wire.to(case.line)
            await up_to(wire, case, *place)
            await case.line.silence()
            wire.forget()
            await wire.messages(case.messages)
            await wire.close()
            judge(case.line, case.calm, [wire], at_most=2)
            if any(not one.whole for one in case.line.deliveries):
                assert case.line.troubles, "a message broke off and nobody is told"

    case.yard.run(story())


# ---- noise


@every_entry
def test_noise_between_frames_is_told_and_harms_nothing(case: Case) -> None:
    wire_table = case.line.definition.file.wire
    options = case.line.definition.link_options()
    if wire_table is not None and options.get("start") == "":
        pytest.skip("bare lines: nothing tells noise from text")
    between_messages_only = options.get("framing") == "raw"

    async def story() -> None:
        wire = await Wire.to(case.line)
        for message in case.messages:
            for place, step in enumerate(message):
                if _takes_noise(step) and not (between_messages_only and place):
                    await wire.in_parts(NOISE + b"\r" if between_messages_only else NOISE)
                    await turns(4)
                await wire.step(step)
        await wire.close()
        judge(case.line, case.calm, [wire])
        assert any("Anlamsız" in sentence for sentence in case.line.troubles), case.line.written
        await goes_on(case.line, case.calm, case.messages)

    case.yard.run(story())


def _takes_noise(step: Step) -> bool:
    """Whether noise before this step is outside of everything: not where a frame's line end is still to come."""
    return step.data[:1] not in b"\r\n"
