"""A meter on a ward calls: what the host says to it, and in which order (CLSI POCT01-A2, basic profile, continuous mode)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.protocols.poct1a import Operator, Patient
from drivers.protocols.poct1a_words import Asked, Ended, Poct1aOptions, State
from drivers.protocols.text_link import BlockReceived, BlockRefused, Note, SendFailed, Why
from tests.poct1a.kit import Talk, document, end_of_topic, hello, result, status, yes


def notes(talk: Talk) -> list[str]:
    return [event.what for event in talk.named(Note)]


def greeted(talk: Talk, *, observations: int = 0, events: int = 0, **said: str) -> list[str]:
    assert talk.hears(hello(**said)) == ["ACK AA 1"]  # type: ignore[arg-type]
    return talk.hears(status(observations=observations, events=events))


def in_continuous_mode(talk: Talk) -> None:
    assert greeted(talk, can="START_CONTINUOUS") == ["ACK AA 2", "DTV START_CONTINUOUS"]
    assert talk.hears(yes(3, talk.last_id)) == []
    assert talk.link.state is State.CONTINUOUS


# ---- the basic profile


def test_results_and_events_are_fetched_then_the_clock_is_set_and_continuous_mode_begins() -> None:
    talk = Talk()

    assert greeted(talk, observations=2, events=1) == ["ACK AA 2", "REQ ROBS"]
    assert talk.hears(result(3)) == ["ACK AA 3"]
    assert talk.hears(result(4, "9.1")) == ["ACK AA 4"]
    assert talk.hears(end_of_topic(5)) == ["ACK AA 5", "REQ RDEV"]
    assert talk.hears(document("EVS.R01", 6, '<EVT><EVT.description V="x"/></EVT>')) == ["ACK AA 6"]
    assert talk.hears(end_of_topic(7, "D_EV")) == ["ACK AA 7", "DTV SET_TIME 2026-01-01T12:00:00+03:00"]
    assert talk.hears(yes(8, talk.last_id)) == ["DTV START_CONTINUOUS"]
    assert talk.hears(yes(9, talk.last_id)) == []
    assert talk.link.state is State.CONTINUOUS and not talk.named(SendFailed)


def test_a_device_without_continuous_mode_is_let_go_when_all_is_said() -> None:
    talk = Talk()

    assert greeted(talk, observations=1, can="") == ["ACK AA 2", "REQ ROBS"]
    talk.hears(result(3))
    assert talk.hears(end_of_topic(4)) == ["ACK AA 4", "END NRM"]
    assert talk.hears(yes(5, talk.last_id)) == []
    assert talk.named(Ended) == [Ended("all said")]


def test_a_device_that_does_not_count_is_asked_all_the_same() -> None:
    talk = Talk()
    talk.hears(hello())
    assert talk.hears(document("DST.R01", 2, '<DST><DST.condition_cd V="R"/></DST>')) == ["ACK AA 2", "REQ ROBS"]


def test_a_request_may_be_acknowledged_before_it_is_answered() -> None:
    talk = Talk()
    greeted(talk, observations=1)
    assert talk.hears(yes(3, talk.last_id)) == []
    assert talk.hears(result(4)) == ["ACK AA 4"]
    assert talk.hears(end_of_topic(5))[0] == "ACK AA 5"


def test_the_line_may_be_set_up_otherwise() -> None:
    talk = Talk(continuous=False, set_time=False, events=False, end=False, ack_end_of_topic=False, ack_id="control_id")

    talk.hears(hello())
    assert b'<ACK.control_id V="1"/>' in talk.raw
    assert talk.hears(status(observations=1, events=5)) == ["ACK AA 2", "REQ ROBS"]
    talk.hears(result(3))
    assert talk.hears(end_of_topic(4)) == []
    assert talk.link.deadline() is None, "nothing is asked any more and nobody is waited for"


@pytest.mark.parametrize("wrong", [{"framing": "stx"}, {"ack_id": "x"}, {"max_message": 5}, {"overdue": -1.0}])
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        Poct1aOptions(**wrong)  # type: ignore[arg-type]


def test_the_host_answers_in_the_framing_of_the_device() -> None:
    talk = Talk()
    talk.hears(b"\x0b" + hello() + b"\x1c\r")
    assert talk.raw.startswith(b"\x0b<?xml") and talk.raw.endswith(b"</ACK.R01>\x1c\r")
    talk.hears(status())
    assert talk.raw.startswith(b"<?xml")


def test_two_messages_of_ours_never_leave_together() -> None:
    """A simple device takes what one read brings for one document."""
    talk = Talk(turnaround=0.05)
    assert greeted(talk, observations=1) == ["ACK AA 2"]
    assert talk.waits(0.06) == ["REQ ROBS"]


def test_a_device_that_stays_on_the_line_is_asked_again_when_it_has_something_new() -> None:
    talk = Talk(end=False)
    assert greeted(talk, can="") == ["ACK AA 2"]
    assert talk.hears(status(3)) == ["ACK AA 3"]
    assert talk.hears(status(4, observations=1)) == ["ACK AA 4", "REQ ROBS"]
    assert talk.hears(status(5, observations=1)) == ["ACK AA 5"], "it is being asked"
    talk.hears(result(6))
    assert talk.hears(end_of_topic(7)) == ["ACK AA 7"]


# ---- nothing is acknowledged before it is stored


def test_without_the_disk_there_is_no_answer_and_the_repetition_is_taken() -> None:
    talk = Talk()
    greeted(talk, observations=1)

    assert talk.hears(result(3), store=False) == []
    assert talk.hears(result(3)) == ["ACK AA 3"]
    assert len(talk.named(BlockReceived)) == 2 and "block repeated" not in notes(talk)


def test_what_follows_waits_until_the_result_before_it_is_stored() -> None:
    talk = Talk()
    greeted(talk, observations=2)
    events = talk.link.receive_data(result(3) + result(4) + end_of_topic(5), talk.now)

    assert len(events) == 1 and talk.link.data_to_send() == b""
    (second,) = talk.link.stored(talk.now)
    assert talk.said() == ["ACK AA 3"] and isinstance(second, BlockReceived)
    talk.link.stored(talk.now)
    assert talk.said()[:2] == ["ACK AA 4", "ACK AA 5"]


def test_our_acknowledgement_was_lost_and_the_result_comes_again() -> None:
    """Acknowledged again, stored once. In a new conversation it is stored again: the database knows it by its content."""
    talk = Talk()
    greeted(talk, observations=1)
    talk.hears(result(3))
    assert talk.hears(result(3)) == ["ACK AA 3"] and "block repeated" in notes(talk)
    assert len(talk.named(BlockReceived)) == 1
    talk.hears(hello(10))
    assert talk.hears(result(3)) == ["ACK AA 3"] and len(talk.named(BlockReceived)) == 2


@pytest.mark.parametrize(
    "strange", [document("NOVA.X", 8, "<A/>"), result(8).replace(b"<ORD>", b"<ORD")[:-10] + b"</OBS.R01>"]
)
def test_what_nobody_can_read_is_kept_and_answered_so(strange: bytes) -> None:
    talk = Talk()
    in_continuous_mode(talk)
    said = talk.hears(strange)

    if talk.named(BlockReceived):
        assert said == [f"ACK AE 8 {said[0][9:]}"] and talk.named(BlockReceived)[0].raw == strange
    else:  # its tags do not come out even: no end was found
        assert talk.waits(31) == [] and talk.named(BlockRefused)


def test_a_document_with_an_unknown_entity_is_kept_and_refused() -> None:
    talk = Talk()
    in_continuous_mode(talk)
    assert talk.hears(result(9).replace(b"5.4", b"&x;"))[0].startswith("ACK AE 9 document is not well-formed")


# ---- continuous mode


def test_results_come_as_they_are_measured() -> None:
    talk = Talk()
    in_continuous_mode(talk)

    assert talk.hears(status(4, observations=1)) == ["ACK AA 4"]
    assert talk.hears(result(5)) == ["ACK AA 5"]
    assert talk.waits(60) == []


def test_announced_results_that_do_not_come_are_asked_for() -> None:
    talk = Talk(overdue=10.0)
    in_continuous_mode(talk)
    talk.hears(status(4, observations=2))

    assert talk.waits(9) == [] and talk.waits(2) == ["REQ ROBS"]


def test_a_device_that_is_gone_is_noticed() -> None:
    talk = Talk(keep_alive=120.0)
    in_continuous_mode(talk)

    assert talk.waits(121) == ["KPA"]
    talk.hears(yes(5, talk.last_id))
    assert talk.waits(119) == [] and talk.waits(2) == ["KPA"]
    talk.waits(61)
    assert talk.named(Ended) == [Ended("device gone")]


def test_its_own_keep_alive_is_answered() -> None:
    talk = Talk()
    in_continuous_mode(talk)
    assert talk.hears(document("KPA.R01", 6)) == ["ACK AA 6"]


def test_the_device_ends_the_conversation() -> None:
    talk = Talk()
    in_continuous_mode(talk)
    assert talk.hears(document("END.R01", 6, '<TRM><TRM.reason_cd V="USR"/></TRM>')) == ["ACK AA 6"]
    assert talk.named(Ended) == [Ended("device USR")] and talk.link.deadline() is None


def test_a_new_hello_begins_anew() -> None:
    talk = Talk()
    greeted(talk, observations=3)
    assert talk.hears(hello(20)) == ["ACK AA 20"] and "conversation begun anew" in notes(talk)
    assert talk.hears(status(21, observations=3)) == ["ACK AA 21", "REQ ROBS"]


def test_nothing_of_the_old_conversation_is_due_in_the_new_one() -> None:
    talk = Talk(keep_alive=5.0, overdue=5.0)
    in_continuous_mode(talk)
    talk.hears(status(4, observations=1))
    talk.hears(hello(20))
    assert talk.waits(20) == []


# ---- refusals and silence


@pytest.mark.parametrize("escaped", [True, False])
def test_a_refused_directive_stops_nothing(escaped: bool) -> None:
    talk = Talk()
    assert greeted(talk) == ["ACK AA 2", "DTV SET_TIME 2026-01-01T12:00:00+03:00"]
    said = f'<ESC><ESC.esc_control_id V="{talk.last_id}"/><ESC.detail_cd V="OTH"/></ESC>'
    refusal = document("ESC.R01", 3, said) if escaped else yes(3, talk.last_id, "AE")

    assert talk.hears(refusal) == ["DTV START_CONTINUOUS"]
    assert any(one.startswith("refused: time") for one in notes(talk))


def test_silence_after_a_request_is_told_and_the_rest_goes_on() -> None:
    talk = Talk()
    greeted(talk, observations=1, seconds="20", can="START_CONTINUOUS")

    assert talk.waits(19) == [] and talk.waits(2) == ["DTV START_CONTINUOUS"]
    assert talk.named(SendFailed) == [SendFailed("observations", Why.NO_REPLY)]
    assert talk.hears(result(9)) == ["ACK AA 9"], "late results are results"


@pytest.mark.parametrize(("said", "limit"), [("1", 5.0), ("9999", 600.0), ("", 60.0), ("x", 60.0)])
def test_a_devices_own_time_limit_is_believed_within_reason(said: str, limit: float) -> None:
    talk = Talk()
    greeted(talk, observations=1, seconds=said)
    assert talk.link.deadline() == talk.now + limit


def test_a_device_that_falls_silent_in_a_document_is_told_and_may_begin_again() -> None:
    talk = Talk()
    in_continuous_mode(talk)
    talk.hears(result(5)[:50])
    talk.waits(31)

    assert [event.why for event in talk.named(BlockRefused)] == [Why.SILENCE]
    assert talk.hears(result(5)) == ["ACK AA 5"]


def test_an_acknowledgement_of_something_else_is_none() -> None:
    talk = Talk()
    greeted(talk)
    assert talk.hears(yes(3, "4711")) == [] and "acknowledgement of nothing" in notes(talk)
    assert talk.link.state is State.TALKING


def test_results_out_of_turn_are_results() -> None:
    talk = Talk()
    assert talk.hears(result(1)) == ["ACK AA 1"] and "out of turn: OBS.R01" in notes(talk)


def test_a_lost_connection_ends_everything() -> None:
    talk = Talk()
    greeted(talk, observations=1)
    talk.hears(result(5)[:40])
    lost = talk.link.connection_lost(talk.now)

    assert [type(event) for event in lost][:2] == [BlockRefused, SendFailed]
    assert talk.link.deadline() is None and talk.link.data_to_send() == b""


# ---- lists


OPERATORS = [Operator(f"50{number:02}", f"Hemşire {number}", "1") for number in range(20)]


def test_a_device_that_takes_operators_gets_the_whole_list_and_its_end() -> None:
    talk = Talk(OPERATORS[:2])
    first = greeted(talk, can="", topics="OP_LST")

    assert first == ["ACK AA 2", "OPL 5000 Hemşire 0 ALL 1 5001 Hemşire 1 ALL 1"]
    assert talk.hears(yes(3, talk.last_id)) == ["EOT OPL 2026-01-01T12:00:00+03:00"]
    assert talk.hears(yes(4, talk.last_id)) == ["END NRM"]


def test_a_list_is_cut_to_what_the_device_can_take() -> None:
    talk = Talk(OPERATORS)
    small = hello(topics="OP_LST", can="").replace(b"</DSC>", b'<DSC.max_message_sz V="800"/></DSC>')
    talk.hears(small)
    talk.hears(status())
    sizes, names = [], []
    for number in range(3, 60):
        if b"<OPL.R01>" not in talk.raw:
            break
        sizes.append(len(talk.raw[talk.raw.rindex(b"<?xml") :]))
        names += talk.raw.decode().split('OPR.operator_id V="')[1:]
        talk.hears(yes(number, talk.last_id))
    assert len(sizes) > 3 and max(sizes) <= 800
    assert [name[:4] for name in names] == [one.identifier for one in OPERATORS]


def test_who_takes_no_list_gets_none_and_a_refused_list_is_given_up() -> None:
    assert greeted(Talk(OPERATORS), can="", topics="D_EV") == ["ACK AA 2", "END NRM"]
    talk = Talk(OPERATORS)
    greeted(talk, can="", topics="OPL")
    assert talk.hears(yes(3, talk.last_id, "AE")) == ["END NRM"]


def asks(number: int) -> bytes:
    return document("REQ.R01", number, '<REQ><REQ.request_cd V="RPAT"/><PT><PT.patient_id V="26000145"/></PT></REQ>')


def test_to_whom_a_number_belongs() -> None:
    talk = Talk(patients=True)
    in_continuous_mode(talk)
    assert talk.hears(asks(7)) == []
    (asked,) = talk.named(Asked)
    assert asked == Asked("7", "26000145")

    talk.link.patients(asked, [Patient("26000145", "YILMAZ", "AYŞE", "19800102", "F")], talk.now)
    assert talk.said() == ["PTL 26000145 AYŞE YILMAZ AYŞE YILMAZ 1980-01-02 F"]
    assert talk.hears(yes(8, talk.last_id)) == [] and not talk.named(SendFailed)
    talk.hears(asks(9))
    talk.link.patients(talk.named(Asked)[1], [], talk.now)
    assert talk.said() == ["PTL"]


@pytest.mark.parametrize("patients", [True, False])
def test_a_question_that_is_not_answered_is_escaped(patients: bool) -> None:
    talk = Talk(patients=patients)
    in_continuous_mode(talk)
    said = talk.hears(document("REQ.R01", 7, '<REQ><REQ.request_cd V="RLOC"/></REQ>') if patients else asks(7))
    assert said == ["ESC 7 OTH not supported"]


# ---- whatever comes


WORDS = [
    hello(), hello(2, can=""), status(), status(3, 4, 5), result(4), end_of_topic(5), yes(6, "1"), yes(7, "2", "AE"),
    document("KPA.R01", 8), document("END.R01", 9), document("ESC.R01", 10), document("REQ.R01", 11), document("XXX.R01", 12),
    result(13)[:30], b"\xff<", b"<a>",
]  # fmt: skip


@given(st.lists(st.one_of(st.sampled_from(WORDS), st.floats(0, 200))))
@settings(max_examples=150)
def test_every_state_meets_everything(story: list[bytes | float]) -> None:
    """No order of messages and silences raises; whatever was stored was answered, in order."""
    talk = Talk(OPERATORS[:1], patients=True)
    for one in story:
        if isinstance(one, bytes):
            talk.hears(one)
        else:
            talk.waits(one)
    talk.link.connection_lost(talk.now)
    assert talk.link.deadline() is None
