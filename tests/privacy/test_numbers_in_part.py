"""Identity numbers of a record: whole for whoever has business with the person, in part for everybody else (law 6698)."""

from __future__ import annotations

import re

from lis_core.domain.permissions import P, Scope
from lis_core.services.permissions import Subject, give
from lis_core.views.privacy import mask_tc
from tests.api.conftest import Clinic, clinic, person  # noqa: F401 - the fixture
from tests.permissions.conftest import House

HTML = {"accept": "text/html"}


async def shown(clinic: Clinic, who: str, number: str, tc: str) -> set[str]:  # noqa: F811
    """Which of whole and part stands in his answers about this order: the interface's and the screen's."""
    client = await clinic.as_(who)
    found = set()
    for address in (f"/api/v1/orders/{number}", f"/istem/{number}"):
        answer = await client.get(address, headers=HTML)
        assert answer.status_code == 200, (who, address)
        found |= {word for word in (tc, mask_tc(tc)) if word in answer.text}
    return found


async def test_a_record_gives_the_whole_number_to_those_who_have_business_with_the_person(clinic: Clinic) -> None:  # noqa: F811
    who = person(hospital_id="HST-4455667")
    tc, part = who["tc"], mask_tc(who["tc"])
    number = (await clinic.place("GLU", by="hekim", patient=who))["number"]
    for username in ("hekim", "kabul", "teknisyen", "uzman"):
        assert await shown(clinic, username, number, tc) == {tc}, username
    assert await shown(clinic, "yonetici", number, tc) == {part}
    line = (await clinic.order(number, by="yonetici"))["patient"]
    assert (line["hospital_id"], line["given_name"]) == ("HST******67", who["given_name"])
    house = House(clinic.database)
    async with clinic.database.work(await house.actor("yonetici")) as work:  # a prohibition masks as well
        await give(work, Subject(group_id=await house.group("TEKNISYEN")), P.PATIENT_VIEW, Scope(), prohibits=True)
    assert await shown(clinic, "teknisyen", number, tc) == {part}


async def test_in_an_emergency_the_right_patient_is_made_sure_of(clinic: Clinic) -> None:  # noqa: F811
    who = person()
    number = (await clinic.place("GLU", by="hekim", patient=who))["number"]
    stranger = await clinic.as_("ailehekimi")
    assert (await stranger.get(f"/istem/{number}", headers=HTML)).status_code == 403
    async with clinic.anonymous() as browser:
        await browser.post("/giris", data={"kullanici": "ailehekimi", "parola": "Deneme-Parola-1"})
        token = re.search(r'name="form-token" content="([^"]+)"', (await browser.get("/yardim")).text)
        assert token is not None
        form = {"gerekce": "bilinci kapalı geldi, acil", "dakika": "30", "_form": token[1]}
        opened = await browser.post(f"/gizlilik/acil/{number}", data=form)
        assert opened.status_code in (200, 303), opened.text[-300:]
    assert await shown(clinic, "ailehekimi", number, who["tc"]) == {who["tc"]}


async def test_trying_numbers_to_learn_whose_they_are_leaves_a_row_each_time(clinic: Clinic) -> None:  # noqa: F811
    who = person()
    await clinic.place("GLU", by="kabul", patient=who)
    stranger = await clinic.as_("ailehekimi")
    assert (await stranger.get("/api/v1/patients", params={"q": who["family_name"]})).json() == []
    for _ in range(2):
        [line] = (await stranger.get("/api/v1/patients", params={"q": who["tc"]})).json()
    rows = await clinic.sql(
        "select yapan, nesne_kodu from denetim where islem = 'goruntuledi' and hastalar @> array[cast(:p as bigint)]",
        p=line["id"],
    )
    assert [tuple(row) for row in rows] == [("ailehekimi", "/api/v1/patients")] * 2
