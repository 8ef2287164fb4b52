"""The lines of an HL7 v2 message: where segments begin, and what senders put between them (HL7 2.5.1, 2.5.2)."""

from drivers.protocols.hl7_text import Hl7Error

MAX_SEGMENTS = 100_000  # far above any real message; a peer must not fill the memory with empty segments

_NAMES = (
    "ACC ADD AL1 BHS BTS CON DG1 DSC DSP EQU ERR EVN FHS FT1 FTS GT1 IN1 IN2 INV ISD MRG MSA NK1 NTE OBR OBX ORC "
    "PD1 PID PRT PV1 PV2 QAK QPD QRD QRF RCP ROL SAC SFT SID SPM TCC TCD TQ1 TQ2 UAC"
)
BEGINNINGS = {name + "|": name for name in _NAMES.split(" ")}  # MSH is missing: only the first segment may be one


def lines_of(text: str, field: str, oddities: list[str]) -> list[str]:
    """The text between line ends. Segments end with CR (2.5.2); LF and CR LF are forgiven.

    Raises Hl7Error for too many.
    """
    if "\n" in text:
        if "\r" not in text:
            oddities.append("segments end with LF")
            text = text.replace("\n", "\r")
        elif "\r\n" in text:
            oddities.append("segments end with CR LF")
            text = text.replace("\r\n", "\r")
    lines = text.split("\r", MAX_SEGMENTS + 1)
    if not lines[-1]:
        lines.pop()
    if len(lines) > MAX_SEGMENTS:
        raise Hl7Error(f"more than {MAX_SEGMENTS} lines")
    return lines if "\n" not in text else mended(lines, field, oddities)


def mended(lines: list[str], field: str, oddities: list[str]) -> list[str]:
    """Lines that start no segment belong to the one before: a sender that puts line ends into a text field.

    To drop them would cut a report in the middle; to take them for segments would lose them. Inside a message whose
    segments end with CR, a line feed is text too, unless a segment stands behind it.
    """
    found: list[list[str]] = []
    blank = continued = 0
    for line in lines:
        for piece in line.split("\n"):
            bare = piece.strip()
            if _starts_segment(bare, field):
                found.append([piece if _starts_segment(piece, field) else bare])
                blank = 0
            elif not bare or not found:
                blank += 1
            else:
                found[-1].append("\n" * blank + piece)
                continued += 1
                blank = 0
    note = f"{continued} lines start no segment; each continues the segment before it"
    if continued and note not in oddities:
        oddities.append(note)
    return ["\n".join(parts) for parts in found]


def _starts_segment(line: str, field: str) -> bool:
    name = line[:3]
    if line[3:4] != field and len(line) != 3:
        return False
    return name.isascii() and name.isalnum() and name[0].isalpha() and name == name.upper()
