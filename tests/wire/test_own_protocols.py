"""Faults of the makers' own links, over every entry that speaks one."""

from __future__ import annotations

import pytest

from drivers.definition import load_catalog
from tests.wire.conftest import Case
from tests.wire.judging import judge
from tests.wire.scripts import Step, in_astm_frames, message_file
from tests.wire.wires import Wire

OWN = [
    one.key
    for one in load_catalog()
    if one.protocol == "metin" and one.file.wire is not None and not in_astm_frames(one) and message_file(one.key)
]
SIGN = b"\x04"
"""What ends a message is in the spool too, and has no check."""
every_own_entry = pytest.mark.parametrize("key", OWN)


@every_own_entry
def test_our_acknowledgement_was_lost_and_each_block_comes_again(case: Case) -> None:
    """The whole block again: at most the same message twice, never one message with a part of it twice."""
    if not any(step.holds and step.answer for message in case.messages for step in message):
        pytest.skip("nobody acknowledges here, so nobody repeats")

    async def story() -> None:
        wire = await Wire.to(case.line)
        for message in case.messages:
            for step in message:
                await wire.step(step)
                if step.holds and step.answer:
                    await wire.step(step)
        await wire.close()
        judge(case.line, case.calm, [wire], at_most=2)

    case.yard.run(story())


@every_own_entry
def test_noise_falsifies_each_block_once(case: Case) -> None:
    """Where the protocol has a check: refused, told, sent again, read once."""
    if not _has_check(case):
        pytest.skip("this protocol has no check: noise cannot be told from text")

    async def story() -> None:
        wire = await Wire.to(case.line)
        for message in case.messages:
            for step in message:
                if len(step.holds) > len(SIGN):
                    await wire.step(Step(_falsified(step)))
                await wire.step(step)
        await wire.close()
        judge(case.line, case.calm, [wire])
        assert case.line.troubles, "a block was refused and nobody is told"

    case.yard.run(story())


def _has_check(case: Case) -> bool:
    wire = case.line.definition.file.wire
    assert wire is not None
    return wire.kind != "block" or case.line.definition.link_options().get("check", "none") != "none"


def _falsified(step: Step) -> bytes:
    """A digit of the text with its highest bit set: every check sees that, the weak OR of SEDI-15 too."""
    start = step.data.find(step.holds) + len(step.holds) // 3
    at = next(at for at in range(start, len(step.data)) if step.data[at : at + 1].isdigit())
    return step.data[:at] + bytes([step.data[at] | 0x80]) + step.data[at + 1 :]
