"""The spool: every received frame on disk, fsynced, before its sender is told to forget it (invariant 1).

One append-only log in segment files. A writer thread takes whatever waits, writes it at once and calls `fdatasync`
once for all of it: twenty lines that wait at the same moment share one flush. A frame leaves the spool when the
message it belongs to is committed in the database; a segment without such frames is deleted.

An entry on disk: length and CRC-32 of the payload (little endian), then the payload as MessagePack. A torn entry at
the end of a segment was never confirmed to anyone and is cut off at the next start.
"""

from __future__ import annotations

import asyncio
import os
import struct
import threading
import uuid
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec

SEGMENT_BYTES = 16 * 1024 * 1024
_HEAD = struct.Struct("<II")
_LONGEST = 64 * 1024 * 1024

Done = Callable[[OSError | None], None]


class Frame(msgspec.Struct, array_like=True, gc=False):
    """One frame (or one MLLP block) as it came."""

    number: int
    """Running number in this spool, never used again."""
    line: str
    transfer: int
    """What belongs together after a restart (`new_transfer`)."""
    received_ns: int
    """Nanoseconds since the epoch, UTC."""
    last: bool
    """ASTM: closed by ETX. HL7: always true."""
    start: int
    length: int
    raw: bytes

    @property
    def text(self) -> bytes:
        """The content without framing."""
        return self.raw[self.start : self.start + self.length]


class _Delivered(msgspec.Struct, array_like=True):
    delivered: list[int]


class Place(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Where a frame lies in the spool."""

    number: int
    segment: int
    offset: int


class _Batch:
    """What waits for the writer: bytes for one segment and who must be told."""

    __slots__ = ("callbacks", "chunks", "segment")

    def __init__(self, segment: int) -> None:
        self.segment = segment
        self.chunks: list[bytes] = []
        self.callbacks: list[Done] = []


class Spool:
    """A durable log of frames. Use from one event loop; the writing is done by a thread of its own."""

    def __init__(self, folder: Path, *, segment_bytes: int = SEGMENT_BYTES) -> None:
        self.folder = folder
        self.identity = ""
        """Names this spool for ever; part of every message key."""
        self.flushes = 0
        self.problem: str | None = None
        """Why the last write failed, until one succeeds."""
        self._segment_bytes = segment_bytes
        self._encoder = msgspec.msgpack.Encoder()
        self._number = 0
        self._segment = 0
        self._offset = 0
        self._open_frames: dict[int, int] = {}
        self._on_disk: set[int] = set()
        self._batches: list[_Batch] = []
        self._wake = threading.Condition()
        self._closing = False
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    # -- opening and closing

    def open(self) -> list[tuple[Place, Frame]]:
        """Start the writer. Returns the frames that no delivered message holds, in the order of their arrival."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.identity = self._read_identity()
        left: dict[int, tuple[Place, Frame]] = {}
        self._on_disk = {int(path.stem) for path in self.folder.glob("*.spool")}
        for segment in sorted(self._on_disk):
            for offset, entry in self._entries(segment, repair=True):
                if isinstance(entry, Frame):
                    left[entry.number] = (Place(entry.number, segment, offset), entry)
                else:
                    for number in entry.delivered:
                        left.pop(number, None)
        for place, _ in left.values():
            self._open_frames[place.segment] = self._open_frames.get(place.segment, 0) + 1
        # Numbers grow with the segment, and the newest segment's file always exists: no number is used twice.
        self._segment = max(self._on_disk, default=0) + 1
        self._number = self._segment << 32
        os.close(self._open_segment(self._segment))
        self._retire()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._write_forever, name="spool", daemon=True)
        self._thread.start()
        return [left[number] for number in sorted(left)]

    async def close(self) -> None:
        """Write what waits, stop the writer."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)

    # -- writing

    def new_transfer(self) -> int:
        """A number for a transfer, its own for ever: frames of two peers that call at once must never be mixed."""
        self._number += 1
        return self._number

    def append(
        self, line: str, transfer: int, received_ns: int, last: bool, raw: bytes, start: int, length: int, done: Done
    ) -> Place:
        """Queue a frame; `done(None)` is called in the event loop once it is on disk, `done(error)` if it cannot be."""
        if self._offset > self._segment_bytes:
            self._new_segment()
        self._number += 1
        frame = Frame(self._number, line, transfer, received_ns, last, start, length, raw)
        place = self._queue(self._encoder.encode(frame), self._number, done)
        self._open_frames[place.segment] = self._open_frames.get(place.segment, 0) + 1
        return place

    def delivered(self, places: Iterable[Place]) -> None:
        """These frames are safe in the database. Needs no flush: if the note is lost, the database knows the keys."""
        numbers = []
        for place in places:
            numbers.append(place.number)
            left = self._open_frames.get(place.segment, 0) - 1
            if left > 0:
                self._open_frames[place.segment] = left
            else:
                self._open_frames.pop(place.segment, None)
        if numbers:
            self._queue(self._encoder.encode(_Delivered(numbers)), 0, None)
            self._retire()

    def _retire(self) -> None:
        """Delete the segments that hold nothing any more; never the newest one that is on disk."""
        newest = max(self._on_disk)
        for segment in [number for number in self._on_disk if number < newest and number not in self._open_frames]:
            self._path(segment).unlink(missing_ok=True)
            self._on_disk.discard(segment)

    def _queue(self, payload: bytes, number: int, done: Done | None) -> Place:
        place = Place(number, self._segment, self._offset)
        self._offset += _HEAD.size + len(payload)
        with self._wake:
            batch = self._batches[-1] if self._batches else None
            if batch is None or batch.segment != self._segment:
                batch = _Batch(self._segment)
                self._batches.append(batch)
            batch.chunks.append(_HEAD.pack(len(payload), zlib.crc32(payload)))
            batch.chunks.append(payload)
            if done is not None:
                batch.callbacks.append(done)
                self._wake.notify()
        return place

    def _new_segment(self) -> None:
        self._segment += 1
        self._offset = 0
        self._number = self._segment << 32

    def _write_forever(self) -> None:
        file = -1
        current = -1
        while True:
            with self._wake:
                while not self._closing and not any(batch.callbacks for batch in self._batches):
                    self._wake.wait(timeout=1.0)
                    if self._batches:
                        break
                batches, self._batches = self._batches, []
                closing = self._closing
            for batch in batches:
                try:
                    if batch.segment != current:
                        if file >= 0:
                            os.close(file)
                        file, current = self._open_segment(batch.segment), batch.segment
                    self._write(file, b"".join(batch.chunks))
                    os.fdatasync(file)
                    error = None
                    self.flushes += 1
                except OSError as problem:
                    error = problem
                self._report(batch, error)
            if closing and not self._batches:
                if file >= 0:
                    os.close(file)
                return

    def _open_segment(self, segment: int) -> int:
        file = os.open(self._path(segment), os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)  # the new file's name must survive as well
        finally:
            os.close(folder)
        self._on_disk.add(segment)
        return file

    @staticmethod
    def _write(file: int, data: bytes) -> None:
        before = os.fstat(file).st_size
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(file, view) :]
        except OSError:
            os.ftruncate(file, before)  # a torn entry must not hide what is written after it
            raise

    def _report(self, batch: _Batch, error: OSError | None) -> None:
        assert self._loop is not None
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._confirm, batch, error)

    def _confirm(self, batch: _Batch, error: OSError | None) -> None:
        self.problem = None if error is None else str(error)
        if error is not None:
            self._open_frames[batch.segment] = self._open_frames.get(batch.segment, 0) - len(batch.callbacks)
            if self._open_frames[batch.segment] <= 0:
                self._open_frames.pop(batch.segment)
            if batch.segment == self._segment:
                self._new_segment()  # places already given in the broken segment are void; start afresh
        for done in batch.callbacks:
            done(error)

    # -- reading

    def read(self, place: Place) -> Frame:
        """The frame at a place. Raises LookupError where it is gone or damaged."""
        try:
            with self._path(place.segment).open("rb") as file:
                file.seek(place.offset)
                length, crc = _HEAD.unpack(file.read(_HEAD.size))
                payload = file.read(length)
        except (OSError, struct.error) as error:
            raise LookupError(f"spool entry {place.number} cannot be read") from error
        if zlib.crc32(payload) != crc:
            raise LookupError(f"spool entry {place.number} is damaged")
        return msgspec.msgpack.decode(payload, type=Frame)

    def _entries(self, segment: int, *, repair: bool) -> Iterator[tuple[int, Frame | _Delivered]]:
        data = self._path(segment).read_bytes()
        offset = 0
        while offset < len(data):
            head = data[offset : offset + _HEAD.size]
            if len(head) < _HEAD.size:
                break
            length, crc = _HEAD.unpack(head)
            payload = data[offset + _HEAD.size : offset + _HEAD.size + length]
            if length > _LONGEST or len(payload) < length or zlib.crc32(payload) != crc:
                break
            yield offset, self._decode(payload)
            offset += _HEAD.size + length
        if repair and offset < len(data):
            with self._path(segment).open("r+b") as file:
                file.truncate(offset)

    @staticmethod
    def _decode(payload: bytes) -> Frame | _Delivered:
        parts = msgspec.msgpack.decode(payload)
        if len(parts) == 1:
            return msgspec.convert(parts, type=_Delivered)
        return msgspec.convert(parts, type=Frame)

    # -- names

    def _path(self, segment: int) -> Path:
        return self.folder / f"{segment:012d}.spool"

    def _read_identity(self) -> str:
        """The spool's name, made once; an emptied folder is a new spool."""
        path = self.folder / "kimlik"
        if not path.exists():
            _write_durably(path, uuid.uuid4().hex[:16])
        return path.read_text(encoding="ascii")


def _write_durably(path: Path, text: str) -> None:
    part = path.with_suffix(".part")
    with part.open("w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
