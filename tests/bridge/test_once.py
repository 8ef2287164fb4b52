"""A message is applied once, whatever happens to its answer; the line survives whatever comes on it."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from hbys_bridge.app import Bridge
from lis_core.storage.database import Database
from simulators.hospital import Hospital
from tests.bridge import kit
from tests.bridge.kit import MllpClient, message, order_message, person


async def until(condition, within: float = 10.0) -> None:  # type: ignore[no-untyped-def]
    async with asyncio.timeout(within):
        while not await condition():
            await asyncio.sleep(0.01)


async def test_a_repeated_message_gets_the_same_answer_and_is_applied_once(lab: Database, line: MllpClient) -> None:
    order = order_message(person(), ["GLU", "CBC"], number="TEK-1", control="TEKRAR-1")
    first = await line.ask(order)
    again = await line.ask(order)

    assert first.code == "AA"
    assert again.raw == first.raw
    assert await kit.count(lab, "tetkik_istem where entegrasyon_numarasi = 'TEK-1'") == 1
    [row] = await kit.kept(lab, "TEKRAR-1")
    assert (row.outcome, bytes(row.content), bytes(row.answer or b"")) == ("AA", order.encode(), first.raw)


async def test_a_new_time_in_the_header_makes_no_new_message(lab: Database, line: MllpClient) -> None:
    order = order_message(person(), ["GLU"], number="TEK-2", control="TEKRAR-2")
    first = await line.ask(order)
    again = await line.ask(order.replace("20261122103000", "20261122103059"))
    assert again.raw == first.raw


async def test_a_refused_message_stays_refused(lab: Database, line: MllpClient) -> None:
    order = order_message(person(), ["YOK"], control="TEKRAR-3")
    assert (await line.ask(order)).raw == (await line.ask(order)).raw
    assert len(await kit.kept(lab, "TEKRAR-3")) == 1


async def test_another_message_under_a_used_control_id_is_not_swallowed(lab: Database, line: MllpClient) -> None:
    """A hospital whose counter began anew must hear of it: AA would lose the order."""
    await line.ask(order_message(person(), ["GLU"], number="TEK-4", control="TEKRAR-4"))
    other = order_message(person(), ["K"], number="TEK-5", control="TEKRAR-4")
    answer = await line.ask(other)

    assert answer.code == "AE"
    assert answer.first("ERR").field(2) == "MSH^1^10"
    assert await kit.order_of(lab, "TEK-5") is None
    assert await kit.count(lab, "hbys_mesaj where kontrol_numarasi like 'TEKRAR-4#%' and sonuc = 'AE'") == 1
    assert (await line.ask(other)).raw == answer.raw


async def test_the_same_message_on_two_connections_at_once(lab: Database, bridge: Bridge) -> None:
    order = order_message(person(), ["GLU", "CBC", "TSH"], number="TEK-6")
    async with MllpClient(bridge.port) as one, MllpClient(bridge.port) as two:
        answers = await asyncio.gather(one.ask(order), two.ask(order))
    assert answers[0].raw == answers[1].raw
    assert answers[0].code == "AA"
    assert await kit.count(lab, "tetkik_istem where entegrasyon_numarasi = 'TEK-6'") == 1


async def test_one_order_said_on_two_connections_under_two_control_ids(lab: Database, bridge: Bridge) -> None:
    who = person()
    async with MllpClient(bridge.port) as one, MllpClient(bridge.port) as two:
        answers = await asyncio.gather(
            one.ask(order_message(who, ["GLU"], number="TEK-7")), two.ask(order_message(who, ["K"], number="TEK-7"))
        )
    assert [answer.code for answer in answers] == ["AA", "AA"]
    assert await kit.count(lab, "tetkik_istem where entegrasyon_numarasi = 'TEK-7'") == 1


async def test_a_cut_after_the_commit_and_before_the_answer(lab: Database, bridge: Bridge) -> None:
    """The hospital never hears of it, calls again and repeats: the answer of the first time, the order once."""
    order = order_message(person(), ["GLU"], number="KES-1", control="KESIK-1")
    async with MllpClient(bridge.port) as line:
        await line.write(b"\x0b" + order.encode() + b"\x1c\r")
        line.writer.transport.abort()
    await until(lambda: kit.order_of(lab, "KES-1"))

    async with MllpClient(bridge.port) as line:
        answer = await line.ask(order)
    [row] = await kit.kept(lab, "KESIK-1")
    assert (answer.code, answer.raw) == ("AA", bytes(row.answer or b""))
    assert await kit.count(lab, "tetkik_istem where entegrasyon_numarasi = 'KES-1'") == 1


async def test_a_message_cut_at_any_byte_is_applied_once(lab: Database, bridge: Bridge) -> None:
    """The line breaks after n bytes, n over the whole block; the repetition makes it whole."""
    order = b"\x0b" + order_message(person(), ["GLU"], number="KES-2", control="KESIK-2").encode() + b"\x1c\r"
    for end in range(1, len(order), 7):
        async with MllpClient(bridge.port) as line:
            await line.write(order[:end])
    async with MllpClient(bridge.port) as line:
        for byte in order:
            await line.write(bytes([byte]))
        assert (await line.read()).code == "AA"
    assert await kit.count(lab, "tetkik_istem where entegrasyon_numarasi = 'KES-2'") == 1


async def test_the_servers_end_in_the_middle_of_a_message(lab: Database, start) -> None:  # type: ignore[no-untyped-def]
    first = await start()
    order = order_message(person(), ["GLU", "CBC"], number="KES-3", control="KESIK-3")
    async with MllpClient(first.port) as line:
        await line.write(b"\x0b" + order.encode() + b"\x1c\r")
        await asyncio.sleep(0.005)
        await first.stop()
    second = await start()
    async with MllpClient(second.port) as line:
        assert (await line.ask(order)).code == "AA"
    assert await kit.count(lab, "tetkik_istem where entegrasyon_numarasi = 'KES-3'") == 1


SERVER = """
import asyncio, sys
from hbys_bridge.hl7.inbound import HospitalServer
from lis_core.storage.database import Database

async def main() -> None:
    server = HospitalServer(Database(sys.argv[1]), "127.0.0.1:0")
    await server.start()
    print(server.port, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.slow
async def test_killed_at_any_instant_every_order_is_there_once(lab: Database) -> None:
    """kill -9 while orders come in; the hospital repeats what was not answered, with the same control id."""
    orders = [order_message(person(), ["GLU", "CBC"], number=f"OLD{n}", control=f"olum{n}") for n in range(25)]
    answered: dict[int, bytes] = {}
    random.seed(20261122)
    deaths = 0
    while len(answered) < len(orders):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", SERVER, lab.url, stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2]
        )
        assert process.stdout is not None
        port = int(await process.stdout.readline())
        life = random.uniform(0.1, 0.3) if deaths < 5 else 60.0
        dies = asyncio.get_running_loop().call_later(life, os.kill, process.pid, signal.SIGKILL)
        try:
            async with MllpClient(port) as line:
                for n, order in enumerate(orders):
                    if n not in answered:
                        answer = await line.ask(order)
                        assert answer.code == "AA"
                        answered[n] = answer.raw
        except (OSError, asyncio.IncompleteReadError):
            await process.wait()  # killed; what was not answered is said again
            deaths += 1
        else:
            dies.cancel()
            process.kill()
            await process.wait()
    assert deaths
    assert await kit.count(lab, "tetkik_istem where kaynak = 'hbys'") == len(orders)
    for n, raw in answered.items():
        [row] = await kit.kept(lab, f"olum{n}")
        assert (row.outcome, bytes(row.answer or b"")) == ("AA", raw)


# -- what else comes on a line


async def test_rubbish_does_not_end_the_line(lab: Database, line: MllpClient) -> None:
    await line.write(b"GET / HTTP/1.1\r\n\r\n\x00\xff\x1c\r\x0b\x1c\r")
    await line.write(b"\x0b" + b"MSH|^~\\&|HBYS|HASTANE|yarim kalan")  # overtaken by the next block
    answer = await line.ask(order_message(person(), ["GLU"], number="COP-1"))
    assert answer.code == "AA"
    assert any("yarım kaldı" in words for words in await kit.notices(lab))


async def test_a_block_that_is_no_hl7_is_kept_shown_and_rejected(lab: Database, line: MllpClient) -> None:
    answer = await line.ask(b"bu bir HL7 mesaji degil")
    assert answer.code == "AR"
    assert await kit.count(lab, "hbys_mesaj where gonderen = '?' and icerik = 'bu bir HL7 mesaji degil'::bytea") == 1
    assert any("HL7 olmayan" in words for words in await kit.notices(lab))
    assert (await line.ask(order_message(person(), ["GLU"]))).code == "AA"


async def test_a_message_without_a_control_id_is_refused(lab: Database, line: MllpClient) -> None:
    """It could not be told from its own repetition."""
    plain = order_message(person(), ["GLU"], number="COP-3", control="SILINECEK").replace("SILINECEK", "")
    answer = await line.ask(plain)
    assert (answer.code, answer.first("ERR").field(2)) == ("AE", "MSH^1^10")
    assert await kit.order_of(lab, "COP-3") is None


async def test_a_careless_hospital(lab: Database, hospital: Hospital) -> None:
    faults = ["garbage", "lf_for_cr", "one_byte_at_a_time", "merged", "unknown_record", "repeats_frame", "lost_ack"]
    for placed, fault in enumerate(faults, 1):
        hospital.faults.arm(fault)
        order = await hospital.places(person(), "GLU", "K")
        assert order.answer.code == "AA", fault
        assert await kit.count(lab, "tetkik_istem where kaynak = 'hbys'") == placed, fault
    assert hospital.surprises == []


async def test_the_database_is_away_so_the_hospital_says_it_again(lab: Database, bridge: Bridge) -> None:
    order = order_message(person(), ["GLU"], number="VT-1", control="VT-1")
    async with MllpClient(bridge.port) as line:
        async with lab.engine.connect() as connection:
            await connection.execute(text("lock table hbys_mesaj in access exclusive mode"))
            asking = asyncio.create_task(line.ask(order))
            await asyncio.sleep(0.1)
            await connection.execute(
                text(
                    "select pg_terminate_backend(pid) from pg_stat_activity "
                    "where pid <> pg_backend_pid() and wait_event_type = 'Lock' and datname = current_database()"
                )
            )
            away = await asking
        assert away.code == "AR"
        assert away.first("ERR").get(3) == "207"
        assert "NUM-0008" in away.first("ERR").get(8)
        assert await kit.kept(lab, "VT-1") == []
        assert (await line.ask(order)).code == "AA"
    assert await kit.count(lab, "tetkik_istem where entegrasyon_numarasi = 'VT-1'") == 1


async def test_a_database_that_cannot_be_reached_at_all() -> None:
    from hbys_bridge.hl7.inbound import HospitalServer

    nowhere = Database("postgresql://kimse@127.0.0.1:1/yok")
    server = HospitalServer(nowhere, "127.0.0.1:0")
    await server.start()
    try:
        async with MllpClient(server.port) as line:
            assert (await line.ask(order_message(person(), ["GLU"]))).code == "AR"
            assert (await line.ask(b"cop")).code == "AR"
    finally:
        await server.stop()
        await nowhere.close()


async def test_only_the_wanted_answers_are_given(lab: Database, line: MllpClient) -> None:
    """MSH-15 and MSH-16; a last plain message proves that nothing else was said."""
    wishes = {
        ("", ""): ["AA", "AE"],
        ("AL", "AL"): ["AA", "AE"],
        ("AL", "NE"): ["CA", "CE"],
        ("ER", "NE"): ["CE"],
        ("NE", "ER"): ["AE"],
        ("NE", "NE"): [],
    }
    for n, ((accept, application), wanted) in enumerate(wishes.items()):
        how = {"accept": accept, "application": application}
        await line.write(wrapped(order_message(person(), ["GLU"], number=f"Y{n}", **how)))
        await line.write(wrapped(order_message(person(), ["YOK"], **how)))
        await line.write(wrapped(message("EVN|A08", kit.pid(person()), type="ADT^A08", control=f"SON{n}")))
        codes = []
        while (answer := await line.read()).answers != f"SON{n}":
            codes.append(answer.code)
        assert codes == wanted, how
        assert await kit.order_of(lab, f"Y{n}") is not None


def wrapped(text: str) -> bytes:
    return b"\x0b" + text.encode() + b"\x1c\r"


async def test_turkish_letters_in_the_hospitals_own_character_set(lab: Database, line: MllpClient) -> None:
    order = order_message(person(), ["GLU"], number="HARF-1").replace("UNICODE UTF-8", "8859/9")
    answer = await line.ask(order.encode("iso8859-9"))
    assert answer.code == "AA"
    assert "ÖĞÜTÇÜ" in answer.raw.decode("iso8859-9")
    assert await kit.count(lab, "hasta where soyadi = 'ÖĞÜTÇÜ' and ad = 'ŞİRİN'") == 1
