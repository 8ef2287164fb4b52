"""The whole laboratory, to be attacked."""

from tests.gateway.conftest import catalog
from tests.stories.conftest import laboratory

__all__ = ["catalog", "laboratory"]
