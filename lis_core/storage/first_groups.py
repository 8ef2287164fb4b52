"""The first permission groups of a new database, from `lis_core.domain.permission_templates`."""

from __future__ import annotations

from sqlalchemy import Connection, insert

from lis_core.domain.permission_templates import TEMPLATES
from lis_core.storage.tables import GroupMember, PermissionEntry, PermissionGroup


def insert_first_groups(connection: Connection) -> None:
    """Each template with its entries, and which of them is inside which. Given by the program."""
    ids: dict[str, int] = {}
    for template in TEMPLATES:
        ids[template.code] = connection.execute(
            insert(PermissionGroup)
            .values(code=template.code.value, name=template.caption, description=template.description)
            .returning(PermissionGroup.id)
        ).scalar_one()
    connection.execute(
        insert(PermissionEntry),
        [
            {
                "yetki_grubu_kodu": ids[template.code],
                "yetki": permission.value,
                "kapsam_turu": scope.kind,
                "kapsam_degeri": scope.value,
            }
            for template in TEMPLATES
            for permission, scopes in template.grants
            for scope in scopes
        ],
    )
    connection.execute(
        insert(GroupMember),
        [
            {"yetki_grubu_kodu": ids[template.inside], "uye_grup_kodu": ids[template.code]}
            for template in TEMPLATES
            if template.inside is not None
        ],
    )
