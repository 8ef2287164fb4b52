"""`numune decode` and `numune instruments` as a person uses them."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from drivers import cli
from drivers.decode import KEYS
from tests.drivers.test_capture import BARE, record_frames, session

OUT_ERR = tuple[list[dict[str, object]], str]


def run(capsysbinary: pytest.CaptureFixture[bytes], *argv: str) -> tuple[int, list[dict[str, object]], str]:
    code = cli.decode(list(argv))
    printed = capsysbinary.readouterr()
    return code, [json.loads(line) for line in printed.out.splitlines()], printed.err.decode()


def test_one_object_a_line_with_every_key(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    (tmp_path / "a.astm").write_bytes(session(*record_frames()))
    code, lines, errors = run(capsysbinary, str(tmp_path / "a.astm"))

    assert (code, errors) == (0, "")
    assert [list(line) for line in lines] == [list(KEYS)]
    assert lines[0] == {
        "kind": "result", "instrument": "generic-astm", "specimen": "1001", "patient": None, "test": "K",
        "test_name": None, "value": "4.1", "number": 4.1, "unit": "mmol/L", "flags": [], "range": None,
        "status": None, "measured_at": None, "rack": None, "position": None, "replicate": 1, "operator": None,
        "lot": None, "attachment": None, "comments": [], "raw": {"record": 4},
    }  # fmt: skip


def test_a_query_for_five_tubes_is_five_lines_of_one_record(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    (tmp_path / "q.astm").write_bytes(b"H|`^&\rQ|1|^1`2`3`4`5||ALL||||||||O\rL|1|N\r")
    code, lines, _ = run(capsysbinary, str(tmp_path / "q.astm"))

    assert code == 0
    assert [(line["kind"], line["specimen"], line["raw"]) for line in lines] == [
        ("query", specimen, {"record": 2}) for specimen in "12345"
    ]


def test_a_query_for_everything_is_one_line_without_specimen(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    (tmp_path / "q.astm").write_bytes(b"H|\\^&\rQ|1|^ALL||ALL||||||||O\rL|1|N\r")
    _, lines, _ = run(capsysbinary, str(tmp_path / "q.astm"))

    assert [(line["kind"], line["specimen"]) for line in lines] == [("query", None)]


def test_the_model_can_be_named_and_the_sender_is_only_a_hint(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    message = (
        BARE.replace(b"Demo", b"    XN-550^00-24").replace(b"^^^K", b"^^^^PLT^1").replace(b"1001", b"|2^1^   1001^B")
    )
    (tmp_path / "x.astm").write_bytes(message)

    _, plain, hint = run(capsysbinary, str(tmp_path / "x.astm"))
    assert plain[0]["instrument"] == "generic-astm" and "--instrument sysmex-xn" in hint
    code, named, errors = run(capsysbinary, str(tmp_path / "x.astm"), "--instrument", "sysmex-xn")
    assert (code, errors) == (0, "")
    assert (named[0]["instrument"], named[0]["specimen"], named[0]["rack"], named[0]["test"]) == (
        "sysmex-xn", "1001", "2", "PLT",
    )  # fmt: skip


def test_standard_input(monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(BARE)))

    code, lines, _ = run(capsysbinary, "-")
    assert code == 0 and len(lines) == 1


def test_what_cannot_be_read_ends_with_1_and_a_sentence(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    (tmp_path / "good").write_bytes(BARE)
    (tmp_path / "printer").write_bytes(b"NA 140 mmol/L\r\n")
    code, lines, errors = run(capsysbinary, str(tmp_path / "good"), str(tmp_path / "printer"), str(tmp_path / "none"))

    assert code == 1 and len(lines) == 1
    assert "bulunamadı" in errors and "dosya okunamadı" in errors


def test_an_acknowledgement_and_an_empty_session_are_no_failure(
    tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    (tmp_path / "ack").write_bytes(b"\x0bMSH|^~\\&|A||B||20260101||ACK^R01|1|P|2.3.1\rMSA|AA|7\r\x1c\r")
    (tmp_path / "empty").write_bytes(b"\x05\x04")
    code, lines, _ = run(capsysbinary, str(tmp_path / "ack"), str(tmp_path / "empty"))

    assert (code, lines) == (0, [])


def test_a_model_of_the_other_protocol_is_refused(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    (tmp_path / "a").write_bytes(BARE)

    code, lines, errors = run(capsysbinary, str(tmp_path / "a"), "--instrument", "generic-hl7")
    assert (code, lines) == (1, []) and "HL7 konuşur" in errors
    code, _, errors = run(capsysbinary, str(tmp_path / "a"), "--instrument", "yok")
    assert code == 1 and "'yok' adlı bir cihaz tanımı yok" in errors


def test_the_catalogue_as_a_table_and_as_json(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert cli.instruments([]) == 0
    table = capsysbinary.readouterr().out.decode()
    assert table.splitlines()[0].startswith("ANAHTAR") and "roche-cobas-c311" in table

    assert cli.instruments(["--json"]) == 0
    entries = {entry["key"]: entry for entry in json.loads(capsysbinary.readouterr().out)}
    assert entries["sysmex-xn"]["directions"] == ["results", "query", "orders"]
    assert entries["sysmex-xn"]["tested_with"] and entries["roche-cobas-e411"]["standing"] == "documented"
