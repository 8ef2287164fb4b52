"""What needs no running program: rules of a static checker, versions of what we stand on, and that no attack is missing."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ["api", "lis_core", "drivers", "hbys_bridge", "rules", "qc", "barcode", "simulators"]

KNOWN: dict[tuple[str, str], str] = {
    ("api/live.py", "S311"): "spreads the ends of streams; no secret",
    ("api/rest/auth.py", "S105"): "the word `bearer`",
    ("api/screens/orders.py", "S704"): "SVG of a label, every text of it escaped (tests/attacks/test_markup.py)",
    ("api/screens/steps.py", "S704"): "SVG of a QR code, made of modules only",
    ("drivers/places.py", "S102"): "code of checked numbers and names (tests/attacks/test_injection.py)",
    ("drivers/protocols/hl7_read.py", "S102"): "code of numbers only",
    ("drivers/reading_text.py", "S314"): "document types and entities are refused before parsing (test_bombs.py)",
    ("lis_core/backup_cli.py", "S603"): "pg_dump and pg_restore with a list of arguments, no shell",
    ("lis_core/cli.py", "S603"): "pg_dump and pg_restore with a list of arguments, no shell",
    ("lis_core/cli.py", "S608"): "table names out of our own metadata",
    ("lis_core/demo.py", "S106"): "the digest of no password",
    ("lis_core/services/anonymise.py", "S608"): "table and column names out of our own metadata",
    ("lis_core/services/gateways.py", "S608"): "the clock's expression, a constant of the same module",
    ("lis_core/services/line_watch.py", "S608"): "names out of a list in the same function",
    ("lis_core/services/retention.py", "S608"): "tables and conditions out of a list in the same module",
    ("lis_core/services/sessions.py", "S105"): "the word for a way to sign in",
    ("simulators/fleet.py", "S311"): "invented values",
    ("simulators/measuring.py", "S311"): "invented values",
    ("simulators/people.py", "S311"): "invented people",
    ("simulators/physiology.py", "S311"): "invented values",
}
"""Findings of the security rules that were looked at, and why they stand. A new one fails until somebody looks."""


def test_every_finding_of_the_security_rules_was_looked_at() -> None:
    ruff = Path(sys.executable).with_name("ruff")
    done = subprocess.run(
        [ruff, "check", "--select", "S", "--ignore", "S101", "--output-format", "json", "--no-cache", *PACKAGES],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = {
        (Path(one["filename"]).relative_to(ROOT).as_posix(), one["code"]): one["message"]
        for one in json.loads(done.stdout)
    }
    assert {place: said for place, said in found.items() if place not in KNOWN} == {}


def locked() -> dict[str, str]:
    """Every package that is installed, from both locks."""
    found: dict[str, str] = {}
    for lock in ("requirements.lock", "requirements-test.lock"):
        for line in (ROOT / lock).read_text(encoding="utf-8").splitlines():
            if named := re.match(r"([A-Za-z0-9._-]+)==([0-9][0-9.]*)", line):
                found[re.sub(r"[-_.]+", "-", named[1]).lower()] = named[2]
    return found


def version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text))


def test_nothing_is_locked_to_a_version_with_an_advisory_that_we_know() -> None:
    """Offline; `make audit` asks an advisory service where the network allows it."""
    packages, wrong = locked(), []
    assert len(packages) > 40
    for line in (ROOT / "docs" / "guvenlik" / "bilinen-aciklar.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        name, fixed, advisory, about = line.split("\t")
        assert advisory.startswith("CVE-") and about, line
        if name in packages and version(packages[name]) < version(fixed):
            wrong.append((name, packages[name], fixed, advisory))
    assert wrong == []


def test_every_dependency_is_locked_to_one_version_and_its_files_to_their_hashes() -> None:
    for lock in ("requirements.lock", "requirements-test.lock"):
        lines = (ROOT / lock).read_text(encoding="utf-8").splitlines()
        for line, following in zip(lines, [*lines[1:], ""], strict=True):
            if line.strip() and not line.lstrip().startswith(("#", "-", "--hash")):
                assert re.match(r"[A-Za-z0-9._\[\]-]+==[^*\s]+", line), line
                assert re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}( \\)?", following), line
        assert f"--require-hashes -r {lock}" in (ROOT / "Makefile").read_text(encoding="utf-8")


# --- which attack is tried where -----------------------------------------------------------------------------------

REGISTER: dict[str, list[str]] = {
    "another laboratory's result by a guessed id": [
        "tests/attacks/test_tampering.py::test_guessed_ids_show_an_outsider_nothing_of_anybody",
        "tests/permissions/test_matrix.py::test_foreign_bench",
        "tests/permissions/test_matrix.py::test_foreign_unit_and_patient",
    ],
    "parameter tampering": [
        "tests/attacks/test_tampering.py::test_mass_assignment_a_field_that_a_call_does_not_know_is_refused",
        "tests/attacks/test_tampering.py::test_ids_swapped_in_a_form_decide_about_no_other_patient",
        "tests/attacks/test_tampering.py::test_hidden_fields_of_an_account_form_give_nothing",
        "tests/attacks/test_tampering.py::test_rows_of_other_people_are_not_reached_through_ones_own_page",
    ],
    "forged tokens": [
        "tests/accounts/test_clients.py::test_forged_tokens",
        "tests/accounts/test_sign_on.py::test_a_forged_id_token_is_refused",
    ],
    "replayed tokens": [
        "tests/accounts/test_clients.py::test_a_replayed_token_after_its_end_and_after_its_revocation",
        "tests/accounts/test_clients.py::test_rotation_leaves_the_old_token_alive_for_a_while",
        "tests/accounts/test_second_factor.py::test_a_code_is_taken_once",
        "tests/accounts/test_security_keys.py::test_a_replayed_signature_is_refused",
        "tests/accounts/test_sign_on.py::test_an_answer_is_good_once",
        "tests/api/test_auth.py::test_signing_out_ends_the_session_everywhere",
    ],
    "session fixation": ["tests/accounts/test_sessions.py::test_session_fixation_a_planted_cookie_is_never_taken_over"],
    "CSRF": [
        "tests/attacks/test_requests.py::test_csrf_every_unsafe_address_asks_for_the_pages_own_token",
        "tests/attacks/test_requests.py::test_csrf_a_form_in_json_or_plain_text_brings_no_token_either",
        "tests/api/test_auth.py::test_a_form_of_another_site_cannot_sign_anybody_in",
    ],
    "stored XSS": [
        "tests/attacks/test_markup.py::test_stored_text_is_text_on_every_page_for_everybody",
        "tests/attacks/test_markup.py::test_live_bytes_of_a_line_are_text_in_the_row_that_a_browser_inserts",
    ],
    "reflected XSS": [
        "tests/attacks/test_requests.py::test_what_is_asked_is_text_in_the_answer",
        "tests/attacks/test_requests.py::test_what_stands_in_the_address_is_text_in_the_answer",
        "tests/attacks/test_requests.py::test_every_form_takes_hostile_text_as_text",
    ],
    "SQL injection": ["tests/attacks/test_requests.py::test_no_question_is_part_of_a_statement"],
    "injection into rules and definitions": [
        "tests/attacks/test_injection.py::test_a_place_in_a_definition_is_never_code",
        "tests/attacks/test_injection.py::test_what_is_typed_in_the_workshop_stays_one_text_of_the_file",
        "tests/attacks/test_bombs.py::test_a_definition_cannot_bring_an_expression_that_never_ends",
    ],
    "template injection": [
        "tests/attacks/test_injection.py::test_template_injection_the_report_prints_what_stands_there",
        "tests/attacks/test_injection.py::test_no_template_is_made_of_data_and_nothing_is_evaluated",
    ],
    "formulas in exports": [
        "tests/attacks/test_injection.py::test_csv_no_cell_is_a_formula",
        "tests/attacks/test_injection.py::test_xlsx_every_cell_is_text",
    ],
    "path traversal": [
        "tests/attacks/test_injection.py::test_path_traversal_nothing_but_our_own_files_is_served",
        "tests/attacks/test_injection.py::test_path_traversal_a_definitions_key_is_never_a_path",
        "tests/attacks/test_outgoing.py::test_no_line_and_no_trial_reaches_what_is_not_an_instruments",
    ],
    "header injection": ["tests/attacks/test_injection.py::test_header_injection_a_file_name_holds_digits_only"],
    "open redirect": ["tests/attacks/test_requests.py::test_open_redirect_signing_in_leads_to_a_page_of_ours"],
    "log injection": [
        "tests/attacks/test_requests.py::test_log_injection_no_line_of_the_log_is_written_by_whoever_asks"
    ],
    "records in the log": ["tests/attacks/test_logs.py::test_an_error_of_the_database_quotes_no_row"],
    "files that lie about what they are": [
        "tests/attacks/test_uploads.py::test_what_is_none_of_them_or_broken_is_refused_whatever_its_name_says",
        "tests/attacks/test_uploads.py::test_decompression_a_small_file_that_unpacks_to_a_huge_picture_is_refused",
        "tests/attacks/test_uploads.py::test_path_traversal_a_name_is_for_people_and_never_a_path_or_a_header",
    ],
    "oversized and deep bodies": [
        "tests/attacks/test_bombs.py::test_deep_json_and_many_fields_are_refused_with_a_sentence",
        "tests/hardening/test_web_port.py::test_a_body_beyond_the_limit_is_refused_by_its_length_and_by_counting",
    ],
    "zip and XML bombs": [
        "tests/attacks/test_bombs.py::test_a_packed_worksheet_that_unpacks_to_gigabytes_is_refused_before_it_is_unpacked",
        "tests/attacks/test_bombs.py::test_hostile_xml_is_refused_in_time_and_without_memory",
    ],
    "expressions that never end": [
        "tests/attacks/test_bombs.py::test_our_own_expressions_end_soon_on_long_hostile_text"
    ],
    "calls to what only we can reach": [
        "tests/attacks/test_outgoing.py::test_a_provider_cannot_have_us_call_inside",
        "tests/attacks/test_outgoing.py::test_the_connection_goes_to_the_address_that_was_checked",
    ],
    "brute force of numbers in the patients' page": [
        "tests/patients/test_page.py::test_brute_force_over_order_numbers_stops_at_the_address",
        "tests/patients/test_page.py::test_brute_force_of_one_patients_number_over_many_orders_stops_too",
        "tests/patients/test_page.py::test_enumeration_every_wrong_way_gets_the_same_answer_from_the_same_steps",
    ],
    "slow clients": [
        "tests/hardening/test_web_port.py::test_a_head_that_comes_byte_by_byte_is_given_up_and_others_are_served",
        "tests/hardening/test_web_port.py::test_a_body_that_never_ends_is_given_up_with_words",
        "tests/hardening/test_web_port.py::test_a_client_that_does_not_read_its_answer_is_hung_up",
    ],
    "a hospital's name in another's mouth": [
        "tests/bridge/test_results_out.py::test_a_hospital_is_spoken_for_from_its_own_address_alone",
        "tests/bridge/test_orders_in.py::test_one_hospital_cannot_touch_the_order_of_another",
    ],
    "messages of an analyser or a hospital from an unknown address": [
        "tests/hardening/test_networks.py::test_a_message_from_an_unknown_address_is_hung_up_before_a_byte_is_read",
        "tests/hardening/test_hospital_line.py::test_a_stranger_reaches_no_order_and_a_hospital_speaks_over_tls",
    ],
    "anything the schema of the interface allows": [
        "tests/attacks/test_schema.py::test_every_call_answers_as_its_schema_says"
    ],
}


@pytest.mark.parametrize("attack", list(REGISTER))
def test_each_attack_has_its_named_test(attack: str) -> None:
    for place in REGISTER[attack]:
        file, _, name = place.partition("::")
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
        assert name in names, place
