"""Under which permissions each message of a hospital runs. A type that stands not here is not taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from lis_core.domain.permissions import P, program_rights
from lis_core.storage.database import Actor, program

_ORDERS = (P.ORDER_VIEW, P.ORDER_ENTER, P.ORDER_CHANGE, P.PATIENT_ENTER, P.PATIENT_CHANGE)

RIGHTS_OF_MESSAGE: Mapping[tuple[str, str], tuple[P, ...]] = MappingProxyType(
    {
        ("OML", "O21"): _ORDERS,
        ("ORM", "O01"): _ORDERS,
        ("ADT", "A08"): (P.PATIENT_CHANGE,),
        ("ADT", "A31"): (P.PATIENT_CHANGE,),
        ("ADT", "A40"): (P.PATIENT_CHANGE, P.PATIENT_ENTER),
    }
)
"""Message type and event -> what it may do here."""

BRIDGE = program("hbys", chain="hbys", may=(P.RESULT_VIEW, P.RESULT_VIEW_CONFIDENTIAL, P.MESSAGE_TAKE))
"""The bridge itself: keeps messages, reads what is released and sends it (9.7.8). It enters nothing by itself."""


def actor_of(kind: str, event: str, address: str) -> Actor:
    """The bridge with the rights of this message and no others; of an unknown type: none."""
    return replace(BRIDGE, rights=program_rights(*RIGHTS_OF_MESSAGE.get((kind, event), ())), address=address)
