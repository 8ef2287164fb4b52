"""The database: Turkish names without Turkish letters (2.5.2), English in code, real types.

Each column's `comment` is the data dictionary's sentence. Where the national minimum data model (VEM 2.0) has a
table or column for the thing, its name is used in lower case; ids are `<table>_kodu` there and `bigint` here.
"""

from lis_core.storage.tables.base import Base
from lis_core.storage.tables.catalog import Material, PanelMember, Range, Test, TubeType, WorkGroup
from lis_core.storage.tables.instruments import (
    Connection,
    Instrument,
    InstrumentTest,
    LineState,
    RawMessage,
)
from lis_core.storage.tables.orders import CustodyEvent, Order, OrderedTest, Scannable, Tube
from lis_core.storage.tables.people import (
    ApiToken,
    Institution,
    LoginFailure,
    Patient,
    Physician,
    Unit,
    User,
    UserRole,
    WebSession,
)
from lis_core.storage.tables.results import Approval, ControlMeasurement, Result, UnmatchedResult
from lis_core.storage.tables.system import (
    AuditEntry,
    AuditHead,
    BarcodeRange,
    HospitalMessage,
    Notice,
    OutboxEntry,
    Parameter,
)

__all__ = [
    "ApiToken",
    "Approval",
    "AuditEntry",
    "AuditHead",
    "BarcodeRange",
    "Base",
    "Connection",
    "ControlMeasurement",
    "CustodyEvent",
    "HospitalMessage",
    "Institution",
    "Instrument",
    "InstrumentTest",
    "LineState",
    "LoginFailure",
    "Material",
    "Notice",
    "Order",
    "OrderedTest",
    "OutboxEntry",
    "PanelMember",
    "Parameter",
    "Patient",
    "Physician",
    "Range",
    "RawMessage",
    "Result",
    "Scannable",
    "Test",
    "Tube",
    "TubeType",
    "Unit",
    "UnmatchedResult",
    "User",
    "UserRole",
    "WebSession",
    "WorkGroup",
]
