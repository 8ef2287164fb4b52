"""What a gateway's machine needs to begin: its settings file, and how its certificate is made. No secret is in either:
the gateway's key is made on its own machine and never leaves it."""

from __future__ import annotations

import importlib.metadata
from urllib.parse import urlsplit

BROKER_RIGHTS = """user merkez
topic readwrite #
pattern write numune/teslim/%u/#
pattern write numune/verildi/%u
pattern write numune/durum/%u
pattern write numune/masa/%u
pattern write numune/hat/%u
pattern write numune/bayt/%u
pattern readwrite numune/isaret/%u
pattern read numune/onay/%u
pattern read numune/ayar/%u
pattern read numune/is/%u/#
pattern read numune/masa-yanit/%u
pattern read numune/iste/%u
topic read numune/merkez
topic read numune/sira
"""
"""The broker's `acl_file` (Mosquitto): each gateway uses the topics of its own name only, the centre (its certificate
is called `merkez`) all of them."""

EXAMPLE = "mqtts://araci.ornek:8883"
"""Stands where the centre itself has no broker yet, or one that only its own machine reaches."""


def broker_address(url: str | None) -> tuple[str, str]:
    """The address to write into a gateway's file, without name and password; and a remark on it, or ""."""
    if url is None:
        return EXAMPLE, "Merkezde aracı ayarlı değil (NUMUNE_MQTT_URL); ayarlanmadan hiçbir geçit bağlanamaz."
    parts = urlsplit(url)
    host = parts.hostname or ""
    if host in ("127.0.0.1", "localhost", "::1"):
        return EXAMPLE, "Merkez aracıya kendi içinden bağlanıyor; geçidin dışarıdan ulaşacağı adı ve portu yazın."
    shown = f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")
    remark = (
        "" if parts.scheme == "mqtts" else "Bağlantı şifresiz (mqtt://). Bina dışına çıkan hatta mqtts:// kullanın."
    )
    return shown, remark


def settings_file(name: str, url: str | None) -> str:
    """The text of `gecit.toml` for the gateway of this name; url: the centre's own broker address."""
    address, _ = broker_address(url)
    return f"""# Numune uzak geçidi: {name}
# Başlatma: numune gateway --config gecit.toml
# Hatlar, cihazlar ve tanımlar merkezden gelir; burada yazılmaz.

# Merkezdeki geçit adı; sertifikanın adı (CN) da budur
ad = "{name}"

# Merkezin aracısı: geçitler için açılan adres ve port
araci = "{address}"

# Merkezin verdiği yetkili sertifikası, merkezde imzalanan sertifika, bu makinede üretilen ve kimseye verilmeyen anahtar
yetkili = "yetkili.pem"
sertifika = "{name}.crt"
anahtar = "{name}.key"

# Disk kuyruğu ve kopyalar: yalnız bu programın okuyabildiği bir klasör
veri = "/var/lib/numune-gecit"

# Bu makinedeki durum sayfası
sayfa = "127.0.0.1:8090"
"""


def certificate_steps(name: str) -> str:
    """Commands (openssl) that make the gateway's key and certificate, and where each is done."""
    return f"""# 1. Geçidin makinesinde: anahtar burada üretilir ve burada kalır
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \\
  -keyout {name}.key -out {name}.csr -subj "/CN={name}"
chmod 600 {name}.key

# 2. {name}.csr dosyasını merkeze götürün (gizli değildir). Merkezde, yetkilinin anahtarı neredeyse orada:
openssl x509 -req -in {name}.csr -CA yetkili.pem -CAkey yetkili.key -CAcreateserial -days 825 -out {name}.crt

# 3. {name}.crt ve yetkili.pem dosyalarını geçidin makinesine, gecit.toml dosyasının yanına koyun
# 4. Geçidin makinesinde:
numune gateway --config gecit.toml
"""


def program_version() -> str:
    """The version of this program; "?" where it is not installed as a package."""
    try:
        return importlib.metadata.version("numune")
    except importlib.metadata.PackageNotFoundError:
        return "?"
