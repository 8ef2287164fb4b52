"""What `/metrics` counts of the web side. The other parts count in the same default registry."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

REQUESTS = Counter("numune_http_requests_total", "Web istekleri", ["method", "route", "status"])
SECONDS = Histogram(
    "numune_http_request_seconds",
    "Web isteklerinin suresi (saniye)",
    ["route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
LIVE_SCREENS = Gauge("numune_live_screens", "Canli izleyen ekran sayisi")
LIVE_DROPPED = Counter("numune_live_dropped_total", "Yavas kaldigi icin birakilan canli ekranlar")
REPORTS = Counter("numune_reports_total", "Uretilen sonuc raporlari", ["kind"])
