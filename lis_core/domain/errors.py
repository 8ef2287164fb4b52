"""Refusals, once. Each has a code, an HTTP status and a Turkish sentence that says what to do (4.7.2).

`docs/hata-kodlari.md` is generated from this table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class ErrorKind:
    """One kind of refusal. `message` may hold {names} that the details fill."""

    code: str
    status: int
    message: str
    defaults: Mapping[str, str] = field(default_factory=dict, hash=False)
    """What stands in for details that were not given."""


class NumuneError(Exception):
    """A refusal that a person or a peer must understand. Carries its kind and the facts."""

    def __init__(self, kind: ErrorKind, **details: Any) -> None:
        self.kind = kind
        self.details = details
        super().__init__(self.message)

    @property
    def code(self) -> str:
        return self.kind.code

    @property
    def status(self) -> int:
        return self.kind.status

    @property
    def message(self) -> str:
        try:
            return self.kind.message.format_map({**self.kind.defaults, **self.details})
        except KeyError:  # a detail that the sentence names was not given: the bare sentence is still true
            return self.kind.message

    def as_dict(self) -> dict[str, Any]:
        """Body of the JSON answer."""
        return {"code": self.code, "message": self.message, "details": {k: _plain(v) for k, v in self.details.items()}}


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool | list | dict | type(None)) else str(value)


_ALL: dict[str, ErrorKind] = {}


def _kind(number: int, status: int, message: str, **defaults: str) -> ErrorKind:
    kind = ErrorKind(f"NUM-{number:04d}", status, message, defaults)
    if kind.code in _ALL:
        raise ValueError(f"{kind.code} is used twice")
    _ALL[kind.code] = kind
    return kind


def all_kinds() -> list[ErrorKind]:
    """Every kind, by code: the source of `docs/hata-kodlari.md`."""
    return [_ALL[code] for code in sorted(_ALL)]


# Asking and signing in
INVALID_INPUT = _kind(1, 422, "Gönderilen bilgi eksik ya da hatalı: {problem}. Düzeltip yeniden gönderin.")
NOT_SIGNED_IN = _kind(2, 401, "Oturum açılmamış ya da süresi dolmuş. Yeniden giriş yapın.")
BAD_CREDENTIALS = _kind(3, 401, "Kullanıcı adı ya da parola hatalı.")
NOT_ALLOWED = _kind(
    4,
    403,
    "Bu işlem için yetkiniz yok: {permission}. {changed}Yetkiyi verebilen: {givers}.",
    changed="",
    givers="sistem yöneticisi",
)
NOT_FOUND = _kind(5, 404, "{what} bulunamadı.")
TOO_LARGE = _kind(6, 413, "Gönderilen içerik çok büyük (en çok {limit}).")
INTERNAL = _kind(
    7, 500, "Beklenmeyen bir hata oldu; kaydı alındı ({reference}). Tekrarlarsa yöneticiye bu numarayı bildirin."
)
DATABASE_DOWN = _kind(8, 503, "Veritabanına ulaşılamıyor. Birkaç saniye sonra yeniden deneyin.")
TOO_MANY_ATTEMPTS = _kind(9, 429, "Çok sayıda hatalı deneme yapıldı. {seconds} saniye sonra yeniden deneyin.")
TOO_SLOW = _kind(12, 408, "Gönderilen içerik {seconds} saniyede tamamlanmadı; hattı denetleyip yeniden gönderin.")
BAD_FORM_TOKEN = _kind(10, 403, "Sayfanın güvenlik anahtarı geçersiz. Sayfayı yenileyip işlemi yineleyin.")
METHOD_NOT_ALLOWED = _kind(11, 405, "Bu adres {method} isteğini kabul etmez ({allowed}).")

# Accounts
PASSWORD_REFUSED = _kind(20, 422, "Yeni parola kabul edilmedi: {problem}.")
ABSENT = _kind(21, 403, "{absence} kaydınız olduğu için {until} giriş yapamazsınız. Yanlışsa yöneticinize bildirin.")
SECOND_FACTOR_NEEDED = _kind(22, 401, "Bu hesapta parolanın yanında doğrulama kodu da gerekir (`code`).")
BAD_CODE = _kind(23, 401, "Kod hatalı, süresi geçmiş ya da daha önce kullanılmış. Yeni kodu girin.")
PASSWORD_CHANGE_NEEDED = _kind(24, 403, "Parolanızı değiştirmeniz gerekiyor. Web ekranından giriş yapıp değiştirin.")
CONFIRM_NEEDED = _kind(25, 403, "Bu değişiklik için parolanızı yeniden girin.")
SECURITY_KEY_REFUSED = _kind(26, 422, "Güvenlik anahtarı doğrulanamadı: {problem}.")
SIGN_ON_REFUSED = _kind(27, 403, "Tek giriş tamamlanamadı: {problem}.")
IDENTITY_NOT_LINKED = _kind(
    28, 403, "Bu kimlik bir kullanıcıya bağlı değil. Parolanızla girip Hesabım ekranından bağlayın."
)
IDENTITY_TAKEN = _kind(29, 409, "Bu kimlik başka bir kullanıcıya bağlı.")
LAST_FACTOR = _kind(
    30, 409, "Göreviniz ikinci aşama gerektirir; son doğrulama yöntemi silinemez. Önce yenisini ekleyin."
)
USERNAME_TAKEN = _kind(31, 409, "{username} kullanıcı adı kullanılıyor.")
BAD_ABSENCE = _kind(32, 422, "Kayıt geçersiz: {problem}.")
BAD_GRANT = _kind(33, 422, "Destek erişimi verilemez: {problem}.")
BAD_CLIENT = _kind(34, 422, "İstemci kaydı geçersiz: {problem}.")
NOT_FOR_SUPPORT = _kind(35, 403, "Destek erişimi ile bu işlem yapılamaz.")

# Permissions
BAD_PERMISSION_ENTRY = _kind(50, 422, "Yetki kaydı geçersiz: {problem}.")
GROUP_CIRCLE = _kind(51, 409, "{member} grubu {group} grubuna üye yapılamaz: gruplar birbirinin içine döner.")
ALREADY_MEMBER = _kind(52, 409, "{member} zaten {group} grubunun üyesi.")
LAST_MANAGER = _kind(53, 409, "Bu değişiklikten sonra yetki verebilen kimse kalmıyor; önce başka birine yetki verin.")
ENTRY_ENDED = _kind(54, 409, "Bu kayıt daha önce kaldırılmış.")
RIGHTS_MOVED = _kind(55, 409, "Siz bakarken yetkiler değişti; kaydedilmedi. Aşağıdaki farklara yeniden bakıp kaydedin.")
GROUP_CODE_TAKEN = _kind(56, 409, "{group} kodlu bir yetki grubu zaten var.")

# Privacy
HIDDEN_PATIENT = _kind(
    60, 403, "Bu hasta numara ile izleniyor ({number}). Açmak için yetki ya da gerekçeli acil erişim gerekir."
)
ALREADY_HIDDEN = _kind(61, 409, "Bu hasta zaten numara ile izleniyor ({number}).")
NOT_HIDDEN = _kind(62, 409, "Bu hasta numara ile izlenmiyor.")
BAD_DURATION = _kind(63, 422, "Acil erişim {least} - {most} dakika için açılır.")
OWN_REVIEW = _kind(64, 403, "Kendi acil erişiminizi siz değerlendiremezsiniz.")
ALREADY_REVIEWED = _kind(65, 409, "Bu acil erişim daha önce değerlendirilmiş.")
BAD_RETENTION_RULE = _kind(66, 422, "Saklama kuralı geçersiz: {problem}.")
STILL_KEPT = _kind(67, 409, "Bu hastanın verisi silinemez: {problem}.")
ANONYMISED = _kind(68, 409, "Bu hastanın kimliği silinmiş; kayıt değiştirilemez.")

# Results for the patient himself
PATIENT_NOT_MATCHED = _kind(
    70,
    403,
    "Bilgiler eşleşmedi ya da bu istemin sonuçları internetten gösterilmiyor. Belgenizdeki bilgileri yeniden yazın; "
    "olmuyorsa laboratuvardan yeni belge isteyin.",
)
PATIENT_PAGE_CLOSED = _kind(71, 403, "İnternetten sonuç gösterme kapalı. Sonucunuzu laboratuvardan öğrenebilirsiniz.")
SLIP_NOT_GIVEN = _kind(72, 409, "Hastaya internet belgesi verilemez: {problem}.")
SLIP_GIVEN_BEFORE = _kind(
    73, 409, "Bu istem için belge daha önce verilmiş. Yeni belge eskisini geçersiz kılar; nedenini yazın."
)
BAD_ONLINE_RULE = _kind(74, 422, "Kural kaydedilmedi: {problem}.")
ONLINE_REFUSED_ALREADY = _kind(75, 409, "Bu hastanın internet isteği zaten böyle kayıtlı.")

# Patients and orders
BAD_TC = _kind(100, 422, "T.C. kimlik numarası geçersiz: {problem}.")
PATIENT_MISMATCH = _kind(
    101, 409, "{tc} kimlik numarası sistemde başka bir kişiye ait ({known}). Kimliği kontrol edin; kayıt yapılmadı."
)
UNKNOWN_TEST = _kind(102, 422, "Tanımsız tetkik kodu: {codes}. Tetkik listesinden seçin.")
NO_TESTS = _kind(103, 422, "İstemde en az bir tetkik olmalıdır.")
NUMBER_TAKEN = _kind(104, 409, "{number} numarası daha önce kullanılmış. Başka bir barkod numarası okutun.")
BAD_NUMBER = _kind(105, 422, "Barkod numarası geçersiz: {problem}.")
UNKNOWN_PHYSICIAN = _kind(106, 422, "Hekim tanımlı değil: {physician}.")
UNKNOWN_UNIT = _kind(107, 422, "Birim tanımlı değil: {unit}.")
TEST_PASSIVE = _kind(108, 409, "{codes} şu anda çalışılamıyor: {reason}.")
ORDER_CLOSED = _kind(109, 409, "İstem {number} kapanmış ya da iptal edilmiş; değiştirilemez.")
ORDER_HAS_RESULTS = _kind(110, 409, "{codes} için sonuç var; iptal edilemez. Laboratuvar ile görüşün.")
PATIENT_MERGED = _kind(111, 409, "Bu hasta kaydı {into} kaydı ile birleştirilmiş.")
NO_PATIENT_FIELD = _kind(112, 422, "Hastanın {field} bilgisi eksik.")
HOSPITAL_NUMBER_TAKEN = _kind(
    113, 409, "Hastanenin {hospital_number} numaralı istemi daha önce alınmış (istem {number}); yeniden kaydedilmedi."
)
TEST_CANCELLED = _kind(114, 409, "{codes} bu istemde iptal edilmiş; yeniden istemek için yeni istem açın.")
NUMBERS_USED_UP = _kind(115, 409, "{year} yılının istem numaraları tükendi. Sistem yöneticisine bildirin.")

# Specimens
BAD_TUBE_MOVE = _kind(200, 409, "Tüp {barcode} {state} durumunda; {wanted} yapılamaz.")
REASON_NEEDED = _kind(201, 422, "Bu işlem için gerekçe yazılmalıdır.")
UNKNOWN_BARCODE = _kind(202, 404, "{barcode} barkodu kayıtlı değil. Barkodu yeniden okutun ya da numarayı elle girin.")
NUMBER_IS_NOT_A_TUBE = _kind(
    203, 409, "{barcode} istem numarasıdır, tüp barkodu değildir. Tüpün üzerindeki etiketi okutun ({tubes})."
)

# Results and approvals
BAD_RESULT_MOVE = _kind(300, 409, "{test} {state} durumunda; {wanted} yapılamaz.")
NOT_TECHNICALLY_APPROVED = _kind(301, 409, "{test} teknik onay almamış; klinik onay verilemez.")
CHANGED_MEANWHILE = _kind(302, 409, "{test} bu sırada değişti ({state}). Ekran yenilendi; yeniden bakıp karar verin.")
NOT_CURRENT_RUN = _kind(303, 409, "Bu sonuç artık geçerli koşu değil. Geçerli sonucu onaylayın.")
PANIC_NEEDS_REASON = _kind(304, 422, "{test} panik değerde: onay için arama kaydı ya da gerekçe yazılmalıdır.")
NOT_YOUR_LABORATORY = _kind(305, 403, "{test} yetkili olduğunuz laboratuvara ait değil.")
NOT_RELEASED = _kind(306, 409, "İstem {number} için klinik onaylı sonuç yok; rapor basılamaz.")
EMERGENCY_ONLY = _kind(307, 409, "Onaysız baskı yalnız acil istemde ve gerekçe ile yapılır.")
INSTRUMENT_NOT_FOR_TEST = _kind(308, 422, "{instrument} cihazında {test} çalışılmıyor. Başka bir cihaz seçin.")

# Instruments, lines, messages
UNKNOWN_INSTRUMENT = _kind(400, 404, "Cihaz tanımlı değil: {instrument}.")
UNKNOWN_DEFINITION = _kind(401, 422, "Cihaz modeli katalogda yok: {definition}.")
NOTHING_TO_REPLAY = _kind(402, 409, "Mesaj {message} yeniden işlenemez: {problem}.")
ALREADY_RESOLVED = _kind(403, 409, "Bu kayıt daha önce çözülmüş ({state}).")
WRONG_ORDER_FOR_RESULT = _kind(404, 409, "{order} isteminde {test} tetkiki yok ya da sonuç beklemiyor.")
WRONG_MATERIAL = _kind(405, 409, "{test} {material} tüpünden çalışılmaz (uygun: {allowed}).")
CODE_IS_ANOTHER_TEST = _kind(
    406, 409, "Cihazın {code} kodu {mapped} tetkikidir, {test} olarak bağlanamaz. Yanlışsa eşleştirmeyi düzeltin."
)
WRONG_UNIT = _kind(
    407, 409, "{test} {unit} biriminde gelmiş, beklenen birim {expected}. Cihaz eşleştirmesine birim dönüşümü ekleyin."
)
UNKNOWN_STEP = _kind(430, 404, "{step} numaralı iş adımı yok.")
PLACE_TAKEN = _kind(432, 409, "{place}. konumda {barcode} duruyor. Önce onu listeden çıkarın.")
ALREADY_LOADED = _kind(433, 409, "{barcode} zaten {place}. konumda.")
NOTHING_TO_RUN = _kind(434, 409, "{reason} Tüp yüklenmedi.")
NOT_LOADED = _kind(435, 404, "{instrument} yükleme listesinin {place}. konumunda tüp yok.")
STEP_IS_CLOSED = _kind(431, 409, "{step} iş adımı {state} durumunda; bu işlem yapılamaz.")
NUMBERS_GIVEN = _kind(408, 409, "{problem}")
