"""IHE LAW (Laboratory Analytical Workflow) messages of an analyzer manager, and the older query of blood counters.

Message layer only: what a message says, and bytes for what is to be said. Sources: IHE LAW supplement 2015, restated in
the project's LAW facts (assertion ids LAB27-..., LAB28-..., LAW-F...), and captures.

- LAB-27 (`law_query`): `read_work_query` reads QBP^Q11, `query_response` writes RSP^K11 ("understood", nothing more).
- LAB-28 (`law_work`): `work_order` and `no_work` write OML^O33, `read_work_response` reads ORL^O34.
- LAB-29 (`law_results`): `read_report` reads OUL^R22; its content goes through a definition, answered by `law_check`.
- `orm_query`: ORM^O01 as a query, `read_orm_query` and `orm_response` (ORR^O02).
"""

from drivers.protocols.law_check import Verdict, check_report, check_request
from drivers.protocols.law_query import QueryKind, WorkQuery, given, query_response, read_work_query
from drivers.protocols.law_results import Lot, Observed, OrderReport, Report, SpecimenReport, read_report
from drivers.protocols.law_work import (
    AWOS_ID_LENGTH,
    CONTROL,
    PATIENT,
    POOL,
    Code,
    Container,
    Envelope,
    Patient,
    PriorResult,
    WorkAnswer,
    WorkStep,
    no_work,
    read_work_response,
    work_order,
)
from drivers.protocols.orm_query import OrmQuery, OrmSetting, OrmWork, orm_response, read_orm_query

__all__ = [
    "AWOS_ID_LENGTH",
    "CONTROL",
    "PATIENT",
    "POOL",
    "Code",
    "Container",
    "Envelope",
    "Lot",
    "Observed",
    "OrderReport",
    "OrmQuery",
    "OrmSetting",
    "OrmWork",
    "Patient",
    "PriorResult",
    "QueryKind",
    "Report",
    "SpecimenReport",
    "Verdict",
    "WorkAnswer",
    "WorkQuery",
    "WorkStep",
    "check_report",
    "check_request",
    "given",
    "no_work",
    "orm_response",
    "query_response",
    "read_orm_query",
    "read_report",
    "read_work_query",
    "read_work_response",
    "work_order",
]
