"""What an attacker has: browsers of everybody, every address and every form of the application, a parser of pages."""

from __future__ import annotations

import json
import os
import re
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
from fastapi.routing import iter_route_contexts
from selectolax.lexbor import LexborHTMLParser

from tests.api.conftest import BASE, Clinic
from tests.conftest import DEMO_PASSWORD

PASSWORD = "Saldiri-Parolasi-41"
HTML = {"accept": "text/html"}
ENDLESS = {"/olay", "/cihazlar/hat/{line_id}/akis"}
"""Streams: their events have a test of their own."""
NO_PAGE = {"/static", "/api/openapi.json", "/metrics", "/healthz", "/readyz"}
LONG = float(os.environ.get("NUMUNE_FUZZ") or 0)
"""Seconds for the long form of the tests that throw things at addresses and forms; 0 = the suite's short one."""
MARK = "x-s"
"""The element that no page of ours has."""
URL_ATTRIBUTES = frozenset(
    [
        "href",
        "src",
        "action",
        "formaction",
        "poster",
        "data",
        "cite",
        "background",
        "xlink:href",
        "srcset",
        "ping",
        "manifest",
        "hx-get",
        "hx-post",
        "hx-put",
        "hx-patch",
        "hx-delete",
        "hx-push-url",
        "hx-replace-url",
    ]
)


@dataclass(frozen=True)
class FormOnPage:
    """A form (or a button that posts by itself) as it stands on a page: where it goes, what it sends."""

    action: str
    fields: tuple[tuple[str, str], ...]

    @property
    def names(self) -> frozenset[str]:
        return frozenset(name for name, _ in self.fields)


@dataclass
class Visitor:
    """Somebody signed in with a browser."""

    client: httpx.AsyncClient
    token: str = ""

    async def post(self, path: str, fields: Mapping[str, Any], **headers: str) -> httpx.Response:
        return await self.client.post(path, data=dict(fields), headers={**HTML, "x-form-token": self.token, **headers})


@dataclass
class Stage:
    """The laboratory behind its application, and who looks at it."""

    clinic: Clinic
    fills: dict[str, Any]
    visitors: dict[str, Visitor] = field(default_factory=dict)

    async def as_(self, username: str) -> Visitor:
        if username not in self.visitors:
            client = self.clinic.anonymous()
            password = PASSWORD if username == "hepsi" else DEMO_PASSWORD
            answer = await client.post("/giris", data={"kullanici": username, "parola": password})
            assert answer.status_code == 303, answer.text
            page = await client.get("/yardim")
            found = re.search(r'name="form-token" content="([^"]+)"', page.text)
            assert found, page.text
            self.visitors[username] = Visitor(client, found[1])
        return self.visitors[username]

    @cached_property
    def routes(self) -> list[Any]:
        return [route for route in iter_route_contexts(self.clinic.app.routes) if isinstance(route.path, str)]

    def patterns(self, method: str) -> list[str]:
        """Addresses of the application with their parameters by name."""
        found = [route.path for route in self.routes if method in (getattr(route, "methods", None) or ())]
        return sorted(set(found) - NO_PAGE - ENDLESS)

    def fill(self, pattern: str, **instead: Any) -> str:
        """The address of this laboratory's things; what it does not know is 1."""
        facts = {**self.fills, **instead}
        return re.sub(r"\{(\w+)\}", lambda found: quote(str(facts.get(found[1], 1)), safe=""), pattern)

    def pages(self) -> list[str]:
        """Every GET of the application, filled in, and the lists as people ask for them."""
        listed = [
            f"/istemler?ara={self.fills['number']}",
            "/istemler?ara=isil",
            "/denetim?ilk=&son=",
            "/denetim?islem=goruntuledi",
            "/cihazlar/genel?sorunlu=1",
            f"/istem/hasta?tc={self.fills.get('tc', '')}",
            f"/eslesmeyen/ara?metin={self.fills['number']}&id={self.fills['unmatched_id']}",
            "/eslesmeyen/ara?metin=isil",
            f"/okut?metin={self.fills['barcode']}",
            "/kisiler?kapali=true",
            "/kabul?is=alindi",
            f"/cihazlar/tanim?mesaj={self.fills['message_id']}",
            "/cihazlar/tanim-bilgisi?tanim=generic-astm",
            "/api/v1/results?every_run=true",
            "/api/v1/audit?limit=500",
            "/teknik-onay/toplu?sonuc=1",
        ]
        return [*(self.fill(pattern) for pattern in self.patterns("GET")), *listed]

    def questions(self) -> Iterator[tuple[str, list[str]]]:
        """Addresses that read a query, with its names."""
        for route in self.routes:
            if "GET" not in (getattr(route, "methods", None) or ()) or route.path in ENDLESS | NO_PAGE:
                continue
            names = sorted(_query_names(getattr(route, "dependant", None)))
            if names:
                yield self.fill(route.path), names

    async def read(self, usernames: Iterable[str]) -> AsyncIterator[tuple[str, str, httpx.Response]]:
        """Every page as each of these people gets it."""
        for username in usernames:
            visitor = await self.as_(username)
            for page in self.pages():
                yield username, page, await visitor.client.get(page, headers=HTML)

    async def forms(self, username: str) -> list[FormOnPage]:
        """Every form that stands on a page of this person, once for each action and set of fields."""
        found: dict[tuple[str, frozenset[str]], FormOnPage] = {}
        visitor = await self.as_(username)
        for page in self.pages():
            answer = await visitor.client.get(page, headers=HTML)
            if answer.headers.get("content-type", "").startswith("text/html"):
                for form in forms_of(answer.text, urlsplit(page).path):
                    key = re.sub(r"\d+", "1", form.action), form.names
                    found.setdefault(key, form)
        return list(found.values())


def _query_names(dependant: Any) -> set[str]:
    if dependant is None:
        return set()
    names = {field.alias for field in dependant.query_params}
    for inner in dependant.dependencies:
        names |= _query_names(inner)
    return names


def forms_of(html: str, page: str) -> Iterator[FormOnPage]:
    """Forms of a page; buttons inside that post elsewhere count as forms of their own."""
    tree = LexborHTMLParser(html)
    everywhere = {}
    for node in tree.css("input[form],select[form],textarea[form],button[form]"):
        everywhere.setdefault(node.attributes.get("form"), []).append(node)
    for form in tree.css("form"):
        inside = form.css("input[name],select[name],textarea[name],button[name]")
        inside += everywhere.get(form.attributes.get("id"), [])
        fields = tuple((node.attributes["name"] or "", _value(node)) for node in inside if node.attributes.get("name"))
        method = (form.attributes.get("method") or "get").lower()
        actions = {form.attributes.get("hx-post")}
        if method == "post":
            actions.add(form.attributes.get("action") or page)
        actions |= {button.attributes.get("hx-post") for button in form.css("button[hx-post]")}
        for action in sorted(one for one in actions if one):
            yield FormOnPage(action, fields)
    for button in tree.css("button[hx-post]"):
        vals = json.loads(button.attributes.get("hx-vals") or "{}")
        yield FormOnPage(button.attributes["hx-post"] or "", tuple((name, str(value)) for name, value in vals.items()))


def _value(node: Any) -> str:
    if node.tag == "select":
        chosen = node.css_first("option[selected]") or node.css_first("option")
        return (chosen.attributes.get("value") or chosen.text()) if chosen else ""
    return node.text() if node.tag == "textarea" else (node.attributes.get("value") or "")


# --- is it text, or is it markup? ----------------------------------------------------------------------------------

_PLAIN_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_.:-]*")
_SCHEME = re.compile(r"[\x00-\x20]*([a-zA-Z][a-zA-Z0-9+.-]*)[\x00-\x20]*:")


def faults(html: str) -> list[str]:
    """What in a page a browser would take for more than text. An HTML5 parser decides, as a browser does."""
    found: list[str] = []
    for node in LexborHTMLParser(html).root.traverse(include_text=False):
        tag = str(node.tag)
        if MARK in tag:
            found.append(f"element <{tag}>")
        if tag in ("script", "style") and (MARK in (node.text() or "") or not node.attributes.get("src")):
            found.append(f"<{tag}> of the page itself")
        if tag in ("base", "iframe", "object", "embed") or (tag == "meta" and node.attributes.get("http-equiv")):
            found.append(f"<{tag}>")
        for name, value in node.attributes.items():
            found += [f"{said} on <{tag}>" for said in _attribute_faults(name, value or "")]
    return found


def _attribute_faults(name: str, value: str) -> Iterator[str]:
    if not _PLAIN_NAME.fullmatch(name) or name == "onx":
        yield f"attribute {name!r}"
    if re.match(r"on[a-z]", name) or name.startswith(("hx-on", "hx-js", "style")):
        yield f"active attribute {name!r}"
    if name in URL_ATTRIBUTES:
        scheme = _SCHEME.match(value)
        if scheme or value.replace("\\", "/").lstrip("\t\n\r \x00").startswith("//"):
            yield f"{name}={value[:60]!r} leads away"
        if MARK in value and any(sign in value for sign in "\"'<> "):
            yield f"{name}={value[:60]!r} is not encoded"
    if name in ("hx-vals", "hx-headers", "hx-request"):
        try:
            json.loads(value)
        except ValueError:
            yield f"{name} is no JSON: {value[:60]!r}"


__all__ = ["BASE", "HTML", "LONG", "MARK", "FormOnPage", "Stage", "Visitor", "faults", "forms_of"]
