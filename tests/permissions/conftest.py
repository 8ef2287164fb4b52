"""What the stories of permissions need: people, groups, and the web interface over one database."""

from __future__ import annotations

from sqlalchemy import select

from lis_core.domain.permission_templates import Job
from lis_core.domain.permissions import EVERYTHING, P, Scope
from lis_core.services.permissions import Period, Subject, add_member, give, save_group
from lis_core.storage.database import Actor, Database
from lis_core.storage.tables import PermissionGroup, User
from tests.api.conftest import clinic  # noqa: F401 - the fixture of the web stories
from tests.services.steps import user


class House:
    """The administrator's desk."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def actor(self, username: str) -> Actor:
        return await user(self.database, username)

    async def person(self, username: str, *jobs: Job | str, **more: int) -> int:
        """A new user in these groups."""
        async with self.database.work(await self.actor("yonetici")) as work:
            row = User(username=username, given_name="Ek", family_name=username.title(), password_hash="!", **more)
            work.session.add(row)
            await work.session.flush()
            for job in jobs:
                await add_member(work, await self.group(job), Subject(user_id=row.id))
            return row.id

    async def group(self, code: str) -> int:
        async with self.database.reading() as session:
            found = await session.scalar(select(PermissionGroup.id).where(PermissionGroup.code == code))
        assert found is not None, code
        return found

    async def new_group(self, code: str, *permissions: P) -> int:
        async with self.database.work(await self.actor("yonetici")) as work:
            group_id = await save_group(work, code, code.title())
            for permission in permissions:
                await give(work, Subject(group_id=group_id), permission, EVERYTHING)
            return group_id

    async def put(self, group_id: int, member: Subject, *benches: str, period: Period = Period()) -> int:  # noqa: B008
        async with self.database.work(await self.actor("yonetici")) as work:
            return await add_member(work, group_id, member, benches, period)

    async def give(self, subject: Subject, permission: P, scope: Scope = EVERYTHING, *, prohibits: bool = False) -> int:
        async with self.database.work(await self.actor("yonetici")) as work:
            return await give(work, subject, permission, scope, prohibits=prohibits)
