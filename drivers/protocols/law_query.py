"""LAB-27 of IHE LAW: an analyser asks for work (QBP^Q11), the manager says that it understood (RSP^K11).

Message layer only. LAW facts, sections 2 and 3. Public names are re-exported by `drivers.protocols.law`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from drivers.protocols.hl7 import (
    ErrorLocation,
    Hl7Error,
    Message,
    Segment,
    answer_bytes,
    answer_header,
    echo,
    echo_segment,
    error_segments,
    is_null,
    segment,
)

QueryKind = Literal["WOS", "WOS_ALL", "WOS_BY_RACK", "WOS_BY_TRAY", "WOS_BY_ISOLATE", "other"]


@dataclass(frozen=True, slots=True)
class WorkQuery:
    """What an analyser asks for. Texts are the analyser's own; empty where it does not say."""

    tag: str
    """QPD-2, repeated in the answer; empty on cobas 6800."""
    kind: QueryKind
    container: str
    """QPD-3, the tube's number."""
    rack: str
    position: str
    tray: str
    tray_position: str
    location: str
    isolate: str
    material: str
    """QPD-10 of Roche's INISEQ (SERPLAS and so on)."""
    problems: tuple[ErrorLocation, ...]
    """Why the query cannot be answered: answer it with ok=False; no OML follows (LAW-F.31, LAW-F.32)."""
    message: Message


# the query's name: its kind, and the fields that it must fill
_QUERY_KINDS: dict[str, tuple[QueryKind, tuple[int, ...]]] = {
    "WOS": ("WOS", (3,)),
    "WOS_ROCHE": ("WOS", (3,)),
    "WOS_ALL": ("WOS_ALL", ()),
    "WOS_BY_RACK": ("WOS_BY_RACK", (4, 5)),
    "WOS_BY_TRAY": ("WOS_BY_TRAY", (6, 7)),
    "WOS_BY_ISOLATE": ("WOS_BY_ISOLATE", (9,)),  # an open point of LAW: which field it is, traffic must show
}


def read_work_query(query: Message) -> WorkQuery:
    """Read a QBP^Q11 of LAB-27 or of its dialects: coding system IHE_LABTF, no tag and no RCP (cobas 6800), rack and
    position beside the container (x800), Roche's INISEQ, which goes by rack where the barcode could not be read.

    Raises Hl7Error: not a QBP.
    """
    if query.type[0] != "QBP":
        raise Hl7Error(f"not a query but {'^'.join(query.type)}")
    qpd = query.first("QPD")
    if qpd is None:
        missing = ErrorLocation("QPD", code="101", text="QPD is missing")
        return WorkQuery("", "other", "", "", "", "", "", "", "", "", (missing,), query)
    name = qpd.get(1)
    kind, needed = _QUERY_KINDS.get(name, ("other", ()))
    if name == "INISEQ":
        kind, needed = ("WOS", (3,)) if given(qpd, 3) or not given(qpd, 4) else ("WOS_BY_RACK", (4, 5))
    problems = [
        ErrorLocation("QPD", 1, n, code="101", text=f"QPD-{n} is missing in {name}")
        for n in needed
        if not given(qpd, n)
    ]  # fmt: skip
    if kind == "other":
        problems.append(ErrorLocation("QPD", 1, 1, code="103", text=f"unknown query {name!r}"))
    return WorkQuery(
        tag=qpd.whole(2),
        kind=kind,
        container=given(qpd, 3),
        rack=given(qpd, 4),
        position=given(qpd, 5),
        tray=given(qpd, 6),
        tray_position=given(qpd, 7),
        location=given(qpd, 8),
        isolate=given(qpd, 9),
        material=given(qpd, 10) if name == "INISEQ" else "",
        problems=tuple(problems),
        message=query,
    )


def given(source: Segment, n: int) -> str:
    """The first component; empty for the null, which gives no tube either."""
    value = source.get(n).strip()
    return "" if is_null(value) else value


def query_response(
    query: WorkQuery, ok: bool, *, control_id: str, now: datetime, errors: Sequence[ErrorLocation] = ()
) -> bytes:
    """RSP^K11: the query was understood (QAK-2 OK, also where there is no work), or not (AE with ERR).

    errors: beside the query's own problems; used with ok=False. The work follows as OML^O33, after this (LAW-F.30).
    """
    request = query.message
    delimiters = request.delimiters.completed()
    qpd = request.first("QPD")
    problems = [] if ok else [*query.problems, *errors] or [ErrorLocation()]
    name = echo(qpd, 1) if qpd else None
    return answer_bytes(
        request,
        [
            answer_header(request, ("RSP", "K11", "RSP_K11"), control_id, now),
            segment("MSA", "AA" if ok else "AE", echo(request.msh, 10), delimiters=delimiters),
            *error_segments(problems, request.version, delimiters),
            segment("QAK", echo(qpd, 2) if qpd else None, "OK" if ok else "AE", name, delimiters=delimiters),
            *([echo_segment(qpd)] if qpd else []),
        ],
    )
