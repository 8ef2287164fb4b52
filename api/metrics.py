"""What `/metrics` tells. The web side counts here; ingest and the lines count for themselves and are read when asked.

Everything stands in the process's default registry.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import REGISTRY, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from drivers.gateway.gateway import Gateway
from lis_core.services.ingest import IngestCounters

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


class LaboratoryCounts(Collector):
    """Ingest's and the gateway's own counters, as they stand when somebody asks."""

    def __init__(self) -> None:
        self.ingest: IngestCounters | None = None
        self.gateway: Gateway | None = None

    def collect(self) -> Iterator[Metric]:
        if self.ingest is not None:
            yield from _of_ingest(self.ingest)
        if self.gateway is not None:
            yield from _of_lines(self.gateway)


def _of_ingest(counters: IngestCounters) -> Iterator[Metric]:
    for name, text in (
        ("messages", "Islenen mesajlar"),
        ("repeats", "Tekrar gelen mesajlar"),
        ("results", "Isteme baglanan sonuclar"),
        ("unmatched", "Bir kisiyi bekleyen sonuclar"),
        ("controls", "Kontrol olcumleri"),
        ("batches", "Yazilan islem paketleri"),
        ("failures", "Yazilamayan islem paketleri"),
    ):
        yield CounterMetricFamily(f"numune_ingest_{name}", text, value=getattr(counters, name))
    yield GaugeMetricFamily(
        "numune_ingest_stopped", "1 = sonuc yazimi su anda durmus", int(counters.problem is not None)
    )


def _of_lines(gateway: Gateway) -> Iterator[Metric]:
    connected = GaugeMetricFamily("numune_line_peers", "Hatta bagli uc sayisi", labels=["line"])
    counted = {
        name: CounterMetricFamily(f"numune_line_{name}", text, labels=["line"])
        for name, text in (
            ("messages", "Mesajlar"),
            ("queries", "Sorgular"),
            ("errors", "Hatalar"),
            ("refused", "Kapida cevrilenler"),
        )
    }
    for line, book in gateway.lines.items():
        connected.add_metric([line], book.status.peers)
        for name, family in counted.items():
            family.add_metric([line], getattr(book.status, name))
    yield connected
    yield from counted.values()


LABORATORY = LaboratoryCounts()
REGISTRY.register(LABORATORY)


def watch_ingest(counters: IngestCounters) -> None:
    """Have `/metrics` tell these counters too (`Ingest.counters` of this process)."""
    LABORATORY.ingest = counters
