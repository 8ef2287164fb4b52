"""The life of an ordered test and of a tube, as tables of legal moves.

The values are the words of the database (Turkish), `.api` is the word of the JSON interface.
"""

from __future__ import annotations

from enum import StrEnum


class TestState(StrEnum):
    """States of one ordered test (the outer contract names them in English)."""

    __test__ = False  # not a test class, whatever pytest thinks of its name

    ORDERED = "istendi"
    COLLECTED = "alindi"
    ACCEPTED = "kabul"
    RUNNING = "calisiyor"
    RESULTED = "sonuclandi"
    TECHNICALLY_APPROVED = "teknik_onayli"
    CLINICALLY_APPROVED = "klinik_onayli"
    REJECTED = "ret"
    CANCELLED = "iptal"

    @property
    def api(self) -> str:
        """Name in the JSON interface, for example `clinically_approved`."""
        return self.name.lower()

    @property
    def word(self) -> str:
        """As a sentence for people says it: "teknik onaylı"."""
        return _TEST_WORDS[self]

    @classmethod
    def from_api(cls, word: str) -> TestState:
        """Raises KeyError for a word that is no state."""
        return cls[word.upper()]


T = TestState

_TEST_WORDS = {
    T.ORDERED: "istendi",
    T.COLLECTED: "alındı",
    T.ACCEPTED: "kabul edildi",
    T.RUNNING: "çalışılıyor",
    T.RESULTED: "sonuçlandı",
    T.TECHNICALLY_APPROVED: "teknik onaylı",
    T.CLINICALLY_APPROVED: "klinik onaylı",
    T.REJECTED: "reddedildi",
    T.CANCELLED: "iptal edildi",
}

PENDING = frozenset({T.ORDERED, T.COLLECTED, T.ACCEPTED, T.RUNNING})
"""No result yet and still wanted: what an analyser may be offered."""

MOVES: dict[TestState, frozenset[TestState]] = {
    T.ORDERED: frozenset({T.COLLECTED, T.ACCEPTED, T.RUNNING, T.RESULTED, T.REJECTED, T.CANCELLED}),
    T.COLLECTED: frozenset({T.ACCEPTED, T.RUNNING, T.RESULTED, T.REJECTED, T.CANCELLED}),
    T.ACCEPTED: frozenset({T.RUNNING, T.RESULTED, T.REJECTED, T.CANCELLED}),
    T.RUNNING: frozenset({T.ACCEPTED, T.RESULTED, T.REJECTED, T.CANCELLED}),
    T.RESULTED: frozenset({T.ACCEPTED, T.TECHNICALLY_APPROVED, T.REJECTED, T.CANCELLED}),
    T.TECHNICALLY_APPROVED: frozenset({T.ACCEPTED, T.RESULTED, T.CLINICALLY_APPROVED}),
    T.CLINICALLY_APPROVED: frozenset({T.TECHNICALLY_APPROVED}),
    T.REJECTED: frozenset({T.ORDERED, T.ACCEPTED}),
    T.CANCELLED: frozenset(),
}
"""What may follow what. A repeat goes back to ACCEPTED; a withdrawn approval goes back one step."""


def may_move(old: TestState, new: TestState) -> bool:
    """True where the move is legal; staying put is no move."""
    return new in MOVES[old]


class TubeState(StrEnum):
    """States of one tube (specimen container)."""

    EXPECTED = "bekleniyor"
    COLLECTED = "alindi"
    DISPATCHED = "yolda"
    RECEIVED = "kabul"
    CONDITIONAL = "sartli_kabul"
    REJECTED = "ret"

    @property
    def api(self) -> str:
        return self.name.lower()

    @property
    def word(self) -> str:
        """As a sentence for people says it: "kabul edildi"."""
        return _TUBE_WORDS[self]


S = TubeState

_TUBE_WORDS = {
    S.EXPECTED: "bekleniyor",
    S.COLLECTED: "alındı",
    S.DISPATCHED: "yolda",
    S.RECEIVED: "kabul edildi",
    S.CONDITIONAL: "şartlı kabul edildi",
    S.REJECTED: "reddedildi",
}

TUBE_MOVES: dict[TubeState, frozenset[TubeState]] = {
    S.EXPECTED: frozenset({S.COLLECTED, S.DISPATCHED, S.RECEIVED, S.CONDITIONAL, S.REJECTED}),
    S.COLLECTED: frozenset({S.DISPATCHED, S.RECEIVED, S.CONDITIONAL, S.REJECTED}),
    S.DISPATCHED: frozenset({S.RECEIVED, S.CONDITIONAL, S.REJECTED}),
    S.RECEIVED: frozenset({S.REJECTED, S.CONDITIONAL, S.DISPATCHED}),
    S.CONDITIONAL: frozenset({S.REJECTED, S.RECEIVED}),
    S.REJECTED: frozenset(),
}
"""A rejected tube never comes back: a new one is drawn."""

TEST_STATE_OF_TUBE: dict[TubeState, TestState] = {
    S.EXPECTED: T.ORDERED,
    S.COLLECTED: T.COLLECTED,
    S.DISPATCHED: T.COLLECTED,
    S.RECEIVED: T.ACCEPTED,
    S.CONDITIONAL: T.ACCEPTED,
    S.REJECTED: T.REJECTED,
}
"""What the tests of a tube become when the tube moves (only tests that have no result yet)."""


class Priority(StrEnum):
    """Three grades (9.8.7): urgent, priority, routine. Sorted by `rank`, urgent first."""

    URGENT = "acil"
    PRIORITY = "oncelikli"
    ROUTINE = "rutin"

    @property
    def api(self) -> str:
        return self.name.lower()

    @property
    def rank(self) -> int:
        return _RANK[self]

    @property
    def astm(self) -> str:
        """Letter of ASTM O-6."""
        return _ASTM[self]


_RANK = {Priority.URGENT: 0, Priority.PRIORITY: 1, Priority.ROUTINE: 2}
_ASTM = {Priority.URGENT: "S", Priority.PRIORITY: "A", Priority.ROUTINE: "R"}
