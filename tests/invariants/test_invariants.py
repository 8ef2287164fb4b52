"""What must always hold, one attack each (architecture, "What must always hold", 1 to 8).

The long sieges stand elsewhere: sessions cut at every byte and twenty kills in `tests/gateway`, every address of the
interface read by every role in `tests/api/test_visibility.py`.
"""

from __future__ import annotations

import os
import threading

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from hbys_bridge.hl7.rights import BRIDGE
from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.domain.permissions import P
from lis_core.domain.states import TestState
from lis_core.domain.visibility import visible_states
from lis_core.services.approvals import approve_clinically, approve_technically, withdraw
from lis_core.services.manual import enter_result
from lis_core.services.replay import replay
from lis_core.storage.database import program
from tests.gateway.conftest import ACK, ENQ, Wire, frames_of, message_records
from tests.stories.conftest import Laboratory


async def refused(laboratory: Laboratory, sql: str, **values: object) -> bool:
    """True where the database itself refuses the statement."""
    try:
        async with laboratory.database.engine.begin() as connection:
            await connection.execute(text(sql), values)
    except DBAPIError as error:
        return isinstance(error.orig, psycopg.IntegrityError | psycopg.errors.RaiseException)
    return False


async def resulted(laboratory: Laboratory, value: str = "92") -> tuple[str, int]:
    """An order with one glucose result: its number and the result's id."""
    order = await laboratory.order(["GLU"])
    async with laboratory.analyser("genel") as analyser:
        await analyser.reports(order.number, {"GLU": (value, "mg/dL")})
    await laboratory.settled()
    [run] = await laboratory.runs(order.number, "GLU")
    return order.number, run.tetkik_sonuc_kodu


async def test_1_no_acknowledgement_while_the_bytes_are_not_on_disk(
    laboratory: Laboratory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk hangs in the middle of the flush: no ACK. It comes when, and only when, the flush is done."""
    on_disk = threading.Event()
    real = os.pwritev

    def hanging(file: int, data: list[bytes], offset: int, flags: int) -> int:
        assert flags == os.RWF_DSYNC  # the write and its flush are one call
        on_disk.wait(5)
        return real(file, data, offset, flags)

    order = await laboratory.order(["GLU"])
    frames = frames_of(message_records(order.number, [("GLU", "92", "mg/dL")]))
    wire = await Wire.to(laboratory.ports["genel"])
    await wire.ask(ENQ)
    monkeypatch.setattr("drivers.gateway.spool.os.pwritev", hanging)
    await wire.send(frames[0])
    with pytest.raises(TimeoutError):
        await wire.answer(0.25)
    on_disk.set()
    assert await wire.answer() == ACK
    for one in frames[1:]:
        await wire.ask(one)
    await laboratory.settled()
    assert await laboratory.state(order.number, "GLU") == "sonuclandi"


async def test_2_nothing_is_bound_by_guessing(laboratory: Laboratory) -> None:
    """Numbers that nearly fit, and a number that would mean two patients."""
    order = await laboratory.order(["GLU"], number="1501")
    async with laboratory.analyser("genel") as analyser:
        for near in ("01501", "1501 0", "150", "15010", "1501A", "15o1", "150199"):
            await analyser.reports(near, {"GLU": ("92", "mg/dL")})
    await laboratory.settled()
    assert await laboratory.state(order.number, "GLU") == "istendi"
    assert {row.neden for row in await laboratory.unmatched()} == {"numune_yok"}

    tube = order.specimens[0].barcode  # 150101: as an order number it would be this tube as well
    with pytest.raises(NumuneError) as refusal:
        await laboratory.order(["GLU"], number=tube)
    assert refusal.value.kind in (errors.NUMBER_TAKEN, errors.BAD_NUMBER) or refusal.value.status == 409
    assert await refused(
        laboratory,
        "insert into barkod_kayit (barkod, tetkik_istem_kodu) values (:text, :order)",
        text=tube,
        order=order.order_id,
    )


async def test_3_nothing_leaves_before_clinical_approval(laboratory: Laboratory) -> None:
    """One function decides, and the state it asks for cannot be reached by a shortcut."""
    number, result_id = await resulted(laboratory)
    for reader in ("hekim", "ailehekimi"):
        rights = (await laboratory.actor(reader)).rights
        assert visible_states(rights, "BIYOKIMYA") == {TestState.CLINICALLY_APPROVED}
    for other in ("kabul", "yonetici"):
        assert not visible_states((await laboratory.actor(other)).rights, "BIYOKIMYA")
    assert visible_states(BRIDGE.rights, "BIYOKIMYA") == {TestState.CLINICALLY_APPROVED}

    async with laboratory.database.work(await laboratory.actor("uzman")) as work:
        [outcome] = await approve_clinically(work, [result_id])
    assert not outcome.ok
    for state in ("klinik_onayli", "teknik_onayli"):
        assert await refused(
            laboratory,
            "update istem_tetkik set tetkik_durumu = :state, surum = surum + 1 where tetkik_sonuc_kodu = :id",
            state=state,
            id=result_id,
        )
    assert await laboratory.state(number, "GLU") == "sonuclandi"
    assert await laboratory.value("select count(*) from giden_kutusu where konu = 'hbys.sonuc'") == 0


@pytest.mark.administrator("the guards of the database hold against whoever has every right")
async def test_4_the_raw_message_stays_verbatim_and_can_be_replayed(laboratory: Laboratory) -> None:
    number, result_id = await resulted(laboratory)
    [run] = await laboratory.runs(number, "GLU")
    before = bytes(
        await laboratory.value("select icerik from ham_mesaj where ham_mesaj_kodu = :id", id=run.ham_mesaj_kodu)
    )
    assert f"|{number}|".encode() in before
    for attack in (
        "update ham_mesaj set icerik = 'x' where ham_mesaj_kodu = :id",
        "update ham_mesaj set anahtar = 'x' where ham_mesaj_kodu = :id",
        "delete from ham_mesaj where ham_mesaj_kodu = :id",
    ):
        assert await refused(laboratory, attack, id=run.ham_mesaj_kodu), attack

    from drivers.gateway.rereading import make

    [outcome] = await replay(
        laboratory.database, [run.ham_mesaj_kodu], program("deneme", may=[P.MESSAGE_REPLAY]), make()
    )
    assert (outcome.results, outcome.unmatched, outcome.problem) == (0, 0, None)
    assert len(await laboratory.runs(number, "GLU")) == 1
    assert result_id == run.tetkik_sonuc_kodu


@pytest.mark.administrator("the guards of the database hold against whoever has every right")
async def test_5_a_bent_audit_is_found_and_named(laboratory: Laboratory) -> None:
    """Nobody can change or delete a row; whoever switches the guards off as the database's owner is found out."""
    number, result_id = await resulted(laboratory)
    async with laboratory.database.work(await laboratory.actor("teknisyen")) as work:
        await approve_technically(work, [result_id])
    entry = (await laboratory.rows("select zincir, sira from denetim where zincir = 'ekran' order by sira desc"))[0]
    for attack in (
        "update denetim set yapan = 'baskasi' where zincir = :chain and sira = :row",
        "delete from denetim where zincir = :chain and sira = :row",
    ):
        assert await refused(laboratory, attack, chain=entry.zincir, row=entry.sira)
        async with laboratory.database.engine.begin() as connection:
            await connection.execute(text("set local session_replication_role = replica"))
            await connection.execute(text(attack), {"chain": entry.zincir, "row": entry.sira})
            found = (await connection.execute(text("select zincir, sira from denetim_dogrula()"))).all()
            assert (entry.zincir, entry.sira) in [(row.zincir, row.sira) for row in found]
            await connection.rollback()
    assert await laboratory.rows("select * from denetim_dogrula()") == []
    assert number


@pytest.mark.administrator("the guards of the database hold against whoever has every right")
async def test_6_corrections_never_overwrite(laboratory: Laboratory) -> None:
    number, first = await resulted(laboratory, "92")
    for attack in (
        "update tetkik_sonuc set tetkik_sonucu = '100' where tetkik_sonuc_kodu = :id",
        "delete from tetkik_sonuc where tetkik_sonuc_kodu = :id",
    ):
        assert await refused(laboratory, attack, id=first), attack
    assert await refused(laboratory, "truncate tetkik_sonuc cascade")
    for named in ("istem_tetkik", "ham_mesaj", "cihaz", "kullanici"):
        assert await refused(laboratory, f"delete from {named}"), f"a result's {named} can be deleted"
    columns = "kosu_no, olcum_anahtari, cihaz_tetkik_sonucu, tetkik_sonucu, sonuc_zamani"
    for stray, value in (("istem_tetkik_kodu", "0"), ("istem_tetkik_kodu, ham_mesaj_kodu", "istem_tetkik_kodu, 0")):
        assert await refused(
            laboratory,
            f"insert into tetkik_sonuc ({stray}, {columns}) select {value}, 9, 'x', '1', '1', now() "
            "from tetkik_sonuc where tetkik_sonuc_kodu = :id",
            id=first,
        ), stray

    ordered = await laboratory.value(
        "select istem_tetkik_kodu from tetkik_sonuc where tetkik_sonuc_kodu = :id", id=first
    )
    async with laboratory.database.work(await laboratory.actor("teknisyen")) as work:
        second = await enter_result(work, ordered, "95", "seyreltme düzeltildi")
        await approve_technically(work, [second])
    async with laboratory.database.work(await laboratory.actor("uzman")) as work:
        await approve_clinically(work, [second])
        await withdraw(work, second, "yanlış hasta şüphesi")
    assert [run.tetkik_sonucu for run in await laboratory.runs(number, "GLU")] == ["92", "95"]
    kinds = [row.onay_turu for row in await laboratory.rows("select onay_turu from onay order by surum")]
    assert kinds == ["teknik_onay", "klinik_onay", "klinik_geri"]
    assert await refused(laboratory, "delete from onay")
    assert await refused(laboratory, "update onay set gerekce = 'x'")


async def test_7_every_automatic_decision_can_be_explained(laboratory: Laboratory) -> None:
    """Whatever the value: a rule with its version, a sentence, and what it saw stand with the result."""
    for value in ("92", "520", "30", "<5", "PIHTILI", "1e400", "-0"):
        number, _ = await resulted(laboratory, value)
        [run] = await laboratory.runs(number, "GLU")
        assert len(run.kararlar) >= 2, value
        for decision in run.kararlar:
            rule, _, version = decision["r"].partition("/")
            assert rule
            assert version
            assert decision["why"].strip()
            assert decision["saw"]
            assert decision["o"] in "PWHN"


async def test_8_one_number_any_analyser_but_never_the_wrong_material(laboratory: Laboratory) -> None:
    """Every tube of the order on every analyser: each is offered what it can run on that material, nothing else."""
    order = await laboratory.order(["GLU", "K", "CBC", "TSH", "ESR"])
    await laboratory.receives(order)
    allowed = {
        "SER": {"biyokimya": {"GLU", "K"}, "hormon": {"TSH"}, "hemogram": set(), "sedim": set()},
        "EDTA": {"biyokimya": set(), "hormon": set(), "sedim": {"ESR"}},
        "SITRAT": {"biyokimya": set(), "hormon": set(), "hemogram": set(), "sedim": {"ESR"}},
    }
    for tube in order.specimens:
        for line, tests in allowed[tube.material].items():
            async with laboratory.analyser(line) as analyser:
                offer = (await analyser.asks(tube.barcode))[tube.barcode]
            codes = await laboratory.rows(
                "select tetkik_kisa_kodu from tetkik_cihaz_eslesme join cihaz using (cihaz_kodu) "
                "join tetkik using (tetkik_kodu) "
                "where cihaz_kisa_kodu = :line and cihaza_giden_test_kodu = any(:codes)",
                line=line,
                codes=offer.codes,
            )
            assert {row.tetkik_kisa_kodu for row in codes} == tests, (tube.caption, line)
