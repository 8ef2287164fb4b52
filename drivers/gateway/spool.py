"""The spool: every received frame on disk, fsynced, before its sender is told to forget it (invariant 1).

One append-only log in segment files. A writer thread takes whatever waits, writes it at once and calls `fdatasync`
once for all of it: twenty lines that wait at the same moment share one flush. A frame leaves the spool when the
message it belongs to is committed in the database; a segment without such frames is deleted.

An entry on disk: length and CRC-32 of the payload (little endian), then the payload as MessagePack. A segment has its
full length from the beginning, zeros behind the last entry. A torn entry at the end of a segment was never confirmed to
anyone and is cut off at the next start.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import struct
import threading
import uuid
import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

import msgspec

from drivers.gateway.line import disk_words

SEGMENT_BYTES = 16 * 1024 * 1024
_HEAD = struct.Struct("<II")
_LONGEST = 64 * 1024 * 1024
_AHEAD = 1024 * 1024
_VECTOR = 1000
"""Pieces that one call may write (IOV_MAX is 1024 on Linux)."""

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


class _Entry(NamedTuple):
    """Bytes on their way to a segment, and who must be told when they are there."""

    segment: int
    data: bytes
    done: Done | None


class Spool:
    """A durable log of frames. Use from one event loop; the writing is done by a thread of its own, fed by a queue."""

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
        self._fresh: list[_Entry] = []
        """Queued and not yet with the writer, which gets all of them at once."""
        self._seen = 0
        self._queued: SimpleQueue[list[_Entry] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = -1

    # -- opening and closing

    def open(self) -> list[tuple[Place, Frame]]:
        """Start the writer. Returns the frames that no delivered message holds, in the order of their arrival.

        Raises OSError where the folder cannot be used, or another gateway uses it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = self._locked()
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

    def _locked(self) -> int:
        """Two gateways on one spool would delete each other's frames. The system lets the lock go with its process."""
        lock = os.open(self.folder / "kilit", os.O_CREAT | os.O_WRONLY, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise OSError(f"{self.folder} klasöründe başka bir geçit çalışıyor") from None
        return lock

    async def close(self) -> None:
        """Write what waits, stop the writer."""
        self._hand_over()
        self._queued.put(None)
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

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
        known = list(self._on_disk)  # a copy: the writer's thread may add one at this moment
        newest = max(known)
        for segment in [number for number in known if number < newest and number not in self._open_frames]:
            self._path(segment).unlink(missing_ok=True)
            self._on_disk.discard(segment)

    def _queue(self, payload: bytes, number: int, done: Done | None) -> Place:
        place = Place(number, self._segment, self._offset)
        self._offset += _HEAD.size + len(payload)
        if not self._fresh and self._loop is not None:
            self._loop.call_soon(self._hand_over)
        self._fresh.append(_Entry(self._segment, _HEAD.pack(len(payload), zlib.crc32(payload)) + payload, done))
        return place

    def _hand_over(self) -> None:
        """Wake the writer once for what all lines say in one breath: as long as each turn of the loop brings more."""
        if len(self._fresh) > self._seen and self._loop is not None:
            self._seen = len(self._fresh)
            self._loop.call_soon(self._hand_over)
            return
        self._seen = 0
        if self._fresh:
            self._queued.put(self._fresh)
            self._fresh = []

    def _new_segment(self) -> None:
        self._segment += 1
        self._offset = 0
        self._number = self._segment << 32

    def _write_forever(self) -> None:
        """The writer's thread: takes all that waits, writes it, flushes once, has everybody told."""
        file = _SegmentFile(self._open_segment)
        entries: list[_Entry] = []
        while True:
            more = self._queued.get()
            while more is not None:
                entries += more
                if self._queued.empty():
                    break
                more = self._queued.get()
            if more is None or any(entry.done for entry in entries):  # notes alone are worth no flush
                for segment, run in groupby(entries, key=_segment_of):
                    self._flush(file, segment, list(run))
                entries = []
            if more is None:
                file.close()
                return

    def _flush(self, file: _SegmentFile, segment: int, entries: list[_Entry]) -> None:
        error = None
        try:
            file.write(segment, [entry.data for entry in entries])
            self.flushes += 1
        except OSError as problem:
            error = problem
        told = [entry.done for entry in entries if entry.done is not None]
        assert self._loop is not None
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._confirm, segment, told, error)

    def _open_segment(self, segment: int) -> int:
        file = os.open(self._path(segment), os.O_CREAT | os.O_WRONLY, 0o600)
        self._on_disk.add(segment)
        try:
            try:
                os.posix_fallocate(file, 0, self._segment_bytes)  # a flush is cheaper where the file need not grow
            except OSError:  # it is no condition; but the last room of a disk is not taken in advance
                os.ftruncate(file, 0)
            folder = os.open(self.folder, os.O_RDONLY)
            try:
                os.fsync(folder)  # the new file's name must survive as well
            finally:
                os.close(folder)
        except OSError:
            os.close(file)
            raise
        return file

    def _confirm(self, segment: int, told: list[Done], error: OSError | None) -> None:
        self.problem = None if error is None else disk_words(error)
        if error is not None:
            self._open_frames[segment] = self._open_frames.get(segment, 0) - len(told)
            if self._open_frames[segment] <= 0:
                self._open_frames.pop(segment)
            if segment == self._segment:
                self._new_segment()  # places already given in the broken segment are void; start afresh
            self._retire()  # what a full disk leaves is empty files
        for done in told:
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
            if not 0 < length <= _LONGEST or len(payload) < length or zlib.crc32(payload) != crc:
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


class _SegmentFile:
    """The segment that is being written; another one is opened when it is asked for."""

    def __init__(self, opener: Callable[[int], int]) -> None:
        self._opener = opener
        self._segment = -1
        self._file = -1
        self._end = 0
        self._smooth = 0
        """Up to here the file's blocks have been written once: a flush there changes nothing but their content."""
        self._in_one = hasattr(os, "RWF_DSYNC")
        self._broken: OSError | None = None

    def write(self, segment: int, data: list[bytes]) -> None:
        """Append and flush to disk. Raises OSError; then nothing of `data` is left in the file, and nothing more goes
        into it: what was queued behind `data` has places that count on it."""
        if segment != self._segment:
            self.close()
            self._file, self._segment, self._end, self._smooth = self._opener(segment), segment, 0, 0
            self._broken = None
        elif self._broken is not None:
            raise self._broken
        size = sum(map(len, data))
        try:
            if self._end + size > self._smooth:
                with contextlib.suppress(OSError):  # no room for zeros: the entries may fit all the same
                    self._smooth_on(size)
            self._write_through(data, size)
        except OSError as error:
            self._broken = error
            os.ftruncate(self._file, self._end)  # a torn entry must not hide what is written after it
            self._smooth = self._end
            raise
        self._end += size

    def _smooth_on(self, size: int) -> None:
        """Zeros ahead, flushed once: where blocks are new, every flush would have to write the file's table as well."""
        ahead = size + _AHEAD
        end = self._end
        view = memoryview(bytes(ahead))
        while view:
            written = os.pwrite(self._file, view, end)
            view, end = view[written:], end + written
        os.fdatasync(self._file)
        self._smooth = end

    def _write_through(self, data: list[bytes], size: int) -> None:
        """Write and flush in one call; where the system took a part only, or cannot do both at once, in two."""
        done = 0
        if self._in_one:
            try:
                done = os.pwritev(self._file, data[:_VECTOR], self._end, os.RWF_DSYNC)
            except OSError as error:
                if error.errno != errno.EOPNOTSUPP:
                    raise
                self._in_one = False
        if done < size:
            view = memoryview(b"".join(data))[done:]
            end = self._end + done
            while view:
                written = os.pwrite(self._file, view, end)
                view, end = view[written:], end + written
            os.fdatasync(self._file)

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        self._file = self._segment = -1


def _segment_of(entry: _Entry) -> int:
    return entry.segment


def _write_durably(path: Path, text: str) -> None:
    part = path.with_suffix(".part")
    with part.open("w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
