"""Turkish case, order and search: right in Python, right in PostgreSQL, and the same in both."""

from __future__ import annotations

import random
import unicodedata
import uuid
from collections.abc import Iterator

import psycopg
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lis_core.domain.turkish import (
    ALPHABET,
    SQL_FUNCTIONS,
    like_contains,
    lower,
    search_key,
    sort_key,
    upper,
)

# In order: domain facts 7.1.
CITIES = ["Cizre", "Çankırı", "Giresun", "Iğdır", "Isparta", "İzmir", "Ordu", "Ödemiş", "Samsun", "Şırnak", "Uşak"]
CITIES += ["Ünye", "Zonguldak"]


def mixed(words: list[str]) -> list[str]:
    """The words in another order, the same at every run."""
    return random.Random(1).sample(words, len(words))


@pytest.fixture(scope="module")
def turkish_db(pg_server: str) -> Iterator[psycopg.Connection[tuple[str, ...]]]:
    """A real database that has the two functions."""
    name = f"turkce_{uuid.uuid4().hex[:8]}"
    head, _, tail = pg_server.partition("?")
    url = f"{head.rsplit('/', 1)[0]}/{name}" + (f"?{tail}" if tail else "")
    with psycopg.connect(pg_server, autocommit=True) as admin:
        admin.execute(f"create database {name} encoding 'UTF8' template template0")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(SQL_FUNCTIONS)
            yield connection
        admin.execute(f"drop database {name}")


# --- case


def test_the_four_letters_i() -> None:
    assert lower("DİYARBAKIR") == "diyarbakır"
    assert lower("ŞIĞIRCI İPEK") == "şığırcı ipek"
    assert upper("ışık izmir") == "IŞIK İZMİR"
    assert upper("şığırcı") == "ŞIĞIRCI"


def test_an_i_with_a_separate_dot_is_an_i() -> None:
    """What a program without Turkish rules leaves behind when it makes "İzmir" small."""
    assert lower("İZMİR".lower()) == "izmir"
    assert search_key("İZMİR".lower()) == "izmir"
    assert upper("İzmir".lower()) == "İZMİR"


@given(st.text(ALPHABET + " '-.0123456789"))
def test_small_and_capital_letters_go_there_and_back(text: str) -> None:
    assert lower(upper(text)) == text
    assert lower(text) == text
    assert upper(upper(text)) == upper(text)


# --- order


def test_cities_stand_in_dictionary_order() -> None:
    assert sorted(mixed(CITIES), key=sort_key) == CITIES
    assert sorted((upper(city) for city in mixed(CITIES)), key=sort_key) == [upper(city) for city in CITIES]


def test_every_letter_stands_before_the_next() -> None:
    words = [word for letter in ALPHABET for word in (letter, letter + "a", letter + "z")]

    assert sorted(mixed(words), key=sort_key) == words


def test_case_and_circumflex_count_only_between_equals() -> None:
    assert sorted(["kârb", "Kara", "kar", "Kâr"], key=sort_key) == ["Kâr", "kar", "Kara", "kârb"]


def test_a_shorter_name_comes_first_and_signs_come_before_letters() -> None:
    names = ["Ali", "Ali Veli", "Ali-Can", "Ali2", "Alican", "Alişan"]

    assert sorted(mixed(names), key=sort_key) == names


# --- search


def test_a_search_without_turkish_letters_finds_the_name() -> None:
    assert search_key("sigirci") == search_key("ŞIĞIRCI") == search_key("Şığırcı") == "sigirci"
    assert search_key("Ünye")[0] == search_key("U")
    assert search_key("Kâzım ÖZGÜÇ") == "kazim ozguc"
    assert search_key("Kur’an") == "kur'an"


def test_a_percent_sign_of_the_user_is_a_percent_sign(turkish_db: psycopg.Connection[tuple[str, ...]]) -> None:
    found = turkish_db.execute(
        "select ad from unnest(%s::text[]) as t(ad) where tr_ara(ad) like %s",
        (["%5 dekstroz", "dekstroz", "5 dekstroz"], like_contains("%5 D")),
    ).fetchall()

    assert found == [("%5 dekstroz",)]


# --- the database says the same


def test_the_database_sorts_the_cities(turkish_db: psycopg.Connection[tuple[str, ...]]) -> None:
    query = 'select ad from unnest(%s::text[]) as t(ad) order by tr_sira(ad) collate "C"'

    assert [name for (name,) in turkish_db.execute(query, (mixed(CITIES),))] == CITIES


def test_the_database_finds_şığırcı(turkish_db: psycopg.Connection[tuple[str, ...]]) -> None:
    query = 'select ad from unnest(%s::text[]) as t(ad) where tr_ara(ad) like %s order by tr_sira(ad) collate "C"'
    names = ["ŞIĞIRCI İ.", "Işık", "Sığırcık", "ÖZ"]

    assert turkish_db.execute(query, (names, like_contains("sigirci"))).fetchall() == [("Sığırcık",), ("ŞIĞIRCI İ.",)]


def test_the_functions_may_stand_in_an_index_and_the_index_is_used(
    turkish_db: psycopg.Connection[tuple[str, ...]],
) -> None:
    turkish_db.execute("create temporary table kisi (ad text)")
    turkish_db.execute("create index on kisi (tr_ara(ad) text_pattern_ops)")
    turkish_db.execute('create index on kisi (tr_sira(ad) collate "C")')
    turkish_db.execute("insert into kisi select 'Kişi ' || n from generate_series(1, 5000) n")
    turkish_db.execute("analyze kisi")

    search = turkish_db.execute("explain select * from kisi where tr_ara(ad) like 'kisi 77%'").fetchall()
    order = turkish_db.execute('explain select * from kisi order by tr_sira(ad) collate "C" limit 5').fetchall()

    assert "Index" in str(search) and "Seq Scan" not in str(search)
    assert "Index" in str(order) and "Sort" not in str(order)


def test_the_functions_pass_through_sqlalchemy_unchanged(turkish_db: psycopg.Connection[tuple[str, ...]]) -> None:
    """Migrations send them as sa.text(): nothing in them may look like a parameter."""
    assert ":" not in SQL_FUNCTIONS
    assert "%" not in SQL_FUNCTIONS
    compiled = sa.text(SQL_FUNCTIONS).compile()
    assert compiled.params == {}
    assert str(compiled) == SQL_FUNCTIONS
    turkish_db.execute(SQL_FUNCTIONS)  # and may be created again


def database_keys(connection: psycopg.Connection[tuple[str, ...]], texts: list[str]) -> list[tuple[str, ...]]:
    query = "select tr_ara(t), tr_sira(t) from unnest(%s::text[]) with ordinality as u(t, n) order by n"
    return connection.execute(query, (texts,)).fetchall()


ORDINARY = st.text(
    ALPHABET + upper(ALPHABET) + "âîûÂÎÛêôÊÔéÉüñ 0123456789.,;:'\"’-_/()[]{}|~^`\\%&?!+*=<>@#$\t\n", max_size=30
)
UNUSUAL = st.text(st.characters(min_codepoint=1, max_codepoint=0x2FFF, exclude_categories=("Cs", "Cn")), max_size=30)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(ORDINARY | UNUSUAL, min_size=1, max_size=30))
def test_python_and_the_database_make_the_same_keys(
    turkish_db: psycopg.Connection[tuple[str, ...]], texts: list[str]
) -> None:
    assert database_keys(turkish_db, texts) == [(search_key(text), sort_key(text)) for text in texts]


@settings(deadline=None)
@given(st.lists(ORDINARY, max_size=12))
def test_python_and_the_database_order_alike(turkish_db: psycopg.Connection[tuple[str, ...]], texts: list[str]) -> None:
    query = 'select t from unnest(%s::text[]) as u(t) order by tr_sira(t) collate "C"'

    ordered = [text for (text,) in turkish_db.execute(query, (texts,))]

    assert ordered == sorted(texts, key=sort_key)


@given(ORDINARY)
def test_keys_do_not_depend_on_how_letters_were_composed(text: str) -> None:
    taken_apart = unicodedata.normalize("NFD", text)

    assert search_key(taken_apart) == search_key(text)
    assert sort_key(taken_apart) == sort_key(text)


@given(ORDINARY)
def test_a_search_key_is_plain_and_stays_what_it_is(text: str) -> None:
    key = search_key(text)

    assert key.isascii()
    assert search_key(key) == key
    assert search_key(lower(text)) == search_key(upper(text)) == key
