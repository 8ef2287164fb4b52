"""`numune simulate`: an analyser, a whole IHE LAW station (`law`), the demonstration fleet (`filo`), or a hospital
(`hastane`) on the command line."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from itertools import count, cycle, islice
from pathlib import Path

from simulators.analyser import Analyser, NotAccepted, build_analyser, istanbul_time
from simulators.cable import Plug, TcpServer, serial_port, tcp_client
from simulators.faults import BY_PROTOCOL, FAULTS, Fault, UnknownFault
from simulators.fleet import Fleet, lines_of
from simulators.hospital import Hospital
from simulators.law_command import law_arguments, play
from simulators.law_station import LawFault
from simulators.models import MODELS, AnyModel, UnknownModel, model_named
from simulators.people import invented_person

__all__ = ["command"]

QUESTION_FAULTS = frozenset({"contention"})
"""With --query these strike the question, all others the report."""


class _Refused(Exception):
    """A wrong argument; the text is for people (Turkish)."""


def command(argv: list[str]) -> int:
    """Run `numune simulate ...`. 0: all that was sent is acknowledged; 1: something is not; 2: wrong arguments."""
    try:
        if argv[:1] == ["filo"]:
            return _run(_fleet(_fleet_arguments(argv[1:])))
        if argv[:1] == ["hastane"]:
            return _run(_hospital(_hospital_arguments(argv[1:])))
        if argv[:1] == ["law"]:
            return _run(play(law_arguments(argv[1:])))
        return _run(_analyser(_analyser_arguments(argv)))
    except (_Refused, UnknownModel, UnknownFault, LawFault) as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(
            f"Bağlanılamadı: {error.strerror or error}. Adresi ve karşı tarafın çalıştığını denetleyin.",
            file=sys.stderr,
        )
        return 1


def _run(work: Coroutine[None, None, int]) -> int:
    """Run until done, or until SIGTERM or Ctrl-C, which end it cleanly (0)."""

    async def guarded() -> int:
        task = asyncio.ensure_future(work)
        loop = asyncio.get_running_loop()
        stopped = False

        def stop() -> None:
            nonlocal stopped
            stopped = True
            task.cancel()

        for name in (signal.SIGTERM, signal.SIGINT):
            with contextlib.suppress(
                NotImplementedError, ValueError
            ):  # no signals here: Windows, or not the main thread
                loop.add_signal_handler(name, stop)
        try:
            return await task
        except asyncio.CancelledError:
            if stopped:
                return 0
            raise

    return asyncio.run(guarded())


def _say(text: str) -> None:
    print(f"{istanbul_time():%H:%M:%S}  {text}", flush=True)


def _silent(_: str) -> None:
    """--quiet."""


# ---- arguments ------------------------------------------------------------------------------------------------------


def _common(name: str, about: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"numune simulate {name}", description=about)
    parser.add_argument("--seed", type=int, default=1, help="aynı tohum, aynı değerler")
    parser.add_argument("--quiet", action="store_true", help="yalnız hataları yaz")
    return parser


def _analyser_arguments(argv: list[str]) -> argparse.Namespace:
    faults = "\n".join(f"  {name:20} {text}" for name, (text, _, _) in FAULTS.items())
    parser = _common("MODEL", "Bir cihazı oynatır.")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    models = "\n".join(f"  {key:20} {model.name}" for key, model in MODELS.items())
    parser.epilog = (
        f"Modeller:\n{models}\n\nArızalar:\n{faults}\n\nAyrıca: numune simulate law (adım adım iş alan IHE LAW "
        "cihazı), numune simulate filo, numune simulate hastane"
    )
    parser.add_argument("model", metavar="MODEL")
    line = parser.add_mutually_exclusive_group(required=True)
    line.add_argument("--connect", metavar="HOST:PORT", help="TCP ile bağlanır")
    line.add_argument("--listen", metavar="[HOST:]PORT", help="TCP bağlantısı bekler")
    line.add_argument("--serial", metavar="PATH", help="seri kapı")
    line.add_argument("--mllp", metavar="HOST:PORT", help="MLLP ile bağlanır (HL7 cihazları)")
    parser.add_argument("--baud", type=int, default=9600)
    parser.add_argument("--barcodes", default="", help="1001,1002 ya da satır satır barkod dosyası")
    parser.add_argument("--tests", default="", help="sorgu yoksa çalışılacak testler (cihaz kodu ya da tetkik)")
    parser.add_argument("--query", action="store_true", help="her tüpü önce sorar, yalnız verilen testleri çalışır")
    parser.add_argument(
        "--faults", default="", help="virgülle ayrılmış; her mesajda hepsi olur (örn. wrong_checksum:2)"
    )
    parser.add_argument("--rate", type=float, default=0.0, help="dakikada mesaj (0: ara vermeden)")
    parser.add_argument("--count", type=int, default=0, help="mesaj sayısı (varsayılan: barkod başına bir)")
    parser.add_argument("--raw", metavar="FILE", help="bu dosyadaki mesajları olduğu gibi gönderir")
    parser.add_argument("--record", metavar="FILE", help="onaylanan her çerçeveyi JSON satırı olarak buraya yazar")
    parser.add_argument("--patience", type=float, default=30.0, help="karşı taraf yoksa beklenecek saniye")
    return parser.parse_args(argv)


def _fleet_arguments(argv: list[str]) -> argparse.Namespace:
    parser = _common("filo", "Gösterim cihazları: her stdin satırı kabul edilmiş bir tüpün barkodudur.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port-base", type=int, default=4000)
    parser.add_argument("--speed", type=float, default=1.0, help="2: iki kat hızlı, 0: beklemeden")
    return parser.parse_args(argv)


def _hospital_arguments(argv: list[str]) -> argparse.Namespace:
    parser = _common("hastane", "Bir hastane sistemi: istem gönderir, sonuç alır.")
    parser.add_argument("--mllp", metavar="HOST:PORT", required=True, help="Numune'nin HL7 kapısı")
    parser.add_argument(
        "--listen", metavar="[HOST:]PORT", help="sonuçların geleceği kapı (yoksa aynı bağlantıdan alır)"
    )
    parser.add_argument("--tests", default="GLU,UREA,CREA,K,NA,ALT,AST")
    parser.add_argument("--form", choices=("oml", "orm"), default="oml")
    parser.add_argument("--priority", choices=("R", "A", "S"), default="R")
    parser.add_argument("--count", type=int, default=1, help="istem sayısı")
    parser.add_argument("--rate", type=float, default=0.0, help="dakikada istem")
    parser.add_argument("--faults", default="", help="gönderirken olacak arızalar")
    parser.add_argument("--stay", type=float, default=None, help="istemlerden sonra beklenecek saniye (yoksa Ctrl-C)")
    return parser.parse_args(argv)


def _address(text: str, default_host: str | None = None) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not port.isdigit() or (not host and default_host is None):
        raise _Refused(f"{text!r} bir adres değil; HOST:PORT yazın.")
    return (host if colon else "") or default_host or "", int(port)


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _barcodes(text: str) -> list[str]:
    if text and Path(text).is_file():
        return [line.strip() for line in Path(text).read_text().splitlines() if line.strip()]
    return _split(text)


# ---- one analyser ---------------------------------------------------------------------------------------------------


def _plug(arguments: argparse.Namespace, model: AnyModel) -> Plug:
    if arguments.serial:
        return serial_port(arguments.serial, arguments.baud)
    if arguments.listen:
        return TcpServer(*_address(arguments.listen, "127.0.0.1")).plug
    if arguments.mllp and model.protocol != "hl7":
        raise _Refused(f"{model.key} HL7 konuşmaz; --mllp yerine --connect kullanın.")
    return tcp_client(*_address(arguments.mllp or arguments.connect))


async def _analyser(arguments: argparse.Namespace) -> int:
    model = model_named(arguments.model)
    faults = _split(arguments.faults)
    if arguments.query and not model.asks and model.protocol != "hl7":
        raise _Refused(f"{model.key} sorgu yapmaz; --query olmadan çalıştırın.")
    for spelling in faults:
        Fault.read(spelling, BY_PROTOCOL[model.protocol])
    say = _silent if arguments.quiet else _say
    analyser = build_analyser(model.key, _plug(arguments, model), seed=arguments.seed, tell=say)
    record = _Record(arguments.record)
    failed = 0
    try:
        await analyser.connect(arguments.patience)
        say(f"{model.name}: hat açık")
        for number, barcode in enumerate(_work(arguments)):
            if number and arguments.rate > 0:
                await asyncio.sleep(60 / arguments.rate)
            failed += not await _one(analyser, arguments, barcode, faults, say)
            record.write(analyser)
    finally:
        record.write(analyser)
        record.close()
        await analyser.disconnect()
    for surprise in analyser.surprises:
        print(f"Beklenmeyen: {surprise}", file=sys.stderr)
    say(f"{len(analyser.acknowledged_messages)} mesaj, {len(analyser.acknowledged_results)} sonuç onaylandı")
    return 1 if failed else 0


def _work(arguments: argparse.Namespace) -> Iterator[str]:
    """The tubes in order; as many as --count says, else each once."""
    if arguments.raw:
        return islice(cycle([""]), arguments.count or 1)
    barcodes = _barcodes(arguments.barcodes)
    tubes: Iterator[str] = cycle(barcodes) if barcodes else (f"SIM{number:06}" for number in count(1))
    return islice(tubes, arguments.count or len(barcodes) or 1)


async def _one(
    analyser: Analyser, arguments: argparse.Namespace, barcode: str, faults: list[str], say: Callable[[str], None]
) -> bool:
    """One tube or raw file; False: it did not get through."""
    struck = QUESTION_FAULTS if arguments.query else frozenset()
    try:
        if arguments.raw:
            analyser.faults.arm(*faults)
            await analyser.reports_raw(await asyncio.to_thread(Path(arguments.raw).read_bytes))
            say(f"{arguments.raw}: onaylandı")
            return True
        codes = _wanted(analyser, arguments)
        if arguments.query:
            analyser.faults.arm(*(fault for fault in faults if fault.split(":")[0] in struck))
            offered = await _asked(analyser, barcode, say)
            if offered is None:
                return False
            codes = offered
        if not codes:
            return True
        analyser.faults.arm(*(fault for fault in faults if fault.split(":")[0] not in struck))
        report = await analyser.runs_codes(barcode, codes)
    except (NotAccepted, ConnectionError) as error:
        print(f"{barcode or arguments.raw}: gönderilemedi ({error})", file=sys.stderr)
        return False
    say(f"{barcode}: {len(report.results) if report else 0} sonuç onaylandı")
    return True


async def _asked(analyser: Analyser, barcode: str, say: Callable[[str], None]) -> list[str] | None:
    """The codes that are to be run; None: no usable answer."""
    work = await analyser.asks(barcode)
    if not work.answered and analyser.model.silence_means_nothing:
        say(f"{barcode}: yanıt gelmedi; bu cihazda bu, iş yok demektir")
        return []
    if not work.answered:
        print(f"{barcode}: sorguya yanıt gelmedi", file=sys.stderr)
        return None
    offer = work[barcode]
    if offer.refused:
        print(f"{barcode}: yanıt bu cihaza uymuyor: {offer.refused}", file=sys.stderr)
        return None
    say(
        f"{barcode}: {len(offer.tests)} test verildi: {', '.join(offer.codes)}" if offer.codes else f"{barcode}: iş yok"
    )
    return offer.codes


def _wanted(analyser: Analyser, arguments: argparse.Namespace) -> list[str]:
    tests = [analyser.model.code_of(test) for test in _split(arguments.tests)]
    return tests or list(analyser.model.usual_tests or analyser.model.channels)


class _Record:
    """Keeps every receipt as one JSON object a line; written at once: a killed simulator has told all that it knew."""

    def __init__(self, path: str | None) -> None:
        self._stream = Path(path).open("a", encoding="utf-8") if path else None  # noqa: SIM115 - closed by close()
        self._written = 0

    def write(self, analyser: Analyser) -> None:
        """What was acknowledged since the last call."""
        if self._stream is None:
            return
        for receipt in analyser.acknowledged[self._written :]:
            line = {
                "message": receipt.message,
                "frame": receipt.frame,
                "kind": receipt.kind,
                "whole": receipt.whole,
                "text": receipt.text.decode("utf-8", "replace"),
                "results": [[one.specimen, one.code, one.result.value, one.result.unit] for one in receipt.results],
            }
            self._stream.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._written = len(analyser.acknowledged)
        self._stream.flush()

    def close(self) -> None:
        """No more."""
        if self._stream is not None:
            self._stream.close()


# ---- the fleet and the hospital -------------------------------------------------------------------------------------


async def _fleet(arguments: argparse.Namespace) -> int:
    say = _silent if arguments.quiet else _say
    fleet = Fleet(arguments.host, arguments.port_base, seed=arguments.seed, speed=arguments.speed, say=say)
    await fleet.run(lines_of())
    return 0


async def _hospital(arguments: argparse.Namespace) -> int:
    say = _silent if arguments.quiet else _say
    listen = TcpServer(*_address(arguments.listen, "127.0.0.1")) if arguments.listen else None
    refused = 0
    form = "OML^O21^OML_O21" if arguments.form == "oml" else "ORM^O01^ORM_O01"
    async with Hospital(tcp_client(*_address(arguments.mllp)), listen=listen, tell=say) as hospital:
        hospital.faults.arm(*_split(arguments.faults))
        for number in range(arguments.count):
            if number and arguments.rate > 0:
                await asyncio.sleep(60 / arguments.rate)
            person = invented_person(number, arguments.seed)
            order = await hospital.places(person, *_split(arguments.tests), priority=arguments.priority, form=form)
            refused += order.answer.code != "AA"
            why = order.answer.first("ERR").get(8) or order.answer.first("MSA").get(3)
            say(f"istem {order.number}: {order.answer.code} {why}".rstrip())
        if arguments.stay is None:
            say("sonuçlar bekleniyor (bitirmek için Ctrl-C)")
            await asyncio.Event().wait()
        await asyncio.sleep(arguments.stay)
        for result in hospital.results:
            say(f"sonuç {result.step} {result.test} = {result.value} {result.unit} {'~'.join(result.flags)}".rstrip())
    return 1 if refused else 0
