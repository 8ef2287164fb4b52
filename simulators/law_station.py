"""A whole IHE LAW analyser on sockets: asks (LAB-27), takes work (LAB-28), reports (LAB-29), with faults by name.

Two connections as the profile has it (it calls the manager for LAB-27 and LAB-29, and listens for LAB-28), or one.
Written on plain text (`simulators.segments`), apart from the project's codecs, so that both cannot share a mistake.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import uuid4

from simulators.segments import Message, escape, segment, stamp

__all__ = ["LAW_FAULTS", "LawFault", "LawResult", "LawStation", "Received", "obx"]

START, END = b"\x0b", b"\x1c\x0d"
OFFSET = "+0300"
LAW_FAULTS = {
    "no_orl": "iş iletisini yanıtlamaz",
    "no_commit_ack": "istenen alındı bildirimini (CA) vermez",
    "commit_only": "alındı bildirir (CA), uygulama yanıtı vermez",
    "application_ae": "iş iletisini AE ile geri çevirir",
    "application_ar": "iş iletisini AR ile geri çevirir",
    "wrong_control_id": "yanıtında başka bir kontrol numarası yazar",
    "hang_up": "iş iletisini alır, yanıtlamadan hattı kapatır",
    "split_mllp": "yazdıklarını tek tek baytlara böler",
    "late_fs": "blok sonunu (FS CR) geç yollar",
    "duplicate_oul": "sonuç iletisini iki kez yollar",
    "cancel_refused": "iptali kabul etmez (UC)",
    "no_step_ids": "ORL'de ORC-2'yi boş bırakır",
    "one_orc_less": "ORL'de bir ORC eksiktir",
    "old_structure": "ORL'nin yapısını ORL_O34 yazar",
}
"""Faults of a LAW analyser and what they do; each happens as often as it is armed."""


class LawFault(ValueError):
    """No such fault. The text is for people (Turkish)."""


@dataclass(frozen=True, slots=True)
class Received:
    """A message of the manager."""

    message: Message
    at: float
    """Monotonic seconds."""
    way: str
    """`asked` on the connection that the analyser opened, `work` on the one that the manager opened."""


@dataclass(frozen=True, slots=True)
class LawResult:
    """One order group of a result message; `lines` are its OBX with what follows them."""

    test: str
    lines: Sequence[str]
    awos: str = '""'
    state: str = "CM"
    control: str = "SC"
    parent: str = ""
    reflex: bool = False
    notes: Sequence[str] = ()
    with_orc: bool = True


DEVICE = "XY-500^Example~SN00123^Example~M1^Example"
MEASURED = "20261203083712+0300"


def obx(
    number: int,
    kind: str,
    test: str,
    value: str,
    unit: str = "",
    *,
    run: str = "1",
    flags: str = "",
    status: str = "F",
    measured: str = MEASURED,
    operator: str = "op17",
    device: str = DEVICE,
    category: str = "RSLT",
) -> str:
    """One OBX as LAW analysers write it; `value`, `unit` and `flags` are in HL7 form."""
    return segment(
        "OBX", f1=str(number), f2=kind, f3=test, f4=run, f5=value, f6=unit, f8=flags, f11=status, f16=operator,
        f18=device, f19=measured, f29=category,
    )  # fmt: skip


@dataclass(slots=True)
class LawStation:
    """One analyser. `start` before use, `stop` after.

    manager: the port that listens for us, on `host`. name: MSH-3. accept, application: MSH-15 and 16 of our requests.
    unable: test codes that are refused. running: steps that cannot be cancelled any more.
    """

    manager: int
    name: str = "CHEM1"
    accept: str = "NE"
    application: str = "AL"
    two_connections: bool = True
    host: str = "127.0.0.1"
    unable: set[str] = field(default_factory=set)
    running: set[str] = field(default_factory=set)
    received: list[Received] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)
    steps: dict[str, str] = field(default_factory=dict)
    """AWOS id: `accepted`, `cancelled`, `refused`."""
    asked: set[str] = field(default_factory=set)
    port: int = 0
    _faults: list[str] = field(default_factory=list)
    _server: asyncio.Server | None = None
    _writer: asyncio.StreamWriter | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _answers: dict[str, list[Message]] = field(default_factory=dict)
    _heard: asyncio.Event = field(default_factory=asyncio.Event)
    _mine: list[asyncio.StreamWriter] = field(default_factory=list)
    _replayed: dict[str, bytes] = field(default_factory=dict)

    def arm(self, *names: str) -> None:
        """Raises LawFault."""
        for name in names:
            if name not in LAW_FAULTS:
                raise LawFault(f"{name!r} diye bir arıza yok. Bilinenler: {', '.join(LAW_FAULTS)}")
            self._faults.append(name)

    def _take(self, name: str) -> bool:
        if name not in self._faults:
            return False
        self._faults.remove(name)
        return True

    # ---- connections

    async def listen(self, port: int = 0, host: str = "127.0.0.1") -> int:
        """Wait for the manager's LAB-28 connection; the port."""
        self._server = await asyncio.start_server(self._accepted, host, port)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self.port

    async def start(self) -> None:
        """Call the manager."""
        reader, self._writer = await asyncio.open_connection(self.host, self.manager)
        self._run(self._read(reader, self._writer, "asked"))

    async def stop(self) -> None:
        """Hang up everywhere."""
        await self.stop_listening()
        if self._writer is not None:
            self._writer.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def stop_listening(self) -> None:
        """The LAB-28 port closes, with its connections."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in self._mine:
            writer.close()
        self._mine.clear()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._mine.append(writer)
        self._run(self._read(reader, writer, "work"))

    def _run(self, work: object) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)  # type: ignore[arg-type]
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: str) -> None:
        buffer = b""
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                buffer += data
                while (end := buffer.find(END)) >= 0:
                    start = buffer.find(START)
                    message = Message(buffer[start + 1 : end])
                    buffer = buffer[end + 2 :]
                    self.received.append(Received(message, time.monotonic(), way))
                    if message.answers:
                        self._answers.setdefault(message.answers, []).append(message)
                    else:
                        await self._request(message, writer)
                    self._heard.set()

    async def _write(self, writer: asyncio.StreamWriter, message: bytes) -> None:
        data = START + message + END
        self.sent.append(message)
        if self._take("split_mllp"):
            for at in range(len(data)):
                writer.write(data[at : at + 1])
                await writer.drain()
                if at % 16 == 0:
                    await asyncio.sleep(0)
        elif self._take("late_fs"):
            writer.write(data[:-2])
            await writer.drain()
            await asyncio.sleep(0.3)
            writer.write(END)
        else:
            writer.write(data)
        await writer.drain()

    async def until(self, done: object, seconds: float = 20.0) -> None:
        """Wait for something to have been received. Raises TimeoutError."""
        assert callable(done)
        async with asyncio.timeout(seconds):
            while not done():
                self._heard.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.05):
                        await self._heard.wait()

    # ---- what it says

    def header(self, kind: str, profile: str, *, request: bool = True, control: str = "", **fields: str) -> str:
        """MSH of one of our messages."""
        values = {
            "f3": self.name, "f5": "NUMUNE", "f7": stamp(datetime.now(), OFFSET), "f9": kind,
            "f10": control or f"c-{uuid4().hex[:16]}", "f11": "P", "f12": "2.5.1",
            "f15": self.accept if request else "", "f16": self.application if request else "",
            "f18": "UNICODE UTF-8", "f21": profile,
        }  # fmt: skip
        return segment("MSH", **{**values, **fields})

    async def exchange(self, lines: Sequence[str], seconds: float = 20.0, answers: int = 1) -> list[Message]:
        """Send a request and wait for its answers. Raises TimeoutError where they do not come."""
        raw = "".join(f"{line}\r" for line in lines).encode()
        return await self.exchange_raw(raw, seconds, answers)

    async def exchange_raw(self, raw: bytes, seconds: float = 20.0, answers: int = 1) -> list[Message]:
        """As `exchange`, with bytes."""
        control = Message(raw).control_id
        assert self._writer is not None
        before = len(self._answers.get(control, []))
        await self._write(self._writer, raw)
        if self._take("duplicate_oul"):
            await self._write(self._writer, raw)
            answers += 1
        await self.until(lambda: len(self._answers.get(control, [])) >= before + answers, seconds)
        return self._answers[control][before:]

    async def ask(
        self, container: str = "", *, kind: str = "WOS", rack: str = "", position: str = "", tray: str = "",
        tray_position: str = "", location: str = "", isolate: str = "", system: str = "IHELAW", tag: str | None = None,
        rcp: str = "I",
    ) -> Message:  # fmt: skip
        """LAB-27; the RSP."""
        self.asked.add(container)
        lines = self.query_lines(
            container, kind=kind, rack=rack, position=position, tray=tray, tray_position=tray_position,
            location=location, isolate=isolate, system=system, tag=tag, rcp=rcp,
        )  # fmt: skip
        return (await self.exchange(lines))[0]

    def query_lines(
        self, container: str = "", *, kind: str = "WOS", rack: str = "", position: str = "", tray: str = "",
        tray_position: str = "", location: str = "", isolate: str = "", system: str = "IHELAW", tag: str | None = None,
        rcp: str = "I",
    ) -> list[str]:  # fmt: skip
        """The segments of a query."""
        tag = uuid4().hex if tag is None else tag
        query = segment(
            "QPD", f1=f"{kind}^{kind.replace('_', ' ').title()}^{system}", f2=tag, f3=escape(container), f4=rack,
            f5=position, f6=tray, f7=tray_position, f8=location, f9=isolate,
        ).rstrip("|")  # fmt: skip
        return [self.header("QBP^Q11^QBP_Q11", "LAB-27^IHE"), query, segment("RCP", f1=rcp, f3="R^Real Time^HL70394")]

    def result_lines(
        self, container: str, results: Sequence[LawResult], *, role: str = "P", number: int = 1, sac: bool = True,
        container_lots: Sequence[str] = (), parents: str = "", pooled: str = "", rack: str = "", position: str = "",
        patient: bool = False,
    ) -> list[str]:  # fmt: skip
        """The segments of one specimen of an OUL^R22."""
        lines = [segment("PID", f3="H1^^^MERKEZ^PI", f5="DENEME^HASTA")] if patient else []
        lines.append(
            segment("SPM", f1=str(number), f3=parents, f4="SER^Serum^HL70487" if role == "P" else '""',
                    f11=f"{role}^^HL70369", f13=pooled)
        )  # fmt: skip
        if sac:
            lines.append(segment("SAC", f3=escape(container), f10=rack, f11=position))
        lines += container_lots
        for at, result in enumerate(results, 1):
            lines.append(
                segment("OBR", f1=str(at), f2=result.awos, f4=result.test, f11="G" if result.reflex else "",
                        f29=result.parent)
            )  # fmt: skip
            if result.with_orc:
                lines.append(segment("ORC", f1=result.control, f5=result.state))
            lines += [segment("NTE", f1=str(n), f3=escape(note)) for n, note in enumerate(result.notes, 1)]
            lines += result.lines
        return lines

    async def report(self, lines: Sequence[str], *, control: str = "") -> Message:
        """LAB-29; the ACK."""
        header = self.header("OUL^R22^OUL_R22", "LAB-29^IHE", control=control)
        return (await self.exchange([header, *lines]))[0]

    # ---- what it is told

    async def _request(self, message: Message, writer: asyncio.StreamWriter) -> None:
        if message.kind != "OML^O33":
            return
        if self._take("no_orl"):
            return
        if self._take("hang_up"):
            writer.close()
            return
        wants_commit = message.first("MSH").field(15) == "AL"
        commit_only = self._take("commit_only")
        if (wants_commit and not self._take("no_commit_ack")) or commit_only:
            header = self.header("ACK^O33^ACK", "LAB-28^IHE", request=False)
            await self._say(writer, [header, segment("MSA", f1="CA", f2=message.control_id)])
        if commit_only:
            return
        known = self._replayed.get(message.control_id)
        if known is None:
            known = "".join(f"{line}\r" for line in self._orl(message)).encode()
            if not self._refusal(known):
                self._replayed[message.control_id] = known
        await self._write(writer, known)

    @staticmethod
    def _refusal(answer: bytes) -> bool:
        return b"\rMSA|AR" in answer or b"\rMSA|AE" in answer

    async def _say(self, writer: asyncio.StreamWriter, lines: Sequence[str]) -> None:
        await self._write(writer, "".join(f"{line}\r" for line in lines).encode())

    def _orl(self, message: Message) -> list[str]:
        structure = "ORL_O34" if self._take("old_structure") else "ORL_O42"
        header = self.header(f"ORL^O34^{structure}", "LAB-28^IHE", request=False)
        control = "someone-else" if self._take("wrong_control_id") else message.control_id
        for fault, code, error in (("application_ae", "AE", "101"), ("application_ar", "AR", "207")):
            if self._take(fault):
                return [header, segment("MSA", f1=code, f2=control), _err("OBR^1^4", error)]
        lines: list[str] = []
        action, tube = "", ""
        for part in message:
            if part.name == "SPM":
                lines.append(segment("SPM", f1=part.field(1), f4=part.field(4), f11=part.field(11)))
            elif part.name == "SAC":
                tube = part.get(3)
                lines.append(segment("SAC", f3=part.field(3), f10=part.field(10), f11=part.field(11)))
            elif part.name == "ORC":
                action = part.get(1)
                if action == "DC":
                    return self._nothing(header, control, tube)
            elif part.name == "OBR" and action in ("NW", "CA"):
                lines.append(self._decide(action, part.get(2), part.get(4)))
        if self._take("one_orc_less"):
            lines.pop()
        if self._take("no_step_ids"):
            lines = [segment("ORC", f1=line.split("|")[1]) if line.startswith("ORC") else line for line in lines]
        return [header, segment("MSA", f1="AA", f2=control), *lines]

    def _nothing(self, header: str, control: str, tube: str) -> list[str]:
        if tube in self.asked or not tube:
            return [header, segment("MSA", f1="AA", f2=control)]
        return [header, segment("MSA", f1="AR", f2=control), _err("SAC^1^3", "204", f"{tube} not on board")]

    def _decide(self, action: str, awos: str, code: str) -> str:
        if action == "CA":
            if awos in self.running or self._take("cancel_refused"):
                return segment("ORC", f1="UC", f2=awos, f5="IP")
            self.steps[awos] = "cancelled"
            return segment("ORC", f1="CR", f2=awos, f5="CA")
        if awos in self.steps or code in self.unable:
            self.steps.setdefault(awos, "refused")
            return segment("ORC", f1="UA", f2=awos, f5="CA")
        self.steps[awos] = "accepted"
        return segment("ORC", f1="OK", f2=awos, f5="SC")

    # ---- for whoever looks

    def orders(self, action: str = "") -> list[Message]:
        """The OML that came, with this ORC-1 where one is given."""
        found = [one.message for one in self.received if one.message.kind == "OML^O33"]
        return [one for one in found if not action or one.first("ORC").get(1) == action]


def _err(place: str, code: str, text: str = "") -> str:
    return segment("ERR", f2=place, f3=f"{code}^^HL70357", f4="E", f8=escape(text))
