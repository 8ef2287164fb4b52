"""The report on paper: what stands on it, and that no name can become code of the page."""

from __future__ import annotations

import asyncio
import io
from typing import Any

import pypdf
import pytest
import zxingcpp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from api.report import compile_report, make_pdf, masked_tc
from tests.api.conftest import Clinic, person

HOSTILE = [
    '#panic("ele geçirildi")',
    '#read("/etc/passwd")',
    "#sys.inputs.veri",
    "$ integral $ *kalın* _eğik_ `kod` <etiket> @kaynak // yorum /* */",
    "] } ) #[ #{ \\ \" ' \\u{41}",
    "= Başlık",
    "\u202eters\u202c",
    "日本 العربية 😀",
]


def pages(pdf: bytes) -> list[str]:
    return [page.extract_text() for page in pypdf.PdfReader(io.BytesIO(pdf)).pages]


async def printed(clinic: Clinic, number: str, by: str = "hekim") -> list[str]:
    answer = await (await clinic.as_(by)).get(f"/api/v1/orders/{number}/report.pdf")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.headers["cache-control"] == "no-store"
    return pages(answer.content)


async def test_everything_that_a_reader_needs_is_on_the_page(clinic: Clinic) -> None:
    who = person(given_name="Şükrü İlker", family_name="ÇIĞIRGÖZ", sex="M", birth_date="1980-05-17")
    placed = await clinic.place("GLU", "K", "WBC", "TSH", patient=who)
    number = placed["number"]
    await clinic.receive(placed)
    await clinic.measure(number, GLU="92", K="7.1", WBC="2.1")
    await clinic.release(number, "GLU", "K", "WBC")
    [text] = await printed(clinic, number)
    for words in (
        "Numune Halk Sağlığı Laboratuvarı", "Laboratuvar Sonuç Raporu", "Şükrü İlker ÇIĞIRGÖZ", "Erkek / 4",
        "17.05.1980", number, "Uzm. Dr. Çağla Özışık", "Dahiliye Polikliniği", "Rutin",
        "Biyokimya", "Glukoz", "92", "mg/dL", "7.1", "P!", "mmol/L", "2.1", "10*3/uL",
        "kabul", "Teknik onay: Tuğba Işıklı", "Klinik onay: Ufuk Çınar",
        "çalışılıyor", "Sayfa 1 / 1", "NUM-R01", "Basım:",
    ):  # fmt: skip
        assert words in text, words
    assert who["tc"] not in text
    assert who["tc"][:3] + "******" + who["tc"][-2:] in text
    assert "klinik onay alınmadan" not in text


async def test_the_laboratory_chooses_how_the_identity_number_is_printed(clinic: Clinic) -> None:
    who = person()
    placed = await clinic.place("GLU", patient=who)
    await clinic.measure(placed["number"], GLU="92")
    await clinic.release(placed["number"], "GLU")
    await clinic.sql("insert into parametre (ad, deger) values ('rapor', '{\"tc\": \"acik\"}')")
    assert who["tc"] in (await printed(clinic, placed["number"]))[0]
    assert masked_tc("12345678901", "maskeli") == "123******01"
    assert masked_tc("12345678901", "yok") == ""
    assert masked_tc(None, "acik") == ""


async def test_no_letters_are_drawn_together(clinic: Clinic) -> None:
    """A ligature hides the dot that tells `fi` from `fı`, and a name copied from the page would be another name."""
    placed = await clinic.place("GLU", patient=person(family_name="Efiloğlu", given_name="Şeffaf Kâfi"))
    await clinic.measure(placed["number"], GLU="92")
    await clinic.release(placed["number"], "GLU")
    assert "Şeffaf Kâfi Efiloğlu" in " ".join((await printed(clinic, placed["number"]))[0].split())


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_name_is_text_whatever_it_says(clinic: Clinic, name: str) -> None:
    """Names come from people and from other systems; on the page they are letters, never commands."""
    placed = await clinic.place("GLU", clinical={"not": name})
    await clinic.sql("update hasta set ad = :name, soyadi = :name", name=name)
    await clinic.sql("update kurum set kurum_adi = :name", name=name)
    await clinic.measure(placed["number"], GLU="92")
    await clinic.release(placed["number"], "GLU")
    [text] = await printed(clinic, placed["number"])
    assert "92" in text
    if name.isascii():
        assert name.split()[0] in text
    assert "root:" not in text


def data(text: str = "Deneme", rows: int = 1) -> dict[str, Any]:
    """A page on which every text is the same."""
    row = {
        "ad": text, "deger": text, "isaret": "Y", "isaret_adi": text, "birim": text, "referans": text, "yontem": text,
        "zaman": text, "onaysiz": "",
    }  # fmt: skip
    return {
        "kurum": text,
        "form": "NUM-R01",
        "acil_yazi": "",
        "hasta": {"ad": text, "kimlik": text, "cinsiyet": text, "yas": text, "dogum": text},
        "istem": {"numara": text, "hekim": text, "birim": text, "oncelik": text, "zaman": text},
        "barkod": {"cubuklar": [[10, 2]], "genislik": 40},
        "gruplar": [{"ad": text, "numuneler": [text], "satirlar": [{"panel": text}, *[row] * rows], "onaylar": [text]}],
        "bekleyen": [text],
        "basim": {"zaman": text, "yapan": text},
        "alt_yazi": text,
    }


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=120))
def test_any_text_makes_a_page(text: str) -> None:
    assert compile_report(data(text), "pdf").startswith(b"%PDF")


async def test_the_number_can_be_scanned_from_the_paper(clinic: Clinic) -> None:
    from api.report import _barcode

    number = "26000145"
    page = compile_report(data() | {"barkod": _barcode(number)}, "png")
    read = zxingcpp.read_barcodes(Image.open(io.BytesIO(page)))
    assert [(code.text, code.format) for code in read] == [(number, zxingcpp.BarcodeFormat.Code128)]


@pytest.mark.clause("9.11.7a")
async def test_a_long_order_fits_on_two_pages(clinic: Clinic) -> None:
    """25 chemistry tests, a haemogram, 10 hormones and a urinalysis."""
    groups = (await (await clinic.as_("hekim")).get("/api/v1/tests")).json()
    by_group: dict[str, list[str]] = {}
    for group in groups:
        for test in group["tests"]:
            if not test["panel"]:
                by_group.setdefault(test["group"], []).append(test["code"])
    chemistry, hormones = by_group["BIYOKIMYA"][:25], by_group["HORMON"][:10]
    placed = await clinic.place(*chemistry, *hormones, "CBC", "TIT")
    number = placed["number"]
    await clinic.receive(placed)
    codes = [line["code"] for line in (await clinic.order(number))["tests"]]
    await clinic.measure(number, **dict.fromkeys(codes, "7"))
    ids = [line["result"]["id"] for line in (await clinic.order(number))["tests"]]
    for deed, by in (("technical-approval", "teknisyen"), ("clinical-approval", "uzman")):
        done = await (await clinic.as_(by)).post(f"/api/v1/results/{deed}", json={"ids": ids, "reason": "deneme"})
        assert all(one["ok"] for one in done.json())
    made = await printed(clinic, number)
    assert len(made) <= 2
    assert len(codes) >= 25 + 10 + 20
    assert "Sayfa 2 / 2" in made[1]
    assert number in made[1]  # a page that falls on the floor still says whose it is
    assert "Işıl Çığır" in made[1]


async def test_making_a_report_does_not_stop_the_laboratory() -> None:
    """The event loop goes on while a large report is made."""
    longest, last = 0.0, asyncio.get_running_loop().time()
    making = asyncio.create_task(make_pdf(data(rows=3000)))
    started = last
    while not making.done():
        await asyncio.sleep(0.002)
        now = asyncio.get_running_loop().time()
        longest, last = max(longest, now - last), now
    assert (await making).startswith(b"%PDF")
    assert last - started > 0.05
    assert longest < (last - started) / 2
