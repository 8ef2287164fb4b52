"""`numune simulate law`: a whole IHE LAW analyser at the command line: asks, takes work step by step, reports.

With --listen it has the profile's two connections: it calls for LAB-27 and LAB-29 and waits to be called for LAB-28.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable

from simulators.analyser import istanbul_time
from simulators.law_station import LAW_FAULTS, LawResult, LawStation, obx
from simulators.measuring import measure
from simulators.models import model_named
from simulators.segments import Message

__all__ = ["law_arguments", "play"]

Say = Callable[[str], None]
WORK_WAIT = 15.0
"""Seconds that it waits for the work behind an answer that promised some."""


def law_arguments(argv: list[str]) -> argparse.Namespace:
    """The words behind `numune simulate law`."""
    parser = argparse.ArgumentParser(
        prog="numune simulate law",
        description="Adım adım iş alan bir IHE LAW cihazı: sorar (LAB-27), işi alır (LAB-28), sonuç yollar (LAB-29).",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Arızalar:\n" + "\n".join(f"  {name:20} {text}" for name, text in LAW_FAULTS.items()),
    )
    parser.add_argument("--connect", "--mllp", metavar="HOST:PORT", required=True, help="Numune'nin LAW hattı")
    parser.add_argument("--listen", metavar="[HOST:]PORT", help="işin geleceği kapı (iki bağlantılı cihaz)")
    parser.add_argument("--barcodes", default="", help="virgülle ayrılmış tüp numaraları")
    parser.add_argument("--name", default="CHEM1", help="cihazın adı (MSH-3)")
    parser.add_argument("--unable", default="", help="kabul etmeyeceği test kodları (UA)")
    parser.add_argument("--running", action="store_true", help="aldığı işi iptal edemez (UC)")
    parser.add_argument("--no-results", action="store_true", help="işi alır, sonuç yollamaz")
    parser.add_argument("--faults", default="", help="virgülle ayrılmış arızalar")
    parser.add_argument("--seed", type=int, default=1, help="aynı tohum, aynı değerler")
    parser.add_argument("--stay", type=float, default=0.0, help="sonunda hatta kalınacak saniye (iptaller için)")
    parser.add_argument("--quiet", action="store_true", help="yalnız hataları yaz")
    arguments = parser.parse_args(argv)
    host, _, port = arguments.connect.rpartition(":")
    if not host or not port.isdigit():
        parser.error(f"{arguments.connect!r} bir adres değil; HOST:PORT yazın")
    return arguments


async def play(arguments: argparse.Namespace) -> int:
    """Run the station. 0: every tube was answered and every result taken; 1: something was not."""
    say: Say = (lambda _: None) if arguments.quiet else _say
    host, _, port = arguments.connect.rpartition(":")
    station = LawStation(int(port), name=arguments.name, two_connections=bool(arguments.listen), host=host)
    station.arm(*_split(arguments.faults))
    station.unable.update(_split(arguments.unable))
    failed = 0
    if arguments.listen:
        at, _, own = arguments.listen.rpartition(":")
        say(f"iş {await station.listen(int(own), at or '127.0.0.1')} kapısında bekleniyor")
    await station.start()
    try:
        for barcode in _split(arguments.barcodes):
            failed += not await _tube(station, arguments, barcode, say)
        if arguments.stay:
            await asyncio.sleep(arguments.stay)
        for one in station.orders("CA"):
            say(f"iptal geldi: {', '.join(_steps_of(one))}")
    finally:
        await station.stop()
    return 1 if failed else 0


async def _tube(station: LawStation, arguments: argparse.Namespace, barcode: str, say: Say) -> bool:
    """Ask for a tube, take its work, report. False: no answer, or results that were not taken."""
    before = len(station.orders())
    try:
        answer = await station.ask(barcode)
        say(f"{barcode}: {answer.first('QAK').get(2) or answer.first('MSA').get(1)}")
        await station.until(lambda: len(station.orders()) > before, WORK_WAIT)
    except TimeoutError:
        say(f"{barcode}: yanıt ya da iş gelmedi")
        return False
    order = station.orders()[-1]
    steps = _accepted(station, order)
    if order.first("ORC").get(1) == "DC":
        say(f"{barcode}: iş yok")
        return True
    say(f"{barcode}: {len(steps)} iş adımı alındı, {len(_steps_of(order)) - len(steps)} geri çevrildi")
    if arguments.running:
        station.running.update(steps)
    if arguments.no_results or not steps:
        return True
    acknowledgement = await station.report(station.result_lines(barcode, _results(arguments, barcode, steps)))
    code = acknowledgement.first("MSA").get(1)
    say(f"{barcode}: {len(steps)} sonuç yollandı, yanıt {code}")
    return code in ("AA", "CA")


def _accepted(station: LawStation, order: Message) -> dict[str, str]:
    """Step number and test code of what this station took of an order."""
    tests = {part.get(2): part.get(4) for part in order if part.name == "OBR"}
    return {awos: code for awos, code in tests.items() if station.steps.get(awos) == "accepted"}


def _steps_of(order: Message) -> list[str]:
    return [part.get(2) for part in order if part.name == "OBR"]


def _results(arguments: argparse.Namespace, barcode: str, steps: dict[str, str]) -> list[LawResult]:
    """A plausible result of each step, always the same for one seed and tube."""
    model = model_named("generic-law")
    found = []
    for awos, code in steps.items():
        result = measure(model, code, arguments.seed, barcode)
        value, unit = (result.value, result.unit) if result is not None else ("1.0", "")
        now = f"{istanbul_time():%Y%m%d%H%M%S}+0300"
        line = obx(1, "NM", code, value, f"{unit}^^UCUM" if unit else "", measured=now)
        found.append(LawResult(code, [line], awos=awos))
    return found


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _say(text: str) -> None:
    print(f"{istanbul_time():%H:%M:%S}  {text}", flush=True)
