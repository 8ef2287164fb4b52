"""`docs/law-assertions.md`: for each LAW assertion the tests that show it. `python -m tests.law.table` writes it.

The assertions themselves are in `tests/law/assertions.tsv` (id, actor, our one-line reading of it); a test names those
that it shows with `proves(...)`.
"""

from __future__ import annotations

import csv
import inspect
from importlib import import_module
from pathlib import Path

MODULES = ("test_query", "test_work", "test_results", "test_result_details", "test_envelope")
TARGET = Path(__file__).parents[2] / "docs" / "law-assertions.md"
LIST = Path(__file__).with_name("assertions.tsv")
NOT_OURS: dict[str, str] = {}
"""Assertions that no test of ours can show, with the reason."""
REMARKS = {
    "LAW-F.15": "AA, ileti geçidin diskine (fsync) yazıldıktan sonra verilir; veritabanı kapalıyken de kayıp olmaz. "
    "Disk yazılamıyorsa yanıt verilmez.",
    "LAW-F.14": "Kapsam: HL70357 100-103; bilinmeyen segment, alan ve kodlar hata değildir.",
    "LAW-F.74": "Aynı yanıt geçidin belleğinden verilir (son 2000 ileti); yeniden başlatmadan sonra yanıtın kontrol "
    "numarası başkadır, içerik yine bir kez uygulanır.",
    "LAW-F.19": "Yayın kipinde istem, numune gelmeden gönderilir; tetkik çalışıyor sayılmaz.",
    "LAB27-008": "İzolat QPD-9'da aranır; alan profilin açık noktasıdır, hatta doğrulanmalıdır.",
    "LAW-F.46": "Eşlenmemiş tetkik gönderilmez, bekleyen tetkikler listesinde kalır.",
    "LAW-F.59": "İptal edilemeyen adımın sonucu bağlanır. İptal edilmiş adımınki alınır (AA) ama bağlanmaz: eşleşmeyenlerde "
    "bir kişiyi bekler.",
    "LAB27-001": "Çözümleyicinin davranışı: simülatörle gösterilir.",
}


def assertions() -> list[tuple[str, str, str]]:
    """(id, actor, our reading)."""
    with LIST.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [(row[0], row[1], row[2]) for row in rows]


def proofs() -> dict[str, list[str]]:
    """Assertion id: the tests that show it."""
    found: dict[str, list[str]] = {}
    for name in MODULES:
        module = import_module(f"tests.law.{name}")
        for test, function in inspect.getmembers(module, inspect.isfunction):
            if test.startswith("test_"):
                for one in getattr(function, "law", ()):
                    found.setdefault(one, []).append(f"{name}.py::{test}")
    return found


def document() -> str:
    """The text of the file."""
    shown = proofs()
    rows = assertions()
    counted = sum(1 for id_, _, _ in rows if shown.get(id_))
    lines = [
        "# IHE LAW savları",
        "",
        f"{len(rows)} sav; {counted} tanesi testle gösterilir, {len(rows) - counted} tanesi bizim değildir. Bu dosya "
        "`python -m tests.law.table` ile testlerden yazılır; elle değiştirilmez. Testler gerçek soketlerle, gerçek "
        "veritabanıyla çalışır; iletiler bağımsız `hl7` paketiyle okunup denetlenir. Çözümleyicinin savları "
        "simülatörle ve yöneticinin ona verdiği karşılıkla gösterilir.",
        "",
        "| Sav | Kim | Ne der | Test (`tests/law/`) | Durum |",
        "| --- | --- | --- | --- | --- |",
    ]
    for id_, actor, text in rows:
        tests = shown.get(id_, [])
        state = "geçer" if tests else f"bizim değil: {NOT_OURS.get(id_, '?')}"
        remark = f" {REMARKS[id_]}" if id_ in REMARKS else ""
        names = "<br>".join(f"`{one}`" for one in tests)
        lines.append(f"| {id_} | {actor} | {text}{remark} | {names} | {state} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    TARGET.write_text(document(), encoding="utf-8")
