"""One haematology message of 24 results, invented, in ASTM and in HL7; what every decoder here reads."""

from __future__ import annotations

RESULTS = [
    ("WBC", "6.52", "10*3/uL", "4.0-10.0", "N"),
    ("RBC", "4.81", "10*6/uL", "3.8-5.2", "N"),
    ("HGB", "13.9", "g/dL", "12.0-16.0", "N"),
    ("HCT", "41.2", "%", "36.0-46.0", "N"),
    ("MCV", "85.7", "fL", "80.0-100.0", "N"),
    ("MCH", "28.9", "pg", "27.0-33.0", "N"),
    ("MCHC", "33.7", "g/dL", "32.0-36.0", "N"),
    ("PLT", "451", "10*3/uL", "150-400", "H"),
    ("RDW-SD", "40.1", "fL", "37.0-54.0", "N"),
    ("RDW-CV", "12.9", "%", "11.0-16.0", "N"),
    ("PDW", "11.8", "fL", "9.0-17.0", "N"),
    ("MPV", "10.2", "fL", "9.0-13.0", "N"),
    ("P-LCR", "26.1", "%", "13.0-43.0", "N"),
    ("PCT", "0.46", "%", "0.17-0.35", "H"),
    ("NEUT#", "3.71", "10*3/uL", "1.5-7.0", "N"),
    ("LYMPH#", "2.02", "10*3/uL", "1.0-3.7", "N"),
    ("MONO#", "0.52", "10*3/uL", "0.0-0.7", "N"),
    ("EO#", "0.21", "10*3/uL", "0.0-0.4", "N"),
    ("BASO#", "0.06", "10*3/uL", "0.0-0.1", "N"),
    ("NEUT%", "56.9", "%", "37.0-72.0", "N"),
    ("LYMPH%", "31.0", "%", "20.0-50.0", "N"),
    ("MONO%", "8.0", "%", "0.0-14.0", "N"),
    ("EO%", "3.2", "%", "0.0-6.0", "N"),
    ("BASO%", "0.9", "%", "0.0-1.0", "N"),
]


def astm() -> bytes:
    """H P O 24 x R L, as a haematology analyser sends it."""
    lines = [
        "H|\\^&|||XN-1000^00-18^12345^^^^AB123456||||||||E1394-97|20261122101500",
        "P|1|||100245|^Ayse^Ornek||19800214|F|||||^Dr.1||||||||||||^^^DAHILIYE",
        "O|1||12^3^        26000145^B|" + "\\".join(f"^^^^{code}" for code, *_ in RESULTS) + "|||||||N||||||||||||||F",
    ]
    for number, (code, value, unit, limits, flag) in enumerate(RESULTS, 1):
        lines.append(f"R|{number}|^^^^{code}^1|{value}|{unit}|{limits}|{flag}||F||lab||20261122101447")
    lines.append("L|1|N")
    return "".join(line + "\r" for line in lines).encode()


def hl7() -> bytes:
    """ORU^R01 2.3.1 with 24 OBX."""
    lines = [
        "MSH|^~\\&|HEMA|LAB|NUMUNE|MERKEZ|20261122101500||ORU^R01|4711|P|2.3.1||||||UNICODE",
        "PID|1||100245^^^^MR||ORNEK^AYSE||19800214000000|F",
        "PV1|1|O|DAHILIYE",
        "OBR|1||26000145|00001^Automated Count^99MRC||20261122100000|20261122101447||||||||||||||||||HM",
    ]
    for number, (code, value, unit, limits, flag) in enumerate(RESULTS, 1):
        lines.append(f"OBX|{number}|NM|{number + 6000}-2^{code}^LN||{value}|{unit}|{limits}|{flag}|||F||||||")
    return "".join(line + "\r" for line in lines).encode()
