"""Answers that come in pages: the body is the list, the next page's address is in the `Link` header (RFC 8288)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from fastapi import Request, Response

from lis_core.views.pages import Page

Row = TypeVar("Row")


def answer_page(request: Request, response: Response, page: Page[Row]) -> Sequence[Row]:
    """The rows; `Link` and `X-Next-Cursor` are set where more follow."""
    if page.next is not None:
        address = request.url.include_query_params(cursor=page.next)
        response.headers["Link"] = f'<{address.path}?{address.query}>; rel="next"'
        response.headers["X-Next-Cursor"] = page.next
    return page.rows
