"""The database: Turkish names without Turkish letters (2.5.2), English in code, real types.

Each column's `comment` is the data dictionary's sentence. Where the national minimum data model (VEM 2.0) has a
table or column for the thing, its name is used in lower case; ids are `<table>_kodu` there and `bigint` here.
"""

from lis_core.storage.tables.accounts import (
    AccountSecurity,
    ApiClient,
    ClientToken,
    EmploymentStatus,
    ForeignIdentity,
    KnownDevice,
    OldPassword,
    PendingProof,
    RecoveryCode,
    SecurityKey,
    SupportGrant,
)
from lis_core.storage.tables.base import Base
from lis_core.storage.tables.catalog import Material, PanelMember, Range, Test, TubeType, WorkGroup
from lis_core.storage.tables.gateways import ChangedSheet, EdgeGateway
from lis_core.storage.tables.instruments import (
    Connection,
    Instrument,
    InstrumentTest,
    LineState,
    LoadedOrder,
    LoadedTube,
    RawMessage,
)
from lis_core.storage.tables.law import ResultLot, ResultNote, WorkMessage, WorkStep
from lis_core.storage.tables.lines import LineEvent, LineTraffic, LineTrial, LineWatch
from lis_core.storage.tables.online import AccessSlip, OnlineRefusal, OnlineRule, PatientVisit
from lis_core.storage.tables.orders import CustodyEvent, Order, OrderedTest, Scannable, Tube
from lis_core.storage.tables.people import (
    ApiToken,
    Institution,
    LoginFailure,
    Patient,
    Physician,
    Unit,
    User,
    WebSession,
)
from lis_core.storage.tables.permissions import GroupMember, PermissionEntry, PermissionGroup, PhysicianUnit
from lis_core.storage.tables.privacy import AuditMark, EmergencyAccess, HiddenPatient, RetentionRule
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
from lis_core.storage.tables.watch import DirectChange

__all__ = [
    "AccessSlip",
    "AccountSecurity",
    "ApiClient",
    "ApiToken",
    "Approval",
    "AuditEntry",
    "AuditHead",
    "AuditMark",
    "BarcodeRange",
    "Base",
    "ChangedSheet",
    "ClientToken",
    "Connection",
    "ControlMeasurement",
    "CustodyEvent",
    "DirectChange",
    "EdgeGateway",
    "EmergencyAccess",
    "EmploymentStatus",
    "ForeignIdentity",
    "GroupMember",
    "HiddenPatient",
    "HospitalMessage",
    "Institution",
    "Instrument",
    "InstrumentTest",
    "KnownDevice",
    "LineEvent",
    "LineState",
    "LineTraffic",
    "LineTrial",
    "LineWatch",
    "LoadedOrder",
    "LoadedTube",
    "LoginFailure",
    "Material",
    "Notice",
    "OldPassword",
    "OnlineRefusal",
    "OnlineRule",
    "Order",
    "OrderedTest",
    "OutboxEntry",
    "PanelMember",
    "Parameter",
    "Patient",
    "PatientVisit",
    "PendingProof",
    "PermissionEntry",
    "PermissionGroup",
    "Physician",
    "PhysicianUnit",
    "Range",
    "RawMessage",
    "RecoveryCode",
    "Result",
    "ResultLot",
    "ResultNote",
    "RetentionRule",
    "Scannable",
    "SecurityKey",
    "SupportGrant",
    "Test",
    "Tube",
    "TubeType",
    "Unit",
    "UnmatchedResult",
    "User",
    "WebSession",
    "WorkGroup",
    "WorkMessage",
    "WorkStep",
]
