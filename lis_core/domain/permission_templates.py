"""The groups that a new installation starts with: the usual jobs (2.8.11). Afterwards they are data, and editable."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from lis_core.domain.permissions import P, Scope, ScopeKind

_OWN_UNITS = Scope(ScopeKind.UNIT)
_OWN_PATIENTS = Scope(ScopeKind.OWN)
_ALL = (Scope(),)
_MINE = (_OWN_UNITS, _OWN_PATIENTS)


class Job(StrEnum):
    """Codes of the first groups."""

    ACCEPTANCE = "NUMUNE_KABUL"
    TECHNICIAN = "TEKNISYEN"
    SPECIALIST = "UZMAN"
    CHIEF = "LABORATUVAR_SORUMLUSU"
    FAMILY_PHYSICIAN = "AILE_HEKIMI"
    CLINICIAN = "KLINISYEN"
    WATER_ANALYST = "SU_ANALIZ"
    TRANSPORT = "TASIMA"
    BILLING = "FATURA"
    ADMINISTRATOR = "SISTEM_YONETICISI"


@dataclass(frozen=True, slots=True)
class Template:
    """A first group. `inside`: the group that it is a member of, and so inherits from."""

    code: Job
    caption: str
    description: str
    grants: tuple[tuple[P, tuple[Scope, ...]], ...]
    inside: Job | None = None


def _everywhere(*permissions: P) -> tuple[tuple[P, tuple[Scope, ...]], ...]:
    return tuple((permission, _ALL) for permission in permissions)


def _of_own(*permissions: P) -> tuple[tuple[P, tuple[Scope, ...]], ...]:
    return tuple((permission, _MINE) for permission in permissions)


_CLINIC = (
    *_everywhere(P.CATALOGUE_VIEW, P.RESULT_VIEW, P.PATIENT_ENTER, P.PRIVACY_EMERGENCY),
    (P.PRIVACY_VIEW, (_OWN_PATIENTS,)),
    (P.RESULT_VIEW_CONFIDENTIAL, (_OWN_PATIENTS,)),
    *_of_own(
        P.PATIENT_VIEW,
        P.ORDER_VIEW,
        P.ORDER_ENTER,
        P.ORDER_CHANGE,
        P.SPECIMEN_VIEW,
        P.SPECIMEN_COLLECT,
        P.SPECIMEN_DISPATCH,
        P.REPORT_TAKE,
        P.ONLINE_SLIP,
    ),
)

TEMPLATES: tuple[Template, ...] = (
    Template(
        Job.ACCEPTANCE,
        "Numune kabul",
        "İstem ve numune işleri; sonuç görmez.",
        _everywhere(
            P.PATIENT_VIEW,
            P.PATIENT_ENTER,
            P.PATIENT_CHANGE,
            P.ORDER_VIEW,
            P.ORDER_ENTER,
            P.ORDER_CHANGE,
            P.SPECIMEN_VIEW,
            P.SPECIMEN_COLLECT,
            P.SPECIMEN_DISPATCH,
            P.SPECIMEN_ACCEPT,
            P.CATALOGUE_VIEW,
            P.ONLINE_SLIP,
        ),
    ),
    Template(
        Job.TECHNICIAN,
        "Laboratuvar teknisyeni",
        "Numune, elle sonuç, teknik onay; çalışma grubu ile sınırlanabilir.",
        _everywhere(
            P.PATIENT_VIEW,
            P.PATIENT_ENTER,
            P.ORDER_VIEW,
            P.ORDER_ENTER,
            P.ORDER_CHANGE,
            P.SPECIMEN_VIEW,
            P.SPECIMEN_COLLECT,
            P.SPECIMEN_DISPATCH,
            P.SPECIMEN_ACCEPT,
            P.RESULT_VIEW,
            P.RESULT_VIEW_UNAPPROVED,
            P.RESULT_ENTER,
            P.RESULT_CHANGE,
            P.RESULT_TECHNICAL,
            P.REPORT_TAKE,
            P.REPORT_EMERGENCY,
            P.UNMATCHED_VIEW,
            P.UNMATCHED_RESOLVE,
            P.INSTRUMENT_VIEW,
            P.INSTRUMENT_SERVICE,
            P.MESSAGE_VIEW,
            P.MESSAGE_REPLAY,
            P.QC_VIEW,
            P.CATALOGUE_VIEW,
            P.ONLINE_SLIP,
            P.SYSTEM_VIEW,
        ),
    ),
    Template(
        Job.SPECIALIST,
        "Laboratuvar uzmanı",
        "Teknisyenin yetkilerine ek olarak klinik onay ve cihaz tanımları.",
        _everywhere(P.RESULT_CLINICAL, P.INSTRUMENT_MANAGE, P.PRIVACY_EMERGENCY),
        inside=Job.TECHNICIAN,
    ),
    Template(
        Job.CHIEF,
        "Laboratuvar sorumlusu",
        "Uzmanın yetkilerine ek olarak katalog, hasta sayfası ve yetkileri görme.",
        _everywhere(
            P.PATIENT_CHANGE,
            P.CATALOGUE_MANAGE,
            P.RIGHTS_VIEW,
            P.USER_VIEW,
            P.PRIVACY_VIEW,
            P.PRIVACY_MARK,
            P.PRIVACY_REVIEW,
            P.ONLINE_MANAGE,
        ),
        inside=Job.SPECIALIST,
    ),
    Template(Job.FAMILY_PHYSICIAN, "Aile hekimi", "Kendi hastaları ve kendi birimi.", _CLINIC),
    Template(Job.CLINICIAN, "Klinisyen", "Kendi hastaları ve kendi klinikleri.", _CLINIC),
    Template(
        Job.WATER_ANALYST,
        "Su analiz sorumlusu",
        "Su analizi girme ve raporlama; hasta bilgisi görmez.",
        _everywhere(P.WATER_VIEW, P.WATER_ENTER, P.WATER_REPORT, P.CATALOGUE_VIEW),
    ),
    Template(
        Job.TRANSPORT,
        "Numune taşıma",
        "Numunenin yeri ve sevki; istem, hasta ve sonuç listesi görmez.",
        _everywhere(P.SPECIMEN_VIEW, P.SPECIMEN_DISPATCH),
    ),
    Template(
        Job.BILLING,
        "Fatura",
        "İstemler ve fatura; sonuç görmez.",
        _everywhere(P.ORDER_VIEW, P.PATIENT_VIEW, P.CATALOGUE_VIEW, P.INVOICE_VIEW, P.INVOICE_REPORT),
    ),
    Template(
        Job.ADMINISTRATOR,
        "Sistem yöneticisi",
        "Kullanıcı, yetki, cihaz, denetim; sonuç görmez.",
        _everywhere(
            P.ORDER_VIEW,
            P.SPECIMEN_VIEW,
            P.INSTRUMENT_VIEW,
            P.INSTRUMENT_SERVICE,
            P.INSTRUMENT_MANAGE,
            P.MESSAGE_VIEW,
            P.QC_VIEW,
            P.CATALOGUE_VIEW,
            P.CATALOGUE_MANAGE,
            P.USER_VIEW,
            P.USER_MANAGE,
            P.RIGHTS_VIEW,
            P.RIGHTS_MANAGE,
            P.AUDIT_VIEW,
            P.AUDIT_REPORT,
            P.PRIVACY_MARK,
            P.PRIVACY_REVIEW,
            P.PRIVACY_DATA,
            P.SYSTEM_VIEW,
            P.SYSTEM_MANAGE,
        ),
    ),
)
