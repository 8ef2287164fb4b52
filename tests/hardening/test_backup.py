"""Backups that nobody reads on the way, that cannot be cut or altered unseen, and that come back with a whole audit."""

from __future__ import annotations

import io
import json
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from lis_core import backup, backup_cli
from lis_core.backup import CHUNK, TAG, BackupError
from lis_core.cli import db
from lis_core.services.secret_box import FILE, SecretBox
from lis_core.storage import roles
from tests.conftest import _sibling

KEY = X25519PrivateKey.generate()
OTHER = X25519PrivateKey.generate()


def sealed(content: bytes, *to: X25519PrivateKey) -> bytes:
    target = io.BytesIO()
    backup.seal(io.BytesIO(content), target, [key.public_key() for key in to or (KEY,)], {"icerik": "deneme"})
    return target.getvalue()


def read(data: bytes, *keys: X25519PrivateKey) -> bytes:
    return b"".join(backup.opened(io.BytesIO(data), keys or (KEY,)))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of a few bytes, so that a small file has many."""
    monkeypatch.setattr(backup, "CHUNK", 16)


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 32, 33, 160])
def test_what_was_sealed_comes_back(size: int, small: None) -> None:
    content = bytes(range(256))[:size]
    assert read(sealed(content)) == content


def test_a_real_chunk_is_large_and_the_last_may_be_full() -> None:
    content = b"numune" * (2 * CHUNK // 6 + 1)
    for size in (2 * CHUNK - 1, 2 * CHUNK, 2 * CHUNK + 1):
        data = sealed(content[:size])
        assert read(data) == content[:size]
        assert content[:40] not in data


def test_each_of_several_holders_opens_it_and_nobody_else() -> None:
    data = sealed(b"hasta", KEY, OTHER)
    assert read(data, KEY) == read(data, OTHER) == b"hasta"
    with pytest.raises(BackupError, match="başka bir anahtara"):
        read(data, X25519PrivateKey.generate())


def _parts(data: bytes) -> tuple[bytes, list[bytes]]:
    """The header, and the chunks of a file with chunks of 16 bytes."""
    start = len(backup.MAGIC)
    end = start + 4 + int.from_bytes(data[start : start + 4], "big")
    body, step = data[end:], 16 + TAG
    return data[:end], [body[place : place + step] for place in range(0, len(body), step)]


def test_a_file_that_was_cut_reordered_doubled_or_joined_does_not_open(small: None) -> None:
    """Attack on a backup in storage. What does open before the fault is never the whole, and says so by failing."""
    content = b"0123456789abcdef" * 5
    head, chunks = _parts(sealed(content))
    other_head, others = _parts(sealed(content))
    assert len(chunks) == 5
    for wrong in (
        chunks[:-1],  # the end is gone, at the border of a chunk
        chunks[:1],
        chunks[1:],  # the beginning is gone
        [chunks[1], chunks[0], *chunks[2:]],
        [*chunks[:2], chunks[1], *chunks[2:]],
        [*chunks, chunks[-1]],
        [others[0], *chunks[1:]],  # a chunk of another backup of the same data
        [*chunks[:-1], chunks[-1][:-1]],
        [],
    ):
        with pytest.raises(BackupError):
            read(head + b"".join(wrong))
    with pytest.raises(BackupError):
        read(other_head + b"".join(chunks))


@settings(deadline=None)
@given(st.data())
def test_no_byte_can_be_changed(data: st.DataObject) -> None:
    """In the header or in the content: it is found, or changes nothing that was sealed."""
    whole = _SMALL
    place = data.draw(st.integers(0, len(whole) - 1))
    changed = bytearray(whole)
    changed[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(BackupError):
        read(bytes(changed))


_SMALL = sealed(b"TC 12345678901 Na 140")


@given(st.binary(max_size=200))
def test_no_bytes_at_all_raise_anything_but_a_sentence(noise: bytes) -> None:
    for data in (noise, backup.MAGIC + noise, backup.MAGIC + len(noise).to_bytes(4, "big") + noise):
        with pytest.raises(BackupError):
            read(data)


def test_a_key_file_is_readable_by_its_owner_only_and_never_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "yedek.anahtar"
    public = backup.make_key(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert backup.public_text(backup.read_private(file).public_key()) == public
    assert backup.public_text(backup.read_public(public)) == public
    with pytest.raises(FileExistsError):
        backup.make_key(file)
    for wrong in ("", "numune-yedek-acik-", public[:-3], public.replace("acik", "kapali"), "ssh-rsa AAAA"):
        with pytest.raises(BackupError):
            backup.read_public(wrong)


def test_a_password_is_on_no_command_line() -> None:
    address, environment = backup_cli.without_password(
        "postgresql://sahip:g%40z%2Fli@db.lab:5432/numune?sslmode=require"
    )
    assert address == "postgresql://sahip@db.lab:5432/numune?sslmode=require"
    assert environment["PGPASSWORD"] == "g@z/li"
    assert (
        backup_cli.without_password("postgresql://postgres:@/numune?host=/run")[0]
        == "postgresql://postgres@/numune?host=/run"
    )


@pytest.fixture
def empty(pg_server: str) -> Iterator[str]:
    name = f"geri_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(pg_server, autocommit=True) as admin:
        admin.execute(f"create database {name} encoding 'UTF8' template template0")
        roles.make_local(admin, name)
    yield _sibling(pg_server, name)
    with psycopg.connect(pg_server, autocommit=True) as admin:
        admin.execute(f"drop database {name} with (force)")


def test_a_sealed_backup_restores_with_its_audit_its_guards_and_its_roles(
    pg_server: str,
    lab_template: str,
    empty: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The whole way, as an operator goes it: key, backup, proof, restore on another machine, verification."""
    secret, file = tmp_path / "yedek.anahtar", tmp_path / "gece.yedek"
    data = tmp_path / "veri"
    monkeypatch.setenv("NUMUNE_DATA_DIR", str(data))
    monkeypatch.setenv("NUMUNE_DATABASE_URL", _sibling(pg_server, lab_template))
    SecretBox.of(data, {})
    assert db(["backup-key", str(secret)]) == 0
    monkeypatch.setenv(backup_cli.TO, capsys.readouterr().out.split()[-1])

    assert db(["backup", str(file)]) == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    raw = file.read_bytes()
    assert raw.startswith(backup.MAGIC)
    assert b"PGDMP" not in raw
    assert (data / FILE).read_bytes().strip() not in raw, "the key of the second factors is never in a backup"
    assert json.loads((data / backup_cli.LAST).read_text())["sifreli"] is True
    assert [path.name for path in tmp_path.glob("*.yarim")] == []

    capsys.readouterr()
    assert db(["backup", "--verify", str(file)]) == 1, "who makes backups cannot read them"
    assert "anahtar" in capsys.readouterr().err
    assert db(["backup", "--verify", str(file), "--key", str(secret)]) == 0
    cut = tmp_path / "kesik.yedek"
    cut.write_bytes(raw[:-200])
    assert db(["backup", "--verify", str(cut), "--key", str(secret)]) == 1

    monkeypatch.setenv("NUMUNE_DATABASE_URL", roles.url_as(empty, roles.OWNER))
    assert db(["restore", str(cut), "--key", str(secret)]) == 1
    with psycopg.connect(empty) as connection:
        assert connection.execute("select to_regclass('denetim')").fetchone() == (None,), "not a half of it"
    assert db(["restore", str(file), "--key", str(secret)]) == 0
    assert _counts(empty) == _counts(_sibling(pg_server, lab_template))
    with psycopg.connect(roles.url_as(empty, roles.AUDIT)) as connection:
        assert connection.execute("select * from denetim_dogrula()").fetchall() == []
        assert connection.execute("select count(*) from denetim").fetchone()[0] > 0  # type: ignore[index]
    with psycopg.connect(roles.url_as(empty, roles.APPLICATION)) as connection:
        assert connection.execute("select count(*) from tetkik").fetchone()[0] > 50  # type: ignore[index]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("alter table denetim disable trigger all")
    with (
        psycopg.connect(roles.url_as(empty, roles.OWNER)) as connection,
        pytest.raises(psycopg.errors.IntegrityConstraintViolation),
    ):
        connection.execute("insert into istem_tetkik select * from istem_tetkik limit 0")
        connection.execute("delete from cihaz")


def _counts(url: str) -> dict[str, int]:
    """Rows of every table."""
    with psycopg.connect(url) as connection:
        names = [
            str(row[0])
            for row in connection.execute(
                "select c.oid::regclass::text from pg_class c where c.relkind in ('r', 'p') "
                "and c.relnamespace::regnamespace::text in ('public', 'bolum')"
            ).fetchall()
        ]
        return {name: connection.execute(f"select count(*) from {name}").fetchone()[0] for name in names}  # type: ignore[index]


def test_without_a_key_a_backup_is_made_and_says_that_it_is_open(
    pg_server: str,
    pg_template: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """No backup would be worse than an open one; the operator is told each time, and by the doctor."""
    monkeypatch.setenv("NUMUNE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("NUMUNE_DATABASE_URL", _sibling(pg_server, pg_template))
    monkeypatch.delenv(backup_cli.TO, raising=False)
    assert db(["backup", str(tmp_path / "acik.dump")]) == 0
    assert "şifrelenmiyor" in capsys.readouterr().err
    assert db(["backup", "--verify", str(tmp_path / "acik.dump")]) == 0
    monkeypatch.setenv(backup_cli.TO, "yanlis-anahtar")
    assert db(["backup", str(tmp_path / "olmayan.dump")]) == 1, "a wrong key is no reason to write it open"
    assert not (tmp_path / "olmayan.dump").exists()
