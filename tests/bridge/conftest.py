"""A bridge on a real socket, a hospital that calls it, and words to tell stories with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from hbys_bridge.app import Bridge
from hbys_bridge.settings import BridgeSettings
from lis_core.storage.database import Database
from simulators.astm_session import Timing
from simulators.cable import TcpServer, tcp_client
from simulators.hospital import Hospital
from tests.bridge.kit import MllpClient

StartBridge = Callable[..., Awaitable[Bridge]]


@pytest.fixture
async def start(lab: Database) -> AsyncIterator[StartBridge]:
    """Starts bridges on free ports; whatever was started is stopped at the end."""
    async with AsyncExitStack() as stack:

        async def run(**wanted: object) -> Bridge:
            settings = BridgeSettings(**({"listen": "127.0.0.1:0", "answer_seconds": 0.5} | wanted))  # type: ignore[arg-type]
            bridge = Bridge(lab, settings)
            await bridge.start()
            stack.push_async_callback(bridge.stop)
            return bridge

        yield run


@pytest.fixture
async def bridge(start: StartBridge) -> Bridge:
    """A bridge that returns results on the hospital's own connection."""
    return await start()


@pytest.fixture
async def line(bridge: Bridge) -> AsyncIterator[MllpClient]:
    """A plain MLLP connection to the bridge."""
    async with MllpClient(bridge.port) as client:
        yield client


@pytest.fixture
async def hospital(bridge: Bridge) -> AsyncIterator[Hospital]:
    """The simulated hospital, on one connection for both directions."""
    async with Hospital(tcp_client("127.0.0.1", bridge.port), timing=Timing.hurried()) as hospital:
        yield hospital


@pytest.fixture
async def listener() -> TcpServer:
    """A free port of the hospital, where nobody listens yet."""
    server = TcpServer()
    await server.start()
    await server.close()
    return TcpServer(port=server.port)
