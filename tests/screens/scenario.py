"""A busy morning in the demonstration laboratory: real services, real ingest, invented people.

Used by the browser tests and for the pictures of the user's guide.
"""

from __future__ import annotations

import hashlib
import itertools
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import select, text, update

from drivers.messages import Delivery, Observation
from lis_core.demo_data.stories import USUAL
from lis_core.domain.identity import synthetic_tc
from lis_core.domain.states import Priority, TubeState
from lis_core.services.approvals import approve_clinically, approve_technically, request_repeat
from lis_core.services.ingest_batch import apply_batch
from lis_core.services.orders import OrderRequest, PlacedOrder, place_order
from lis_core.services.patients import PatientData
from lis_core.services.specimens import move_tube
from lis_core.services.users import actor_of_user
from lis_core.settings import ISTANBUL
from lis_core.storage.database import Actor, Database
from lis_core.storage.tables import GroupMember, Notice, Order, OrderedTest, Result, Test, User

_messages = itertools.count(1)
_people = itertools.count(820_000)

GIVEN = (
    ("Işıl", "F"),
    ("İbrahim", "M"),
    ("Gülşen", "F"),
    ("Çağatay", "M"),
    ("Şule", "F"),
    ("Uğur", "M"),
    ("Ömer", "M"),
)
FAMILY = ("Şahin", "Çelik", "Öztürk", "Işık", "Ünal", "Güneş", "Yıldırım", "Kılıç", "Aydın", "Erdoğdu", "Özgür", "Tunç")


@dataclass(slots=True)
class Lab:
    """The laboratory as a test speaks of it."""

    database: Database
    actors: dict[str, Actor] = field(default_factory=dict)

    async def actor(self, username: str) -> Actor:
        if username not in self.actors:
            async with self.database.reading() as session:
                user = await session.scalar(select(User).where(User.username == username))
                assert user is not None, username
                self.actors[username] = await actor_of_user(session, user, "127.0.0.1")
        return self.actors[username]

    async def order(self, tests: Sequence[str], *, by: str = "hekim", **wanted: Any) -> PlacedOrder:
        """Somebody orders tests; a new invented person unless `patient` is given."""
        patient = wanted.pop("patient", None) or person()
        async with self.database.work(await self.actor(by)) as work:
            return await place_order(work, OrderRequest(patient=patient, tests=tests, **wanted))

    async def receive(self, placed: PlacedOrder, to: TubeState = TubeState.RECEIVED, *captions: str) -> None:
        """The tubes of the order arrive (only those of these captions, if any are named)."""
        for specimen in placed.specimens:
            if not captions or specimen.caption in captions:
                async with self.database.work(await self.actor("kabul")) as work:
                    await move_tube(work, specimen.barcode, to)

    async def measure(
        self,
        number: str,
        values: Mapping[str, str],
        *,
        line: str = "genel",
        at: datetime | None = None,
        flags: Mapping[str, Sequence[str]] | None = None,
        kind: str = "result",
        codes: Mapping[str, str] | None = None,
        rack: str = "",
        position: str = "",
    ) -> None:
        """An analyser reports these values for a number, in one message as it stands on the line."""
        at = at or datetime.now(ISTANBUL)
        n = next(_messages)
        seen = [
            Observation(
                kind=kind,  # type: ignore[arg-type]
                specimen=number,
                test=(codes or {}).get(test, test),
                value=value,
                raw={"record": 4 + place},
                measured_at=at.astimezone(ISTANBUL).strftime("%Y-%m-%dT%H:%M:%S"),
                flags=list((flags or {}).get(test, ())),
                rack=rack or f"{n % 40 + 1}",
                position=position or f"{n % 10 + 1}",
                lot="A7",
            )
            for place, (test, value) in enumerate(values.items())
        ]
        raw = raw_message(number, seen)
        delivery = Delivery(
            key=f"sahne-{n}",
            line=line,
            received_at=datetime.now(UTC),
            protocol="astm",
            raw=raw,
            fingerprint=hashlib.sha256(raw).digest(),
            timed=True,
            definition="generic-astm",
            revision=1,
            observations=seen,
        )
        await apply_batch(self.database, [delivery])

    async def results(self, number: str, *codes: str) -> list[int]:
        """Ids of the valid runs of an order, of these tests or all."""
        async with self.database.reading() as session:
            question = (
                select(Result.id)
                .join(OrderedTest, OrderedTest.result_id == Result.id)
                .join(Order, Order.id == OrderedTest.order_id)
                .join(Test, Test.id == OrderedTest.test_id)
                .where(Order.number == number)
                .order_by(Result.id)
            )
            if codes:
                question = question.where(Test.code.in_(codes))
            return list(await session.scalars(question))

    async def repeat(self, number: str, code: str, reason: str = "", instrument: str | None = None) -> None:
        """The technician sends a result to a repeat."""
        async with self.database.work(await self.actor("teknisyen")) as work:
            await request_repeat(work, (await self.results(number, code))[0], reason, instrument)

    async def approve(
        self, number: str, *, clinically: bool = True, reason: str = "doğrulandı", codes: Sequence[str] = ()
    ) -> None:
        """Technical approval of everything that the order has (or of these tests), and clinical if wanted."""
        ids = await self.results(number, *codes)
        async with self.database.work(await self.actor("teknisyen")) as work:
            assert all(one.ok for one in await approve_technically(work, ids, reason))
        if clinically:
            async with self.database.work(await self.actor("uzman")) as work:
                assert all(one.ok for one in await approve_clinically(work, ids))

    async def approve_clinically(self, number: str) -> None:
        async with self.database.work(await self.actor("uzman")) as work:
            assert all(one.ok for one in await approve_clinically(work, await self.results(number)))

    async def limit(self, username: str, *groups: str) -> None:
        """Authorise somebody for these work groups only."""
        user = await self.actor(username)
        async with self.database.work(await self.actor("yonetici")) as work:
            await work.session.execute(
                update(GroupMember).where(GroupMember.user_id == user.user_id).values(benches=list(groups))
            )
        self.actors.pop(username)

    async def state(self, number: str, code: str) -> str:
        async with self.database.reading() as session:
            found = await session.scalar(
                text(
                    "select tetkik_durumu from istem_tetkik join tetkik_istem using (tetkik_istem_kodu) "
                    "join tetkik using (tetkik_kodu) where numune_numarasi = :number and tetkik_kisa_kodu = :code"
                ),
                {"number": number, "code": code},
            )
        return str(found)


def person(**wanted: Any) -> PatientData:
    """An invented person."""
    n = next(_people)
    given, sex = GIVEN[n % len(GIVEN)]
    said: dict[str, Any] = {
        "given_name": given,
        "family_name": FAMILY[n % len(FAMILY)],
        "tc": synthetic_tc(n),
        "sex": sex,
        "birth_date": date(1938 + n % 70, 1 + n % 12, 1 + n % 28),
    }
    return PatientData(**(said | wanted))


def raw_message(number: str, seen: Sequence[Observation]) -> bytes:
    """The bytes of such a message: ENQ, one frame, EOT."""
    records = ["H|\\^&|||genel|||||||P|1", "P|1", f"O|1|{number}||^^^TUM|R", "C|1|I|rutin|G"]
    for place, one in enumerate(seen, 1):
        time = re.sub("[^0-9]", "", one.measured_at or "")
        records.append(f"R|{place}|^^^{one.test}|{one.value}||||{''.join(one.flags)}|F||||{time}")
    body = "1" + "\r".join([*records, "L|1|N"]) + "\r\x03"
    check = f"{sum(body.encode()) % 256:02X}"
    return b"\x05\x02" + body.encode() + check.encode() + b"\r\n\x04"


def plain(tests: Sequence[str], chance: random.Random) -> dict[str, str]:
    """Plain values of these tests, each a little different."""
    return {test: _near(USUAL[test], chance) for test in tests}


def _near(text_value: str, chance: random.Random) -> str:
    try:
        value = float(text_value)
    except ValueError:
        return text_value
    decimals = len(text_value.partition(".")[2])
    return f"{value * chance.uniform(0.97, 1.03):.{decimals}f}"


CBC = [
    "WBC",
    "RBC",
    "HGB",
    "HCT",
    "MCV",
    "MCH",
    "MCHC",
    "PLT",
    "RDW-SD",
    "RDW-CV",
    "PDW",
    "MPV",
    "P-LCR",
    "PCT",
    "NEUT#",
    "LYMPH#",
    "MONO#",
    "EO#",
    "BASO#",
    "NEUT%",
    "LYMPH%",
    "MONO%",
    "EO%",
    "BASO%",
    "IG#",
    "IG%",
]
CHEMISTRY = ["GLU", "UREA", "CREA", "ALT", "AST", "NA", "K", "CL", "CHOL", "TRIG", "HDL", "TBIL"]


async def busy_morning(database: Database, orders: int = 24) -> Lab:
    """History, work at every stage, panic, instrument flags, lines, traffic, an unmatched result."""
    lab, chance = Lab(database), random.Random(5)
    regular = person(given_name="Işıl", family_name="Şığırcı", sex="F", birth_date=date(1980, 3, 14))
    now = datetime.now(ISTANBUL)
    for days, potassium, glucose in ((61, "4.4", "91"), (24, "4.1", "96"), (3, "4.2", "95")):
        at = now - timedelta(days=days)
        past = await lab.order(["K", "GLU", "CREA", "NA", "TSH", "CBC"], patient=regular, ordered_at=at)
        await lab.receive(past)
        values = plain(["CREA", "NA", "TSH", *CBC], chance) | {"K": potassium, "GLU": glucose}
        await lab.measure(past.number, values, at=at)
        await lab.approve(past.number)
    urgent = await lab.order(
        ["BIYO", "CBC", "TSH"],
        patient=regular,
        priority=Priority.URGENT,
        clinical={"gebe": True, "not": "çarpıntı, halsizlik"},
    )
    await lab.receive(urgent)
    await lab.measure(urgent.number, {"K": "7.0"}, line="genel", at=now - timedelta(minutes=50))
    await lab.measure(
        urgent.number,
        plain([test for test in CHEMISTRY if test != "K"], chance) | {"GLU": "108"},
        at=now - timedelta(minutes=12),
    )
    await lab.measure(urgent.number, plain(CBC, chance) | {"HGB": "10.9"}, at=now - timedelta(minutes=9))
    await _many(lab, chance, orders)
    await _loose_ends(lab, now)
    return lab


async def _many(lab: Lab, chance: random.Random, orders: int) -> None:
    """Orders in every stage; most results plain, some not."""
    for n in range(orders):
        by = "ailehekimi" if n % 3 == 0 else "hekim"
        wanted = (["BIYO"], ["CBC"], ["BIYO", "CBC"], ["TIROID", "FERR", "B12"], ["BIYO", "TIT"], ["CBC", "ESR"])[n % 6]
        more: dict[str, Any] = {"priority": Priority.PRIORITY} if n % 7 == 3 else {}
        if by == "ailehekimi":
            more["number"] = str(1001 + n)
        placed = await lab.order(wanted, by=by, **more)
        if n % 8 == 7:
            continue  # still expected
        await lab.receive(placed, TubeState.RECEIVED, *(placed.specimens[0].caption,) if n % 8 == 5 else ())
        if n % 8 == 6:
            continue  # waits for its analyser
        tests = [test for specimen in placed.specimens for test in specimen.tests]
        values = plain(tests, chance)
        flags = {}
        if n % 5 == 1 and "TRIG" in values:
            values["TRIG"] = "268"
        if n % 5 == 2 and "PLT" in values:
            values["PLT"] = "96"
            flags = {"PLT": ["PLT Clumps?"]}
        if n % 5 == 3 and "TSH" in values:
            values["TSH"] = "7.9"
        await lab.measure(placed.number, values, flags=flags)
        if n % 4 in (2, 3):
            await lab.approve(placed.number, clinically=n % 4 == 3)


async def _loose_ends(lab: Lab, now: datetime) -> None:
    await lab.measure("424242", {"GLU": "96", "UREA": "31"})
    waiting = await lab.order(["GLU", "K"], by="hekim")
    await lab.receive(waiting)
    await lab.measure(waiting.number, {"XYZ": "1.2"})
    await lab.measure("QC-1", {"GLU": "101", "K": "4.1"}, kind="qc")
    async with lab.database.work(await lab.actor("yonetici")) as work:
        work.session.add(
            Notice(kind="hat", text="Sedimantasyon cihazının hattı 10 dakikadır sessiz.", entity="baglanti")
        )
        await work.session.execute(
            text(
                """
                insert into baglanti_durumu (baglanti_kodu, dinliyor, bagli_uc, karsi_adres, son_bayt_zamani,
                    son_mesaj_zamani, mesaj_sayisi, sorgu_sayisi, hata_sayisi, son_hata, son_hata_zamani,
                    guncelleme_zamani)
                select baglanti_kodu, baglanti_adi <> 'law',
                    case when baglanti_adi in ('sedim', 'law') then 0 else 1 end, '127.0.0.1:52114', :at, :at, 41, 12,
                    case baglanti_adi when 'hormon' then 3 else 0 end,
                    case baglanti_adi
                        when 'hormon' then 'Çerçeve sağlama toplamı tutmadı; cihazdan yeniden istendi.'
                        when 'law' then 'Port başka bir program tarafından kullanılıyor.' end,
                    case when baglanti_adi in ('hormon', 'law') then cast(:later as timestamptz) end,
                    now() + interval '1 day'
                from baglanti on conflict do nothing
                """
            ),
            {"at": now, "later": now + timedelta(seconds=2)},
        )
