"""Every permission there is: its code, what it is called, and where it may be limited (4.8.4, 4.8.5).

`lis_core.domain.permissions` says what a person may; this is only the list.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class ScopeKind(StrEnum):
    """How far a grant reaches; the words stand in the database."""

    ALL = "tum"
    LABORATORY = "laboratuvar"
    BENCH = "calisma_grubu"
    UNIT = "klinik"
    INSTITUTION = "kurum"
    OWN = "kendi"

    @property
    def caption(self) -> str:
        """The kind on screen."""
        return _SCOPE_CAPTIONS[self]


_SCOPE_CAPTIONS = {
    ScopeKind.ALL: "tümü",
    ScopeKind.LABORATORY: "laboratuvar",
    ScopeKind.BENCH: "çalışma grubu",
    ScopeKind.UNIT: "klinik / birim",
    ScopeKind.INSTITUTION: "kurum",
    ScopeKind.OWN: "kendi hastaları",
}

ANYWHERE = frozenset({ScopeKind.ALL})
OF_ORDERS = frozenset({ScopeKind.ALL, ScopeKind.INSTITUTION, ScopeKind.UNIT, ScopeKind.OWN})
"""Scopes of what is done to an order: whose it is."""
OF_TESTS = frozenset({ScopeKind.ALL, ScopeKind.LABORATORY, ScopeKind.BENCH})
"""Scopes of what is done to a test: which bench's it is."""


class P(StrEnum):
    """Every permission by its stable code, `area.act`. Seeing, entering, changing, approving are apart (4.8.5)."""

    PATIENT_VIEW = "hasta.gor"
    PATIENT_ENTER = "hasta.gir"
    PATIENT_CHANGE = "hasta.degistir"
    ORDER_VIEW = "istem.gor"
    ORDER_ENTER = "istem.gir"
    ORDER_CHANGE = "istem.degistir"
    SPECIMEN_VIEW = "numune.gor"
    SPECIMEN_COLLECT = "numune.al"
    SPECIMEN_DISPATCH = "numune.sevk"
    SPECIMEN_ACCEPT = "numune.kabul"
    RESULT_VIEW = "sonuc.gor"
    RESULT_VIEW_UNAPPROVED = "sonuc.gor_onaysiz"
    RESULT_VIEW_CONFIDENTIAL = "sonuc.gor_gizli"
    RESULT_ENTER = "sonuc.gir"
    RESULT_CHANGE = "sonuc.degistir"
    RESULT_TECHNICAL = "sonuc.teknik_onay"
    RESULT_CLINICAL = "sonuc.klinik_onay"
    REPORT_TAKE = "rapor.al"
    REPORT_EMERGENCY = "rapor.acil"
    UNMATCHED_VIEW = "eslesmeyen.gor"
    UNMATCHED_RESOLVE = "eslesmeyen.coz"
    INSTRUMENT_VIEW = "cihaz.gor"
    INSTRUMENT_SERVICE = "cihaz.hizmet"
    INSTRUMENT_MANAGE = "cihaz.yonet"
    MESSAGE_VIEW = "mesaj.gor"
    MESSAGE_TAKE = "mesaj.al"
    MESSAGE_REPLAY = "mesaj.isle"
    QC_VIEW = "kk.gor"
    CATALOGUE_VIEW = "katalog.gor"
    CATALOGUE_MANAGE = "katalog.yonet"
    WATER_VIEW = "su.gor"
    WATER_ENTER = "su.gir"
    WATER_REPORT = "su.raporla"
    INVOICE_VIEW = "fatura.gor"
    INVOICE_REPORT = "fatura.raporla"
    USER_VIEW = "kullanici.gor"
    USER_MANAGE = "kullanici.yonet"
    RIGHTS_VIEW = "yetki.gor"
    RIGHTS_MANAGE = "yetki.yonet"
    AUDIT_VIEW = "denetim.gor"
    AUDIT_REPORT = "denetim.raporla"
    PRIVACY_VIEW = "gizlilik.gor"
    PRIVACY_MARK = "gizlilik.yonet"
    PRIVACY_EMERGENCY = "gizlilik.acil"
    PRIVACY_REVIEW = "gizlilik.degerlendir"
    PRIVACY_DATA = "gizlilik.veri"
    ONLINE_SLIP = "cevrimici.belge"
    ONLINE_MANAGE = "cevrimici.yonet"
    SYSTEM_VIEW = "sistem.gor"
    SYSTEM_MANAGE = "sistem.yonet"

    @property
    def about(self) -> Permission:
        """Caption and possible scopes."""
        return REGISTRY[self]

    @property
    def caption(self) -> str:
        return REGISTRY[self].caption

    @property
    def area(self) -> str:
        return self.value.partition(".")[0]

    @property
    def act(self) -> str:
        return self.value.partition(".")[2]


@dataclass(frozen=True, slots=True)
class Permission:
    """What a permission is called and where it can be limited.

    by_bench: where a membership is limited to work groups, this permission is limited with it. Reading approved results
    is not: an approver reads them also in laboratories that are not his (9.7.1b).
    """

    code: P
    caption: str
    scopes: frozenset[ScopeKind] = ANYWHERE
    by_bench: bool = False


def _registry(*rows: Permission) -> Mapping[P, Permission]:
    return MappingProxyType({row.code: row for row in rows})


REGISTRY: Mapping[P, Permission] = _registry(
    Permission(P.PATIENT_VIEW, "hasta arama ve hasta bilgisini görme", OF_ORDERS),
    Permission(P.PATIENT_ENTER, "hasta kaydetme"),
    Permission(P.PATIENT_CHANGE, "hasta kimlik bilgisini değiştirme ve kayıt birleştirme"),
    Permission(P.ORDER_VIEW, "istem görme", OF_ORDERS),
    Permission(P.ORDER_ENTER, "istem girme", OF_ORDERS),
    Permission(P.ORDER_CHANGE, "istem değiştirme ve iptal etme", OF_ORDERS),
    Permission(P.SPECIMEN_VIEW, "numunenin yerini ve durumunu görme", OF_ORDERS),
    Permission(P.SPECIMEN_COLLECT, "numune alma", OF_ORDERS),
    Permission(P.SPECIMEN_DISPATCH, "numune sevk etme", OF_ORDERS),
    Permission(P.SPECIMEN_ACCEPT, "numune kabul ve ret", OF_ORDERS),
    Permission(P.RESULT_VIEW, "onaylı sonuç görme", OF_TESTS),
    Permission(P.RESULT_VIEW_UNAPPROVED, "onaysız sonuç görme", OF_TESTS, by_bench=True),
    Permission(P.RESULT_VIEW_CONFIDENTIAL, "gizli tetkiklerin (HIV gibi) onaylı sonucunu görme", OF_ORDERS),
    Permission(P.RESULT_ENTER, "sonuç girme", OF_TESTS, by_bench=True),
    Permission(P.RESULT_CHANGE, "sonuç değiştirme ve koşu seçme", OF_TESTS, by_bench=True),
    Permission(P.RESULT_TECHNICAL, "teknik onay", OF_TESTS, by_bench=True),
    Permission(P.RESULT_CLINICAL, "klinik onay", OF_TESTS, by_bench=True),
    Permission(P.REPORT_TAKE, "sonuç raporu alma", OF_ORDERS),
    Permission(P.REPORT_EMERGENCY, "acil (onaysız) baskı", OF_ORDERS),
    Permission(P.UNMATCHED_VIEW, "eşleşmeyen sonuçları görme"),
    Permission(P.UNMATCHED_RESOLVE, "eşleşmeyen sonuç çözme"),
    Permission(P.INSTRUMENT_VIEW, "cihazları ve hatları görme"),
    Permission(P.INSTRUMENT_SERVICE, "cihazı hizmete alma ve hizmetten çıkarma"),
    Permission(P.INSTRUMENT_MANAGE, "cihaz, hat ve eşleştirme tanımlama"),
    Permission(P.MESSAGE_VIEW, "ham mesajları görme"),
    Permission(P.MESSAGE_TAKE, "hatlardan mesaj alma"),
    Permission(P.MESSAGE_REPLAY, "ham mesajı yeniden işleme"),
    Permission(P.QC_VIEW, "kalite kontrol ölçümlerini görme"),
    Permission(P.CATALOGUE_VIEW, "tetkik kataloğunu görme"),
    Permission(P.CATALOGUE_MANAGE, "tetkik kataloğunu değiştirme"),
    Permission(P.WATER_VIEW, "su analizlerini görme"),
    Permission(P.WATER_ENTER, "su analizi girme"),
    Permission(P.WATER_REPORT, "su analiz raporu hazırlama"),
    Permission(P.INVOICE_VIEW, "fatura bilgilerini görme"),
    Permission(P.INVOICE_REPORT, "fatura raporu alma"),
    Permission(P.USER_VIEW, "kullanıcıları görme"),
    Permission(P.USER_MANAGE, "kullanıcı açma ve kapatma"),
    Permission(P.RIGHTS_VIEW, "yetkileri görme"),
    Permission(P.RIGHTS_MANAGE, "yetki verme ve alma"),
    Permission(P.AUDIT_VIEW, "denetim izini görme"),
    Permission(P.AUDIT_REPORT, "denetim izini dışa aktarma"),
    Permission(P.PRIVACY_VIEW, "numara ile izlenen hastanın kimliğini görme", OF_ORDERS),
    Permission(P.PRIVACY_MARK, "hastayı numara ile izletme ve bunu kaldırma"),
    Permission(P.PRIVACY_EMERGENCY, "yetkisi olmayan kaydı gerekçe ile acil açma"),
    Permission(P.PRIVACY_REVIEW, "acil erişimleri değerlendirme"),
    Permission(P.PRIVACY_DATA, "kişisel veri dökümü, silme ve saklama süreleri"),
    Permission(P.ONLINE_SLIP, "hastaya internetten sonuç görme belgesi verme", OF_ORDERS),
    Permission(P.ONLINE_MANAGE, "hasta sayfasının kurallarını ve gizli tetkikleri belirleme"),
    Permission(P.SYSTEM_VIEW, "hat ve bağlantı bildirimlerini görme"),
    Permission(P.SYSTEM_MANAGE, "sistem ayarlarını değiştirme"),
)

AREA_CAPTIONS: Mapping[str, str] = MappingProxyType(
    {
        "hasta": "Hasta",
        "istem": "İstem",
        "numune": "Numune",
        "sonuc": "Sonuç",
        "rapor": "Rapor",
        "eslesmeyen": "Eşleşmeyen sonuç",
        "cihaz": "Cihaz",
        "mesaj": "Ham mesaj",
        "kk": "Kalite kontrol",
        "katalog": "Katalog",
        "su": "Su analizi",
        "fatura": "Fatura",
        "kullanici": "Kullanıcı",
        "yetki": "Yetki",
        "denetim": "Denetim",
        "gizlilik": "Gizlilik",
        "cevrimici": "İnternetten sonuç",
        "sistem": "Sistem",
    }
)
