"""Who may connect, and the certificates of a line, as somebody types them."""

from __future__ import annotations

import pytest
from starlette.datastructures import FormData

from api.screens.line_form import line_of
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
