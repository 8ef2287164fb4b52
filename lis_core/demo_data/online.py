"""The patients' page of the demonstration laboratory: open, with what a laboratory usually keeps off the internet."""

from __future__ import annotations

from lis_core.domain.online import Look, When
from lis_core.domain.online_access import PatientPageRules

PAGE = PatientPageRules(acik=True)

CONFIDENTIAL = ("ANTIHIV",)
"""Tests whose results are printed under a code (9.8.5)."""

RULES = (  # test, which results, what stands instead, why
    ("HBSAG", When.ALWAYS, Look.SENTENCE, "tarama testi; reaktif sonuç doğrulanır, sonucu hekim açıklar"),
    ("ANTIHCV", When.ALWAYS, Look.SENTENCE, "tarama testi; reaktif sonuç doğrulanır, sonucu hekim açıklar"),
)
