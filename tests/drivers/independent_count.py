"""What the captured files hold, counted without our decoder: only `split` and `re` on the bytes.

    python tests/drivers/independent_count.py SAMPLES > counts.tsv

Where the specimen stands is written down here once for each folder, read off the files by eye. The table
`expected_counts.tsv` was made with this script and compared with the column "contents" of the samples' INDEX.tsv.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

COLUMNS = ("file", "messages", "results", "qc", "queries", "orders", "events", "specimens")

# folder: record, field (0 = the record's letter), component of the specimen
ASTM_SPECIMEN = {
    "abbott-afinion2": ("O", 3, 0),
    "euroimmun-analyzer-i": ("P", 3, 0),
    "mindray-bs-240": ("O", 3, 0),
    "roche-cobas-c111": ("O", 3, 0),
    "roche-cobas-c311": ("O", 2, 1),
    "siemens-dca-vantage": ("O", 3, 0),
    "sysmex-cs-1600": ("O", 3, 2),
    "sysmex-cs-2500": ("O", 3, 2),
    "sysmex-xn-330": ("O", 3, 2),
    "sysmex-xn-350": ("O", 3, 2),
    "sysmex-xn-550": ("O", 3, 2),
    "sysmex-xp-100": ("O", 3, 2),
    "trinity-premier-hb9210": ("O", 3, 0),
}
QUERY_COMPONENT = {"sysmex-cs-2500": 2, "immucor-neo": 0}


def astm_records(data: bytes) -> list[str]:
    """Records in order: frames joined, frame digits of a logger dropped."""
    if data.startswith(b"time\tfrom\tbytes_hex"):
        data = b"".join(bytes.fromhex(line.split(b"\t")[2].decode()) for line in data.split(b"\n")[1:] if line)
    text = data.decode("latin-1")
    if "\x02" in text:
        joined = ""
        for frame, end in re.findall("\x02([^\x03\x17]*)([\x03\x17])", text):
            joined += frame[1:] if frame[0].isdigit() else frame
            if end == "\x03" and not joined.endswith("\r"):
                joined += "\r"
        text = joined
    lines = [line for line in re.split("[\r\n]+", text) if line.strip("\x04\x05 ")]
    return [re.sub("^[0-9](?=[A-Z][|])", "", line) for line in lines]


def count_astm(name: str, data: bytes) -> dict[str, object]:
    """Counts of an ASTM file."""
    folder = name.split("/")[1]
    counts: dict[str, object] = dict.fromkeys(COLUMNS[1:-1], 0)
    specimens: list[str] = []
    messages: list[list[str]] = []
    for record in astm_records(data):
        if record[:2] == "H|":
            messages.append([])
        if messages:
            messages[-1].append(record)
    for records in messages:
        _count_astm_message(folder, records, counts, specimens)
    counts["messages"] = len(messages)
    return {"file": name, **counts, "specimens": ";".join(dict.fromkeys(specimens))}


def _count_astm_message(folder: str, records: list[str], counts: dict[str, object], specimens: list[str]) -> None:
    delimiters = re.sub(r"(.)\1", r"\1", records[0][2:].split("|")[0])  # a doubled backslash is one
    repeat, component = delimiters[0], delimiters[1]
    has_results = any(record[:2] == "R|" for record in records)
    control = records[0].split("|")[11:12] == ["Q"] or any(re.match(r"O\|([^|]*\|){14}CTRL", r) for r in records)
    where, place, part = ASTM_SPECIMEN.get(folder, ("O", 2, 0))
    for record in records:
        fields = record.split("|") + [""] * 30
        if fields[0] == where:
            identifier = (fields[place].split(component) + [""] * 5)[part].strip()
            specimens += [identifier] if identifier else []
            control = control or identifier.startswith("QC ")
        if fields[0] == "R":
            counts["qc" if control else "results"] += 1  # type: ignore[operator]
        if fields[0] == "Q":
            asked = [
                (part.split(component) + [""] * 5)[QUERY_COMPONENT.get(folder, 1 if component in part else 0)].strip()
                for part in fields[2].split(repeat)
            ]
            specimens += asked
            counts["queries"] += len(asked)  # type: ignore[operator]
        if fields[0] == "O" and not has_results:
            kind = "events" if fields[25] == "X" else "orders"
            counts[kind] += len(fields[4].split(repeat))  # type: ignore[operator]


def count_hl7(name: str, data: bytes) -> dict[str, object]:
    """Counts of an HL7 file."""
    text = data.decode("latin-1")
    if text.startswith("\x05"):
        text = "".join(frame[1:] for frame in re.findall("\x02([^\x03\x17]*)[\x03\x17]", text))
    segments = [line for line in re.split("[\r\n\x0b\x1c\x04]+", text) if re.match("[A-Z][A-Z0-9]{2}[|]", line)]
    counts: dict[str, object] = dict.fromkeys(COLUMNS[1:-1], 0)
    specimens: list[str] = []
    messages: list[list[list[str]]] = []
    for line in segments:
        if line.startswith("MSH"):
            messages.append([])
        if messages:
            messages[-1].append(line.split("|") + [""] * 30)
    for message in messages:
        _count_hl7_message(message, counts, specimens)
    counts["messages"] = len(messages)
    return {"file": name, **counts, "specimens": ";".join(dict.fromkeys(specimens))}


def _count_hl7_message(message: list[list[str]], counts: dict[str, object], specimens: list[str]) -> None:
    kind = message[0][8][:3]
    names = [segment[0] for segment in message]
    query = kind == "QBP" or (kind == "ORM" and ["ORC", "RF"] in [segment[:2] for segment in message])
    if query:
        specimens += [segment[3] for segment in message if segment[0] in ("QPD", "ORC")]
        counts["queries"] += 1  # type: ignore[operator]
    elif kind in ("ORU", "OUL"):
        role, tubes = "", 0
        for segment in message:
            if segment[0] == "SPM":
                role, tubes = segment[11].split("^")[0], tubes + 1
            if segment[0] == "OBX":
                what = "events" if segment[2] == "ED" else "qc" if role == "Q" else "results"
                counts[what] += 1  # type: ignore[operator]
        if tubes < 2 or names.index("SPM") < names.index("OBR"):  # else: several tubes for one order, nothing is said
            specimens += _hl7_specimens(message)
    elif kind in ("OML", "ORM"):
        counts["orders"] += _orders(message)  # type: ignore[operator]
        specimens += _hl7_specimens(message)


def _hl7_specimens(message: list[list[str]]) -> list[str]:
    """SPM-2; where it is empty SAC-3; without either OBR-3, else OBR-2."""
    tubes = [re.split("[&^]", s[2])[0].strip() or re.split("[&^]", _after(message, i, "SAC", 3))[0]
             for i, s in enumerate(message) if s[0] == "SPM"]  # fmt: skip
    if not tubes:
        orders = [s for s in message if s[0] == "OBR"]
        tubes = [(s[3].split("^")[0] or s[2].split("^")[0]).strip('"') for s in orders]
    return [tube for tube in tubes if tube]


def _after(message: list[list[str]], start: int, name: str, field: int) -> str:
    for segment in message[start + 1 :]:
        if segment[0] == "SPM":
            return ""
        if segment[0] == name:
            return segment[field]
    return ""


def _orders(message: list[list[str]]) -> int:
    """Ordered tests, each counted for every specimen that its order names."""
    names = [segment[0] for segment in message]
    if "SPM" not in names or names.index("SPM") < names.index("OBR"):
        return names.count("OBR")
    total, tubes = 0, 0
    for name in [*names, "OBR"][names.index("OBR") + 1 :]:
        tubes += name == "SPM"
        if name == "OBR":
            total, tubes = total + max(tubes, 1), 0
    return total


def count(name: str, data: bytes) -> dict[str, object]:
    """Counts of one sample, by its path below the samples' folder."""
    return count_astm(name, data) if name.startswith("astm/") else count_hl7(name, data)


def main(samples: Path) -> None:
    rows = ["\t".join(COLUMNS)]
    for path in sorted(path for kind in ("astm", "hl7") for path in (samples / kind).rglob("*") if path.is_file()):
        found = count(path.relative_to(samples).as_posix(), path.read_bytes())
        rows.append("\t".join(str(found[column]) for column in COLUMNS))
    sys.stdout.write("\n".join(rows) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
