"""Synthetic people of the demonstration laboratory. None of them exists."""

from __future__ import annotations

from lis_core.domain.permission_templates import Job

INSTITUTION = ("DEMO-01", "Numune Halk Sağlığı Laboratuvarı (gösterim)")

UNITS = (  # code, name, kind
    ("LAB", "Halk Sağlığı Laboratuvarı", "laboratuvar"),
    ("DAHILIYE", "Dahiliye Polikliniği", "klinik"),
    ("ACIL", "Acil Servis", "klinik"),
    ("AHB-01", "1 No'lu Aile Hekimliği Birimi", "aile_hekimligi"),
    ("AHB-02", "2 No'lu Aile Hekimliği Birimi", "aile_hekimligi"),
)

PHYSICIANS = (  # code, given name, family name, title, unit
    ("H-100", "Çağla", "Özışık", "Uzm. Dr.", "DAHILIYE"),
    ("H-101", "Onur", "Yıldırım", "Dr.", "ACIL"),
    ("AH-200", "İpek", "Güneş", "Dr.", "AHB-01"),
    ("AH-201", "Şükrü", "Ünal", "Dr.", "AHB-02"),
)

USERS = (  # user name, given name, family name, group, physician
    ("teknisyen", "Tuğba", "Işıklı", Job.TECHNICIAN, None),
    ("uzman", "Ufuk", "Çınar", Job.SPECIALIST, None),
    ("hekim", "Çağla", "Özışık", Job.CLINICIAN, "H-100"),
    ("ailehekimi", "İpek", "Güneş", Job.FAMILY_PHYSICIAN, "AH-200"),
    ("kabul", "Kâmil", "Şahin", Job.ACCEPTANCE, None),
    ("yonetici", "Yasemin", "Öztürk", Job.ADMINISTRATOR, None),
)

BARCODE_RANGES = ((1001, 1999, "AH-200"), (2001, 2999, "AH-201"))
"""Pre-printed numbers handed out: first, last, physician (9.2.5)."""
