"""Files that say that they are something else, are larger than they look, or are called like a place."""

from __future__ import annotations

import io
import re
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lis_core.domain.errors import NumuneError
from lis_core.domain.uploads import FileKind, download_headers, kind_of, looked_at, shown
from tests.attacks.house import Stage

PDF = b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n"
ANYTHING = frozenset(FileKind)


def picture(form: str, size: tuple[int, int] = (3, 2)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size).save(out, form)
    return out.getvalue()


def png_of(width: int, height: int) -> bytes:
    """A few bytes that announce a picture of this size."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def test_the_bytes_say_what_a_file_is() -> None:
    assert kind_of(PDF) is FileKind.PDF
    assert kind_of(picture("PNG")) is FileKind.PNG
    assert kind_of(picture("JPEG")) is FileKind.JPEG
    assert kind_of("Çığır; 5,4\r\n".encode()) is FileKind.TEXT
    assert kind_of(b"\x05\x021H|\\^&\r\x03E5\r\n\x04") is FileKind.WIRE
    assert kind_of("Çığır\r".encode("cp1254")) is FileKind.WIRE


LIARS = [
    b"MZ\x90\x00", b"\x7fELF\x02", b"PK\x03\x04zip", b"GIF89a<script>", b"%PDF-1.7 cut off", b"\xff\xd8\xffno end",
    b"\x89PNG\r\n\x1a\nno head", picture("PNG")[:-12], b"text\x00with zero", b"%!PS-Adobe", b"{\\rtf1 x}",
]  # fmt: skip


@pytest.mark.parametrize("content", LIARS)
def test_what_is_none_of_them_or_broken_is_refused_whatever_its_name_says(content: bytes) -> None:
    with pytest.raises(NumuneError) as refused:
        looked_at(content, "rapor.pdf", ANYTHING, 10_000)
    assert refused.value.code == "NUM-0001"


def test_a_page_named_picture_is_a_text_and_only_taken_where_texts_are() -> None:
    page = b"<html><script>alert(1)</script>"
    with pytest.raises(NumuneError):
        looked_at(page, "resim.png", {FileKind.PNG, FileKind.PDF}, 10_000)
    assert looked_at(page, "a.txt", {FileKind.TEXT}, 10_000).kind is FileKind.TEXT


@pytest.mark.parametrize("size", [(20_001, 1), (1, 20_001), (19_000, 19_000), (0, 5), (2**31, 2**31)])
def test_decompression_a_small_file_that_unpacks_to_a_huge_picture_is_refused(size: tuple[int, int]) -> None:
    assert len(png_of(*size)) < 200
    assert kind_of(png_of(*size)) is None
    assert kind_of(png_of(300, 200)) is FileKind.PNG


def test_size_is_asked_first() -> None:
    with pytest.raises(NumuneError) as refused:
        looked_at(PDF * 1000, "a.pdf", ANYTHING, 1000)
    assert refused.value.code == "NUM-0006"
    with pytest.raises(NumuneError):
        looked_at(b"", "a.pdf", ANYTHING, 1000)


@given(st.binary(max_size=300))
def test_any_bytes_are_some_kind_or_none(content: bytes) -> None:
    assert kind_of(content) in (None, *FileKind)
    for start in (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"%PDF-"):
        kind_of(start + content)


@given(
    st.one_of(
        st.text(max_size=60),
        st.sampled_from(["../../etc/passwd", "C:\\x\\..\\y.pdf", "a\r\nSet-Cookie: x", ".", "..", "con\u202egpj.exe"]),
    )
)
def test_path_traversal_a_name_is_for_people_and_never_a_path_or_a_header(name: str) -> None:
    kept = looked_at(PDF, name, ANYTHING, 10_000)
    assert re.fullmatch(r"[0-9a-f]{32}\.pdf", kept.stored_name)
    assert kept.stored_name != looked_at(PDF, name, ANYTHING, 10_000).stored_name
    assert "/" not in kept.shown_name and "\\" not in kept.shown_name and kept.shown_name not in (".", "..", "")
    for value in download_headers(kept.kind, name).values():
        assert value.isprintable() and value.isascii() and value.count('"') in (0, 2)
    headers = download_headers(kept.kind, name)
    assert headers["Content-Disposition"].startswith("attachment; ") and headers["X-Content-Type-Options"] == "nosniff"
    assert shown(kept.shown_name) == kept.shown_name


@pytest.mark.parametrize(
    ("content", "status"),
    [(PDF, 422), (picture("PNG"), 422), (b"PK\x03\x04" + b"x" * 50, 422), (b"x" * 300_000, 413), (b"MZ\x00", 422)],
)
async def test_the_workshop_takes_bytes_of_a_line_and_no_other_file(stage: Stage, content: bytes, status: int) -> None:
    visitor = await stage.as_("hepsi")
    answer = await visitor.client.post(
        "/cihazlar/tanim",
        files={"dosya": ("../../yakalama.txt", content, "text/plain")},
        headers={"x-form-token": visitor.token},
    )
    assert answer.status_code == status, answer.text[:300]


async def test_the_workshop_still_takes_a_capture(stage: Stage) -> None:
    visitor = await stage.as_("hepsi")
    capture = b"\x05\x021H|\\^&|||X\rP|1\rO|1|55\rR|1|^^^GLU|5\rL|1|N\r\x0312\r\n\x04"
    answer = await visitor.client.post(
        "/cihazlar/tanim", files={"dosya": ("yakalama.bin", capture)}, headers={"x-form-token": visitor.token}
    )
    assert answer.status_code == 200 and "GLU" in answer.text
