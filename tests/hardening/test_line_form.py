"""Settings of a line as somebody types them: who may connect, certificates, what is sent unasked."""

from __future__ import annotations

import pytest
from starlette.datastructures import FormData

from api.screens.line_form import check_work_line, line_of
from drivers.definition import load_catalog
from drivers.links.endpoints import serial_options
from lis_core.domain.errors import NumuneError

PLACE = {"tur": "tcp-sunucu", "adres": "0.0.0.0:5001"}


def test_networks_and_certificates_are_settings_of_the_line() -> None:
    _, _, settings = line_of(FormData({**PLACE, "izinli": "10.1.0.0/16, 10.2.3.4", "tls": "cihaz"}), None)
    assert settings == {"izinli": ["10.1.0.0/16", "10.2.3.4"], "tls": "cihaz"}
    _, _, settings = line_of(FormData({**PLACE, "tur": "tcp-istemci", "izinli": "10.1.0.0/16", "tls": ""}), None)
    assert settings == {}, "whom we call ourselves needs no list"


@pytest.mark.parametrize("wrong", [{"izinli": "10.1.0.0/99"}, {"izinli": "laboratuvar"}, {"tls": "/etc/shadow"}])
def test_what_cannot_be_meant_is_refused(wrong: dict[str, str]) -> None:
    """A file is never named on a screen: it names a table of the operator's settings."""
    with pytest.raises(NumuneError):
        line_of(FormData({**PLACE, **wrong}), None)


def test_the_work_of_a_load_list_is_sent_where_somebody_says_so_and_not_over_a_broker() -> None:
    generic = load_catalog().generic("astm")
    _, _, settings = line_of(FormData({**PLACE, "yukleme_gonder": "evet"}), generic)
    assert settings == {"yukleme_gonder": True}
    assert line_of(FormData({**PLACE, "yukleme_gonder": ""}), generic)[2] == {}
    with pytest.raises(NumuneError, match="uzak geçit"):
        check_work_line("genel", settings, "ilce", [])


@pytest.mark.parametrize("parity", ["N", "E", "O", "M", "S"])
def test_every_parity_that_a_port_has_can_be_chosen(parity: str) -> None:
    _, _, settings = line_of(FormData({"tur": "seri", "adres": "/dev/ttyUSB0", "parite": parity}), None)
    assert serial_options(settings)["parity"] == parity
