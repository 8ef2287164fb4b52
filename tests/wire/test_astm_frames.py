"""Faults of the ASTM data link, over every entry whose link is framed as E1381 asks (CLSI LIS01-A2)."""

from __future__ import annotations

import pytest

from drivers.definition import Definition, load_catalog
from tests.wire.conftest import Case
from tests.wire.judging import acknowledged_is_kept, goes_on, judge
from tests.wire.scripts import (
    NAK,
    Message,
    Step,
    astm_message,
    astm_records,
    in_astm_frames,
    message_file,
    renumbered,
    wrong_checksum,
)
from tests.wire.wires import AstmWire, Wire


def framed(definition: Definition) -> bool:
    return in_astm_frames(definition) and definition.link_options().get("framing", "e1381") == "e1381"


CATALOG = load_catalog()
FRAMED = [one.key for one in CATALOG if framed(one) and message_file(one.key) is not None]
ANSWERING = [key for key in FRAMED if CATALOG.get(key).answers and CATALOG.get(key).protocol == "astm"]
every_framed_entry = pytest.mark.parametrize("key", FRAMED)
every_answering_entry = pytest.mark.parametrize("key", ANSWERING)
CHARACTER_SETS = ("windows-1254", "cp857", "utf-8")


def is_frame(step: Step) -> bool:
    return bool(step.holds)


async def dial(case: Case) -> AstmWire:
    wire = await Wire.to(case.line)
    assert isinstance(wire, AstmWire)
    return wire


@every_framed_entry
def test_our_acknowledgement_was_lost_every_time(case: Case) -> None:
    """The instrument sends each ENQ and each frame again, and goes on: nothing is double."""

    async def story() -> None:
        wire = await dial(case)
        for message in case.messages:
            for step in message:
                await wire.step(step)
                if step.answer:
                    await wire.step(step)
        await wire.close()
        judge(case.line, case.calm, [wire])

    case.yard.run(story())


@every_framed_entry
def test_noise_falsifies_each_frame_once(case: Case) -> None:
    """Refused, sent again, taken: no falsified text is ever read."""
    if case.line.definition.link_options().get("checksum") == "none":
        pytest.skip("this model sends no checksum: noise cannot be told from text")

    async def story() -> None:
        wire = await dial(case)
        for message in case.messages:
            for step in message:
                if is_frame(step):
                    await wire.step(Step(wrong_checksum(step.data), NAK))
                await wire.step(step)
        await wire.close()
        judge(case.line, case.calm, [wire])
        assert any("sağlama toplamı yanlış" in one or "denetim" in one for one in case.line.troubles)

    case.yard.run(story())


@every_framed_entry
def test_a_frame_number_is_skipped(case: Case) -> None:
    """A frame is missing in between: the one after it is refused until the missing one has come."""
    if case.line.definition.link_options().get("number_modulus") == "any":
        pytest.skip("this model numbers as it likes: a gap means nothing")

    async def story() -> None:
        wire = await dial(case)
        for message in case.messages:
            for step in message:
                wraps = is_frame(step) and step.data[1:2] in b"0189"  # models that count otherwise loosen the rule here
                ahead = 3 if is_frame(step) and (step.data[1] - 48 + 3) % 8 != 1 else 4
                if is_frame(step) and not wraps:
                    await wire.step(Step(renumbered(step.data, ahead), NAK))
                await wire.step(step)
        await wire.close()
        judge(case.line, case.calm, [wire])
        assert any("numarası sırada değil" in one or "alınmadı" in one for one in case.line.troubles)

    case.yard.run(story())


@every_framed_entry
def test_a_frame_breaks_off_and_is_sent_again(case: Case) -> None:
    async def story() -> None:
        wire = await dial(case)
        for message in case.messages:
            for step in message:
                if is_frame(step):
                    await wire.in_parts(step.data[: len(step.data) // 2])
                await wire.step(step)
        await wire.close()
        judge(case.line, case.calm, [wire])
        assert any("yarıda" in one or "alınmadı" in one for one in case.line.troubles), case.line.written

    case.yard.run(story())


@every_framed_entry
def test_the_end_of_transmission_is_lost(case: Case) -> None:
    """No EOT behind a message: the next ENQ, or the next first frame, begins the next one."""
    if case.line.definition.protocol != "astm":
        pytest.skip("text in frames: only EOT tells that it has ended")

    async def story() -> None:
        wire = await dial(case)
        for _ in range(2):
            for message in case.messages:
                for step in message[:-1]:
                    await wire.step(step)
        await wire.close()
        judge(case.line, case.calm, [wire], at_least=2, at_most=2)

    case.yard.run(story())


@every_framed_entry
def test_the_instrument_begins_anew_in_the_middle(case: Case) -> None:
    """It restarts after every frame but the last: what it had sent by then is kept, never applied as if it were all."""
    if case.line.definition.protocol != "astm":
        pytest.skip("text in frames: only EOT tells that it has ended")

    async def story() -> None:
        wire = await dial(case)
        message = case.messages[0]
        frames = [place for place, step in enumerate(message) if is_frame(step)]
        for place in frames[:-1][-4:]:
            for step in message[: place + 1]:
                await wire.step(step)
        await wire.messages(case.messages)
        await wire.close()
        judge(case.line, case.calm, [wire])
        parts = [one for one in case.line.deliveries if not one.whole]
        restarts = len(frames[:-1][-4:])
        assert restarts - 1 <= len(parts) <= restarts  # a first frame alone, sent again, is a repeated frame
        assert case.line.troubles

    case.yard.run(story())


@every_framed_entry
def test_all_messages_in_one_session(case: Case) -> None:
    """One ENQ, every message behind the other with numbers that run on, one EOT."""
    definition = case.line.definition
    if definition.protocol != "astm":
        pytest.skip("text in frames: a session is a message")

    async def story() -> None:
        path = message_file(definition.key)
        assert path is not None
        records = [record for message in astm_records(path.read_bytes()) for record in message]
        wire = await dial(case)
        await wire.message(astm_message(definition, records))
        await wire.close()
        judge(case.line, case.calm, [wire])

    case.yard.run(story())


@every_framed_entry
@pytest.mark.parametrize("charset", CHARACTER_SETS)
def test_names_in_eight_bit_text(case: Case, charset: str) -> None:
    """Turkish names in whatever set the instrument was told: the bytes are kept, the results are the same."""
    definition = case.line.definition
    if definition.protocol != "astm":
        pytest.skip("its own text: no field for a name")
    path = message_file(definition.key)
    assert path is not None
    if charset != "utf-8" and not path.read_bytes().isascii():
        pytest.skip("its message has other 8-bit text already: one message has one character set")
    name = "ÇAĞRI^İŞGÜÖ ığşç".encode(charset)

    async def story() -> None:
        wire = await dial(case)
        for records in astm_records(path.read_bytes()):
            named = [_named(record, name) if record[:2] == b"P|" else record for record in records]
            await wire.message(astm_message(definition, named))
        await wire.close()
        came = [[_known(one) for one in delivery.observations] for delivery in case.line.deliveries]
        case.line.fresh()
        wire = await dial(case)
        await wire.messages(case.messages)
        await wire.close()
        assert came == [[_known(one) for one in delivery.observations] for delivery in case.line.deliveries]

    case.yard.run(story())


def _named(record: bytes, name: bytes) -> bytes:
    fields = record.split(b"|")
    fields += [b""] * (6 - len(fields))
    fields[5] = name
    return b"|".join(fields)


def _known(observation: object) -> tuple[object, ...]:
    return tuple(getattr(observation, field) for field in ("kind", "specimen", "test", "value", "unit", "flags"))


# ---- when we want to speak


@every_answering_entry
def test_both_want_the_line(case: Case) -> None:
    """Our ENQ meets the instrument's: it goes first, everything it says is taken, our answer comes later."""

    async def story() -> None:
        wire = await dial(case)
        question = await _question(case, wire)
        heard = len(wire.heard)
        case.line.fresh()
        wire.contends = True
        await wire.message(question)
        await case.yard.rest()
        assert wire.contentions == 1
        case.yard.loop.turn(1.5)  # nobody answers an ENQ that met another; the instrument asks again after a second
        await wire.message(question)
        assert len(wire.heard) == heard, "the host insisted"
        await case.line.silence(60)
        assert len(wire.heard) > heard, "the answer never came"
        acknowledged_is_kept(case.line, [])
        assert {one.fingerprint for one in case.line.deliveries} <= case.calm.times.keys()
        await goes_on(case.line, case.calm, case.messages, wire)

    case.yard.run(story())


async def _question(case: Case, wire: AstmWire) -> Message:
    """The message of this entry that is answered by a transfer of ours."""
    for message in case.messages:
        before = wire.asked
        await wire.message(message)
        await case.line.silence(4)
        if wire.asked > before:
            return message
    pytest.skip("none of its messages is answered")


@every_answering_entry
@pytest.mark.parametrize("manners", ["naks", "silent"])
def test_our_answer_is_never_taken(case: Case, manners: str) -> None:
    """NAK after NAK, or nothing at all: we give up, say so, and the line takes the next results."""

    async def story() -> None:
        wire = await dial(case)
        wire.manners = manners  # type: ignore[assignment]
        await wire.messages(case.messages)
        await case.line.silence(240)
        await case.line.silence(240)
        await wire.close()
        judge(case.line, case.calm, [wire])
        if wire.asked:
            assert any("İş emri" in sentence for sentence in case.line.written), case.line.written
        await goes_on(case.line, case.calm, case.messages)

    case.yard.run(story())
