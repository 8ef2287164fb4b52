"""An analyser that reads no barcode names places, not tubes; the load list says which tube stood there (9.5.2)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from drivers.definition import load_catalog
from drivers.gateway.rereading import make
from lis_core.domain.errors import NumuneError
from lis_core.services.approvals import request_repeat
from lis_core.services.instruments import MappingData, save_mapping
from lis_core.services.loading import Put, load_tube, plain, unload
from lis_core.services.replay import replay
from lis_core.settings import ISTANBUL
from tests.ingest.conftest import Story, message, result

GENERIC = load_catalog()


class Bench(Story):
    """The story with an analyser that is loaded by hand."""

    async def load(self, *barcodes: str, place: str = "") -> list[Put]:
        done = []
        for barcode in barcodes:
            async with self.database.work(await self.actor("teknisyen")) as work:
                done.append(await load_tube(work, self.code, barcode, place))
        return done

    async def unload(self, place: str | None = None) -> int:
        async with self.database.work(await self.actor("teknisyen")) as work:
            return await unload(work, self.code, place)

    code = ""

    async def tubes(self, count: int, *tests: str) -> list[str]:
        """The serum tubes of as many orders."""
        return [(await self.order(list(tests or ("GLU",)))).specimens[0].barcode for _ in range(count)]

    async def value_of(self, barcode: str, test: str = "GLU") -> str | None:
        rows = await self.runs(barcode[:8], test)
        return rows[-1].cihaz_tetkik_sonucu if rows else None

    async def waiting(self) -> list[tuple[str, str]]:
        return [tuple(row) for row in await self.rows("select neden, aciklama from eslesmeyen_sonuc order by 1")]


@pytest.fixture
async def bench(lab: Any) -> AsyncIterator[Bench]:
    made = Bench(lab)
    made.code = await made.value(
        "select cihaz_kisa_kodu from cihaz join baglanti using (cihaz_kodu) where baglanti_adi = 'genel'"
    )
    yield made


def now(seconds: float = 0) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def at(place: str, value: str, test: str = "GLU", **more: Any) -> Any:
    more.setdefault("measured_at", now())
    return result(None, test, value, position=place, **more)


@pytest.mark.clause("9.5.2a")
async def test_tubes_scanned_in_loading_order_get_the_results_of_their_places(bench: Bench) -> None:
    tubes = await bench.tubes(3)
    put = await bench.load(*tubes)
    assert [(one.place, one.barcode, one.tests) for one in put] == [
        (str(place), tube, ("GLU",)) for place, tube in enumerate(tubes, 1)
    ]
    assert [await bench.state(tube[:8], "GLU") for tube in tubes] == ["calisiyor"] * 3

    outcome = await bench.arrive(message(at("3", "93"), at("1", "91"), at("02", "92")))

    assert (outcome.results, outcome.unmatched) == (3, 0)
    assert [await bench.value_of(tube) for tube in tubes] == ["91", "92", "93"]
    [run] = await bench.runs(tubes[2][:8], "GLU")
    assert any(f"3. konumda {tubes[2]} duruyordu" in decision["why"] for decision in run.kararlar)


async def test_a_running_number_in_the_place_of_the_tube_number_is_a_place_too(bench: Bench) -> None:
    first, second = await bench.tubes(2)
    await bench.load(first, second)
    await bench.arrive(message(result("0002", "GLU", "92", measured_at=now())))
    assert (await bench.value_of(first), await bench.value_of(second)) == (None, "92")


async def test_racks_are_told_apart_where_the_list_has_racks(bench: Bench) -> None:
    first, second = await bench.tubes(2)
    await bench.load(first, place="a-1")
    await bench.load(second, place="B-01")
    await bench.arrive(message(at("1", "92", rack="B")))
    assert (await bench.value_of(first), await bench.value_of(second)) == (None, "92")
    await bench.arrive(message(at("1", "93")))
    assert await bench.waiting() == [("numunesiz", "Cihaz numune numarası göndermedi; sonuç hiçbir isteme bağlanmadı.")]


async def test_a_second_result_from_the_same_place_may_be_the_next_load_and_waits(bench: Bench) -> None:
    """Somebody loaded new tubes and forgot the list: the old tube must not get the new one's value."""
    [tube] = await bench.tubes(1)
    await bench.load(tube)
    await bench.arrive(message(at("1", "91")))
    await bench.arrive(message(at("1", "250")))
    assert [run.cihaz_tetkik_sonucu for run in await bench.runs(tube[:8], "GLU")] == ["91"]
    [(cause, why)] = await bench.waiting()
    assert cause == "belirsiz" and "zaten gelmişti" in why and why.endswith("bağlayın.")


async def test_after_a_new_list_the_old_tubes_get_nothing(bench: Bench) -> None:
    old, new = await bench.tubes(2)
    await bench.load(old)
    assert await bench.unload() == 1
    await bench.load(new)
    await bench.arrive(message(at("1", "92")))
    assert (await bench.value_of(old), await bench.value_of(new)) == (None, "92")


async def test_what_was_measured_before_the_tube_stood_there_is_not_its_result(bench: Bench) -> None:
    """An analyser sends yesterday's list again after the first tube of today was loaded."""
    [tube] = await bench.tubes(1)
    await bench.load(tube)
    await bench.arrive(message(at("1", "92", measured_at=now(-3600))))
    assert await bench.value_of(tube) is None
    [(cause, why)] = await bench.waiting()
    assert cause == "belirsiz" and "konmadan önce" in why


async def test_a_message_of_the_old_load_that_is_replayed_finds_the_tube_that_stood_there_then(bench: Bench) -> None:
    old, new = await bench.tubes(2)
    await bench.load(old)
    then = datetime.now(UTC)
    await bench.unload()
    await bench.load(new)
    await bench.arrive(message(at("1", "92", measured_at=None), received_at=then))
    assert (await bench.value_of(old), await bench.value_of(new)) == ("92", None)


async def test_a_code_that_is_mapped_later_finds_the_tube_that_stood_there_then(bench: Bench) -> None:
    """What waited is derived again by itself: by the list of then, under the definition of now, which it names."""
    old, new = await bench.tubes(2)
    await bench.load(old)
    moment = datetime.now(ISTANBUL).strftime("%Y%m%d%H%M%S")
    raw = f"H|\\^&|||X\rP|1\rO|1|1||^^^SEKER\rR|1|^^^SEKER|92|mg/dL||N||F||||{moment}\rL|1|N\r".encode()
    await bench.arrive(message(*GENERIC.generic("astm").read(raw).observations, raw=raw))
    assert [cause for cause, _ in await bench.waiting()] == ["test_tanimsiz"]
    await bench.unload()
    await bench.load(new)

    async with bench.database.work(await bench.actor("uzman")) as work:
        await save_mapping(work, MappingData(instrument=bench.code, test="GLU", incoming="SEKER"))
    number = await bench.value("select ham_mesaj_kodu from eslesmeyen_sonuc")
    [done] = await replay(bench.database, [number], await bench.actor("uzman"), make(GENERIC))
    assert (done.results, await bench.value_of(old), await bench.value_of(new)) == (1, "92", None)
    [run] = await bench.runs(old[:8], "GLU")
    assert "generic-astm/1" in next(one["why"] for one in run.kararlar if one["r"] == "OKUMA/1")


async def test_a_place_proves_a_tube_once_also_when_somebody_wants_the_test_repeated(bench: Bench) -> None:
    """The next load stands there, nobody began a new list, and the old tube waits for a repeat: it gets nothing."""
    [tube] = await bench.tubes(1)
    await bench.load(tube)
    await bench.arrive(message(at("1", "91")))
    [run] = await bench.runs(tube[:8], "GLU")
    async with bench.database.work(await bench.actor("teknisyen")) as work:
        await request_repeat(work, run.tetkik_sonuc_kodu, "şüpheli")
    assert await bench.state(tube[:8], "GLU") != "sonuclandi"
    await bench.arrive(message(at("1", "250")))
    assert [run.cihaz_tetkik_sonucu for run in await bench.runs(tube[:8], "GLU")] == ["91"]
    assert [cause for cause, _ in await bench.waiting()] == ["belirsiz"]
    await bench.unload()
    await bench.load(tube)  # scanned anew: this is the repeat
    await bench.arrive(message(at("1", "92")))
    assert [run.cihaz_tetkik_sonucu for run in await bench.runs(tube[:8], "GLU")] == ["91", "92"]


async def test_twenty_places_with_the_same_value_in_the_same_second_are_twenty_results(bench: Bench) -> None:
    tubes = await bench.tubes(20)
    await bench.load(*tubes)
    second = now()
    for place in range(1, 21):
        await bench.arrive(message(at(str(place), "12", measured_at=second)), careful=True)
    assert [await bench.value_of(tube) for tube in tubes] == ["12"] * 20


async def test_a_tube_that_names_itself_is_never_bound_by_its_place(bench: Bench) -> None:
    loaded, other = await bench.tubes(2)
    await bench.load(loaded)
    await bench.arrive(message(result(other, "GLU", "92", position="1", measured_at=now())))
    assert (await bench.value_of(loaded), await bench.value_of(other)) == (None, "92")


async def test_what_cannot_stand_there_is_refused_with_a_sentence(bench: Bench) -> None:
    first, second = await bench.tubes(2)
    [done] = await bench.tubes(1, "TSH")
    await bench.arrive(message(result(done[:8], "TSH", "2.1")))
    await bench.load(first)

    async def refused(barcode: str, place: str = "") -> tuple[str, str]:
        with pytest.raises(NumuneError) as error:
            await bench.load(barcode, place=place)
        return error.value.code, str(error.value)

    assert (await refused(first))[0] == "NUM-0433"
    assert (await refused(second, "1"))[0] == "NUM-0432"
    assert await refused("99999999") == ("NUM-0434", "99999999 numarası kayıtlı değil. Tüp yüklenmedi.")
    assert "bekleyen tetkik yok" in (await refused(done))[1]
    with pytest.raises(NumuneError) as error:
        await bench.unload("7")
    assert error.value.code == "NUM-0435"
    assert await bench.unload("01") == 1
    assert await bench.value("select count(*) from cihaz_yukleme where kaldirma_zamani is null") == 0
    entries = await bench.rows("select islem from denetim where islem like 'yukleme.%' order by sira")
    assert [row.islem for row in entries] == ["yukleme.kondu", "yukleme.kaldirildi"]
    async with bench.database.work(await bench.actor("hekim")) as work:
        with pytest.raises(NumuneError) as error:
            await load_tube(work, bench.code, second)
    assert error.value.status == 403


def test_places_are_compared_as_people_say_them() -> None:
    assert [plain(said) for said in ("03", " 3 ", "a-1", "A - 01", "0", "00", "b12")] == [
        "3", "3", "A-1", "A-1", "0", "0", "B12"
    ]  # fmt: skip
