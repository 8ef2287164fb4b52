"""The form of a change of permissions: what was typed, as steps of a draft, and the draft in words."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any

from fastapi import Form

from lis_core.domain import errors
from lis_core.domain.errors import NumuneError
from lis_core.domain.permissions import EVERYTHING, P, Scope, ScopeKind
from lis_core.services.permission_admin import MOST_STEPS, Deed, Draft, Outcome, Step
from lis_core.services.permissions import Period, PersonChange, Subject
from lis_core.views.permission_words import PlaceNames
from lis_core.views.permissions import EntryLine, GroupLine, MemberLine

Text = Annotated[str, Form(max_length=300)]
Steps = Annotated[list[str], Form(max_length=MOST_STEPS)]


@dataclass(frozen=True, slots=True)
class Typed:
    """What the form says. yap: the button that was pressed, `what` or `what:number`."""

    yap: str
    adim: tuple[str, ...] = ()
    grup: str = ""
    uye: str = ""
    tezgah: tuple[str, ...] = ()
    yetki: str = ""
    kapsam: str = ""
    yasak: str = ""
    ilk: str = ""
    son: str = ""
    neden: str = ""
    muhur: str = ""

    @property
    def button(self) -> tuple[str, str]:
        name, _, number = self.yap.partition(":")
        return name, number


def typed(
    yap: Text = "",
    adim: Steps = [],  # noqa: B006 - never changed
    grup: Text = "",
    uye: Text = "",
    tezgah: Annotated[list[str], Form(max_length=100)] = [],  # noqa: B006
    yetki: Text = "",
    kapsam: Text = "",
    yasak: Text = "",
    ilk: Text = "",
    son: Text = "",
    neden: Text = "",
    muhur: Text = "",
) -> Typed:
    return Typed(yap, tuple(adim), grup, uye, tuple(tezgah), yetki, kapsam, yasak, ilk, son, neden, muhur)


def steps_of(form: Typed) -> tuple[Step, ...]:
    """The steps that the page carried, with what the button adds or drops. Raises BAD_PERMISSION_ENTRY."""
    steps = [step_from(text) for text in form.adim]
    name, number = form.button
    if name in ("kaydet", "bak"):
        return tuple(steps)
    if name == "cikar":
        place = _number(number)
        return tuple(step for index, step in enumerate(steps) if index != place)
    added = _new_step(form, name, number)
    return tuple(steps) if added in steps else (*steps, added)


def _new_step(form: Typed, name: str, number: str) -> Step:
    period = Period(_day(form.ilk, "ilk gün"), _day(form.son, "son gün"))
    period.check()
    match name:
        case "grup":
            return Step(Deed.JOIN, group_id=_number(form.grup, "grup seçin"), benches=form.tezgah, period=period)
        case "uye":
            return Step(Deed.ADMIT, member=_member(form.uye), benches=form.tezgah, period=period)
        case "yetki":
            deed = Deed.FORBID if form.yasak else Deed.GIVE
            return Step(deed, permission=_permission(form.yetki), scope=_scope(form.kapsam), period=period)
        case "uyelik-kaldir":
            return Step(Deed.PART, row_id=_number(number))
        case "kayit-kaldir":
            return Step(Deed.TAKE, row_id=_number(number))
        case "ac" | "kapat":
            return Step(Deed.OPEN if name == "ac" else Deed.CLOSE)
    raise _bad("ne yapılacağı anlaşılmadı")


def _bad(problem: str) -> NumuneError:
    return NumuneError(errors.BAD_PERMISSION_ENTRY, problem=problem)


def _number(text: str, problem: str = "kayıt numarası okunamadı") -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise _bad(problem)
    return int(text)


def _day(text: str, what: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise _bad(f"{what} tarih değil") from error


def _member(text: str) -> Subject:
    """`k12`: the user 12; `g5`: the group 5."""
    number = _number(text[1:], "kişi ya da grup seçin")
    if text[:1] not in ("k", "g"):
        raise _bad("kişi ya da grup seçin")
    return Subject(user_id=number) if text[0] == "k" else Subject(group_id=number)


def _permission(text: str) -> P:
    try:
        return P(text)
    except ValueError as error:
        raise _bad("yetki seçin") from error


def _scope(text: str) -> Scope:
    kind, _, value = text.partition(":")
    try:
        return Scope(ScopeKind(kind), value) if kind else EVERYTHING
    except ValueError as error:
        raise _bad("kapsam seçin") from error


# --- a step as the page carries it ---------------------------------------------------------------------------------


def step_text(step: Step) -> str:
    """A step for a hidden field; `step_from` reads it back."""
    member = step.member
    facts: dict[str, Any] = {
        "ne": step.deed.value,
        "grup": step.group_id,
        "uye": (f"k{member.user_id}" if member.user_id is not None else f"g{member.group_id}") if member else None,
        "kayit": step.row_id,
        "yetki": step.permission.value if step.permission else None,
        "kapsam": f"{step.scope.kind.value}:{step.scope.value}" if step.permission else None,
        "tezgah": list(step.benches) or None,
        "ilk": step.period.valid_from.isoformat() if step.period.valid_from else None,
        "son": step.period.valid_until.isoformat() if step.period.valid_until else None,
    }
    return json.dumps({name: value for name, value in facts.items() if value is not None}, ensure_ascii=False)


def step_from(text: str) -> Step:
    """Raises BAD_PERMISSION_ENTRY for anything that `step_text` does not write."""
    try:
        facts = json.loads(text)
        deed = Deed(facts["ne"])
        word = {name: str(facts.get(name, "")) for name in ("uye", "yetki", "kapsam", "ilk", "son")}
        benches = tuple(str(bench) for bench in facts.get("tezgah", ()))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise _bad("taslak okunamadı") from error
    return Step(
        deed,
        group_id=_number(str(facts["grup"])) if "grup" in facts else None,
        member=_member(word["uye"]) if word["uye"] else None,
        row_id=_number(str(facts["kayit"])) if "kayit" in facts else None,
        permission=_permission(word["yetki"]) if word["yetki"] else None,
        scope=_scope(word["kapsam"]),
        benches=benches,
        period=Period(_day(word["ilk"], "ilk gün"), _day(word["son"], "son gün")),
    )


# --- in words ------------------------------------------------------------------------------------------------------


def days_words(valid_from: date | None, valid_until: date | None) -> str:
    """ "01.12.2026 – 31.12.2026"; empty for always."""
    if valid_from is None and valid_until is None:
        return ""
    begin = f"{valid_from:%d.%m.%Y}" if valid_from else "hemen"
    return f"{begin} – {valid_until:%d.%m.%Y}" if valid_until else f"{begin} – süresiz"


@dataclass(frozen=True, slots=True)
class Known:
    """What the words of a draft need: names of people and groups, and the rows that the page shows."""

    names: PlaceNames
    groups: Sequence[GroupLine]
    people: Mapping[int, str]
    entries: Sequence[EntryLine]
    memberships: Sequence[MemberLine]

    def group(self, group_id: int | None) -> str:
        return next((one.name for one in self.groups if one.id == group_id), f"grup {group_id}")

    def step(self, step: Step) -> str:
        """One line of the draft."""
        days = days_words(step.period.valid_from, step.period.valid_until)
        benches = f"yalnız {self.names.benches_named(step.benches)}" if step.benches else ""
        more = "".join(f", {part}" for part in (benches, days) if part)
        match step.deed:
            case Deed.JOIN:
                return f"“{self.group(step.group_id)}” grubuna al{more}"
            case Deed.ADMIT:
                member = step.member
                who = self.people.get(member.user_id or 0, "?") if member and member.user_id else None
                return f"“{who or self.group(member.group_id if member else None)}” gruba üye olsun{more}"
            case Deed.PART:
                row = next((one for one in self.memberships if one.id == step.row_id), None)
                return f"“{row.member}”, “{row.group}” grubundan çıksın" if row else "üyelik kalksın"
            case Deed.GIVE | Deed.FORBID:
                said = "yasakla" if step.deed is Deed.FORBID else "ver"
                caption = step.permission.caption if step.permission else "?"
                return f"{caption} ({self.names.scope(step.scope)}): {said}{more}"
            case Deed.TAKE:
                return self._taken(step)
        return "Grup yeniden kullanılsın" if step.deed is Deed.OPEN else "Grup kapansın: kimseye yetki vermesin"

    def _taken(self, step: Step) -> str:
        row = next((one for one in self.entries if one.id == step.row_id), None)
        if row is None:
            return "kayıt kalksın"
        caption = row.permission.caption if row.permission else row.code
        return f"{caption} ({self.names.scope(row.scope)}): {'yasağı kaldır' if row.prohibits else 'kaldır'}"


@dataclass(frozen=True, slots=True)
class Line:
    """One difference of one person. sign: + gains, − loses, ± another reach."""

    sign: str
    caption: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class PersonLines:
    """What one person gains and loses, in words. tally: "3 yetki eklenecek, 1 yetki kalkacak"."""

    user_id: int
    full_name: str
    tally: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class DayLines:
    """The same for one day; `later`: the day is not today."""

    day: date
    later: bool
    people: tuple[PersonLines, ...]


@dataclass(frozen=True, slots=True)
class Shown:
    """A draft on the page: its steps with their words, and (unless it was refused) its differences."""

    steps: tuple[tuple[str, str], ...]
    days: tuple[DayLines, ...] = ()
    tally: str = ""
    outcome: Outcome | None = None
    reason: str = ""


def shown(draft: Draft, known: Known, outcome: Outcome | None, reason: str = "") -> Shown:
    """The draft for the page."""
    steps = tuple((step_text(step), known.step(step)) for step in draft.steps)
    if outcome is None:
        return Shown(steps, reason=reason)
    days = tuple(
        DayLines(day.day, place > 0, tuple(_person(one, known.names) for one in day.people))
        for place, day in enumerate(outcome.days)
    )
    return Shown(steps, days, _whole_tally(outcome), outcome, reason)


_SIGNS = {"kazanır": "+", "kaybeder": "−"}


def _person(one: PersonChange, names: PlaceNames) -> PersonLines:
    lines = [
        Line(
            _SIGNS.get(change.words, "±"),
            change.permission.caption,
            names.extent(change.before),
            names.extent(change.after),
        )
        for change in one.changes
    ]
    lines.sort(key=lambda line: "+±−".index(line.sign))
    return PersonLines(one.user_id, one.full_name, _tally([line.sign for line in lines]), tuple(lines))


def _tally(signs: Sequence[str]) -> str:
    words = (("+", "yetki eklenecek"), ("−", "yetki kalkacak"), ("±", "yetkinin kapsamı değişecek"))
    return ", ".join(f"{signs.count(sign)} {said}" for sign, said in words if sign in signs) or "değişen yetki yok"


def _whole_tally(outcome: Outcome) -> str:
    """One sentence for everybody: how many different permissions, and for whom."""
    sides = {(_SIGNS.get(one.words, "±"), one.permission) for person in outcome.people for one in person.changes}
    signs = [sign for sign, _ in sides]
    people = list(dict.fromkeys(person.full_name for person in outcome.people))
    if len(people) < 2:
        return _tally(signs)
    named = ", ".join(people[:4]) + (f" ve {len(people) - 4} kişi daha" if len(people) > 4 else "")
    return f"{_tally(signs)}; {len(people)} kişi: {named}"


__all__ = ["Known", "Shown", "Typed", "days_words", "shown", "step_from", "step_text", "steps_of", "typed"]
