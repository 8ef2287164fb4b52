"""What happens to a result between the line and the approval list."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from drivers.messages import ReadAgain
from lis_core.services.replay import replay
from tests.ingest.conftest import Story, message, result


async def test_a_result_lands_in_its_order_with_flag_reference_and_reason(story: Story) -> None:
    order = await story.order(["GLU"])

    outcome = await story.arrive(message(result(order.number, "GLU", "520", "mg/dL")))

    assert (outcome.results, outcome.unmatched) == (1, 0)
    assert await story.state(order.number, "GLU") == "sonuclandi"
    [run] = await story.runs(order.number, "GLU")
    assert (run.cihaz_tetkik_sonucu, run.sayisal_sonuc, run.tetkik_sonucu_durumu) == ("520", Decimal(520), "P!")
    assert run.tetkik_sonucu_referans_degeri
    reasons = [decision["why"] for decision in run.kararlar]
    assert any(order.number in reason for reason in reasons)
    assert any("panik" in reason for reason in reasons)
    assert all(decision["r"] for decision in run.kararlar)
    raw = await story.value("select icerik from ham_mesaj where ham_mesaj_kodu = :id", id=run.ham_mesaj_kodu)
    assert bytes(raw) == b"H|\\^&\rL|1|N\r"


async def test_a_panic_result_becomes_a_promise_in_the_same_transaction(story: Story) -> None:
    order = await story.order(["K"])
    await story.arrive(message(result(order.number, "K", "7.1", "mmol/L")))
    [entry] = await story.rows("select icerik from giden_kutusu where konu = 'panik.bildirim'")
    assert entry.icerik["istem"] == order.number


async def test_the_tube_barcode_and_the_number_mean_the_same_order(story: Story) -> None:
    order = await story.order(["GLU", "TSH"])
    serum = order.specimens[0].barcode
    await story.arrive(message(result(serum, "GLU", "92", "mg/dL")), message(result(order.number, "TSH", "2.1")))
    assert await story.state(order.number, "GLU") == "sonuclandi"
    assert await story.state(order.number, "TSH") == "sonuclandi"


@pytest.mark.parametrize(
    ("observation", "cause"),
    [
        ({"specimen": "99999999", "test": "GLU", "value": "92"}, "numune_yok"),
        ({"specimen": "", "test": "GLU", "value": "92"}, "numunesiz"),
        ({"specimen": "{number}", "test": "BILINMEYEN", "value": "92"}, "test_tanimsiz"),
        ({"specimen": "{number}", "test": "TSH", "value": "2.0"}, "istemde_yok"),
        ({"specimen": "{number}", "test": "GLU", "value": "5.1", "unit": "mmol/L"}, "birim"),
        ({"specimen": "{number}", "test": "GLU", "value": "  "}, "deger"),
    ],
)
async def test_what_cannot_be_bound_waits_for_a_person(story: Story, observation: dict[str, str], cause: str) -> None:
    order = await story.order(["GLU"])
    observation = {**observation, "specimen": observation["specimen"].format(number=order.number)}

    outcome = await story.arrive(message(result(**observation)))

    assert (outcome.results, outcome.unmatched) == (0, 1)
    [waiting] = await story.rows("select neden, aciklama, icerik, ham_mesaj_kodu from eslesmeyen_sonuc")
    assert waiting.neden == cause
    assert waiting.aciklama.endswith(".")
    assert waiting.icerik["value"] == observation["value"]
    assert await story.state(order.number, "GLU") == "istendi"
    assert await story.value("select durum from ham_mesaj") == "kismen"


async def test_potassium_from_an_edta_tube_is_never_bound(story: Story) -> None:
    order = await story.order(["K", "CBC"])
    edta = next(s.barcode for s in order.specimens if s.material == "EDTA")
    await story.arrive(message(result(edta, "K", "7.9", "mmol/L")))
    assert await story.state(order.number, "K") == "istendi"
    assert await story.value("select neden from eslesmeyen_sonuc") == "materyal"


async def test_a_message_that_comes_twice_is_applied_once(story: Story) -> None:
    order = await story.order(["GLU"])
    first = message(result(order.number, "GLU", "92", "mg/dL"))
    again = message(result(order.number, "GLU", "92", "mg/dL"))
    await story.arrive(first)
    outcome = await story.arrive(again)
    assert (outcome.repeats, outcome.results) == (1, 0)
    assert len(await story.runs(order.number, "GLU")) == 1
    assert {row.durum for row in await story.rows("select durum from ham_mesaj")} == {"islendi", "tekrar"}


async def test_the_same_spool_entry_delivered_twice_is_stored_once(story: Story) -> None:
    order = await story.order(["GLU"])
    entry = message(result(order.number, "GLU", "92", "mg/dL"))
    await story.arrive(entry)
    await story.arrive(entry)
    assert await story.value("select count(*) from ham_mesaj") == 1
    assert len(await story.runs(order.number, "GLU")) == 1


async def test_both_in_one_batch_are_still_one(story: Story) -> None:
    order = await story.order(["GLU"])
    await story.arrive(
        message(result(order.number, "GLU", "92", "mg/dL")), message(result(order.number, "GLU", "92", "mg/dL"))
    )
    assert len(await story.runs(order.number, "GLU")) == 1


async def test_one_known_measurement_in_a_new_message_does_not_double(story: Story) -> None:
    """The instrument sends one result, then the whole profile with that result in it again."""
    order = await story.order(["GLU", "UREA"])
    glucose = result(order.number, "GLU", "92", "mg/dL")
    await story.arrive(message(glucose))
    outcome = await story.arrive(message(glucose, result(order.number, "UREA", "30", "mg/dL")), careful=True)
    assert outcome.results == 1
    assert len(await story.runs(order.number, "GLU")) == 1
    assert len(await story.runs(order.number, "UREA")) == 1


async def test_an_untimed_result_may_come_again_later_as_a_new_run(story: Story) -> None:
    """A sedimentation analyser without a clock: 15 minutes later the same value is a new measurement."""
    order = await story.order(["ESR"])
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    untimed = result(order.number, "ESR", "12", "mm/h", measured_at=None)
    await story.arrive(message(untimed, timed=False, received_at=long_ago))
    await story.arrive(message(untimed, timed=False))
    assert [run.kosu_no for run in await story.runs(order.number, "ESR")] == [1, 2]


async def test_two_patients_without_a_tube_number_are_two_results(story: Story) -> None:
    """A meter at the bedside names patients, not tubes: the same value in the same second is not the same result."""
    await story.arrive(
        message(
            result(None, "GLU", "92", "mg/dL", patient="70001"),
            result(None, "GLU", "92", "mg/dL", patient="70002"),
        )
    )
    assert await story.value("select count(*) from eslesmeyen_sonuc") == 2


async def test_replicates_in_one_message_are_runs_of_their_own(story: Story) -> None:
    order = await story.order(["GLU"])
    await story.arrive(message(*(result(order.number, "GLU", "92", "mg/dL", record=record) for record in (4, 5, 6))))
    runs = await story.runs(order.number, "GLU")
    assert [run.kosu_no for run in runs] == [1, 2, 3]
    assert any("koşu" in decision["why"] for decision in runs[-1].kararlar)


async def test_a_run_after_approval_changes_nothing_and_is_shown(story: Story) -> None:
    order = await story.order(["GLU"])
    await story.arrive(message(result(order.number, "GLU", "92", "mg/dL")))
    [run] = await story.runs(order.number, "GLU")
    from lis_core.services.approvals import approve_technically

    async with story.database.work(await story.actor("teknisyen")) as work:
        [outcome] = await approve_technically(work, [run.tetkik_sonuc_kodu])
        assert outcome.ok, outcome.error

    await story.arrive(message(result(order.number, "GLU", "400", "mg/dL", measured_at="2026-11-22T11:00:00")))

    assert await story.state(order.number, "GLU") == "teknik_onayli"
    assert await story.value("select neden from eslesmeyen_sonuc") == "onayli"


async def test_a_control_never_becomes_a_patient_result(story: Story) -> None:
    order = await story.order(["GLU"])
    outcome = await story.arrive(message(result(order.number, "GLU", "101", "mg/dL", kind="qc")))
    assert (outcome.controls, outcome.results) == (1, 0)
    assert await story.state(order.number, "GLU") == "istendi"
    assert await story.value("select kontrol_numarasi from kk_olcum") == order.number


async def test_a_broken_message_is_kept_and_closes_when_the_whole_one_comes(story: Story) -> None:
    order = await story.order(["GLU", "UREA"])
    body = b"P|1\rO|1|1\rR|1|^^^GLU|92\r"
    await story.arrive(message(whole=False, body=body, problem="Aktarım yarıda kesildi.", fingerprint=b""))
    assert await story.value("select durum from ham_mesaj") == "yarim"
    assert await story.state(order.number, "GLU") == "istendi"

    await story.arrive(
        message(
            result(order.number, "GLU", "92", "mg/dL"),
            result(order.number, "UREA", "30", "mg/dL"),
            body=body + b"R|2|^^^UREA|30\rL|1|N\r",
        )
    )
    states = await story.rows("select durum, tekrarladigi_mesaj_kodu from ham_mesaj order by ham_mesaj_kodu")
    assert [row.durum for row in states] == ["tekrar", "islendi"]
    assert states[0].tekrarladigi_mesaj_kodu is not None


async def test_two_batches_about_one_order_at_once_do_not_overwrite_each_other(story: Story) -> None:
    order = await story.order(["GLU", "UREA", "CREA"])
    from lis_core.services.ingest import Ingest

    def of(test: str, value: str) -> object:
        return message(result(order.number, test, value, "mg/dL"))

    workers = [Ingest(story.database, lambda keys: None) for _ in range(3)]
    for worker, test in zip(workers, ("GLU", "UREA", "CREA"), strict=True):
        for minute in range(5):
            observation = result(
                order.number, test, f"{90 + minute}", "mg/dL", measured_at=f"2026-11-22T10:0{minute}:00"
            )
            await worker.put(message(observation))
    tasks = [asyncio.create_task(worker.run()) for worker in workers]
    await asyncio.gather(*(worker.drained() for worker in workers))
    for task in tasks:
        task.cancel()
    for test in ("GLU", "UREA", "CREA"):
        assert [run.kosu_no for run in await story.runs(order.number, test)] == [1, 2, 3, 4, 5]
    assert await story.rows("select * from denetim_dogrula()") == []


async def test_every_batch_leaves_an_unbroken_audit(story: Story) -> None:
    order = await story.order(["GLU"])
    await story.arrive(message(result(order.number, "GLU", "92", "mg/dL")))
    entries = await story.rows("select islem, sonraki from denetim where zincir = 'alim'")
    assert [entry.islem for entry in entries] == ["mesaj.alindi"]
    assert entries[0].sonraki["sonuc"] == 1
    assert await story.rows("select * from denetim_dogrula()") == []


async def test_what_todays_definition_does_not_read_any_more_stays_and_says_so(story: Story) -> None:
    """Read by the generic definition first: the letter of the wrong field waits for a person who must not bind it."""
    order = await story.order(["GLU"])
    await story.arrive(message(result(order.number, "SEKER", "F")))
    number = await story.value("select ham_mesaj_kodu from eslesmeyen_sonuc")
    right = result(order.number, "GLU", "95", "mg/dL")

    def reread(definition: str, protocol: str, raw: bytes) -> ReadAgain:
        return ReadAgain(observations=[right], definition="acme-x1", revision=2)

    for _ in range(2):
        await replay(story.database, [number], await story.actor("uzman"), reread)
    assert [run.cihaz_tetkik_sonucu for run in await story.runs(order.number, "GLU")] == ["95"]
    [row] = await story.rows("select durum, aciklama from eslesmeyen_sonuc")
    assert row.durum == "bekliyor"
    assert row.aciklama.count("acme-x1/2 tanımı bu satırı okumuyor") == 1 and "SEKER" in row.aciklama
