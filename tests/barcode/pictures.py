"""Draws what a screen or a printer would show, and reads it with an independent reader (zxing-cpp)."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import zxingcpp
from PIL import Image, ImageDraw

SVG = "{http://www.w3.org/2000/svg}"


def read_bars(picture: Image.Image) -> list[str]:
    """Texts of every Code 128 symbol in the picture."""
    found = zxingcpp.read_barcodes(picture, formats=zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.Code128))
    return [symbol.bytes.decode("ascii") for symbol in found]


def draw_svg(svg: str) -> Image.Image:
    """The rectangles of an SVG, pixel by pixel, in black and white and without smoothing (texts are not drawn)."""
    root = ElementTree.fromstring(svg)
    wide, high = (float(root.attrib[side].removesuffix("mm")) for side in ("width", "height"))
    _, _, view_wide, _ = map(float, root.attrib["viewBox"].split())
    scale = wide / view_wide
    picture = Image.new("L", (round(wide), round(high)), 255)
    pen = ImageDraw.Draw(picture)
    for rect in root.findall(f".//{SVG}g/{SVG}rect"):
        x, y, width, height = (float(rect.attrib[side]) * scale for side in ("x", "y", "width", "height"))
        assert abs(x - round(x)) < 0.05 and abs(width - round(width)) < 0.05, "an edge lies between two pixels"
        pen.rectangle((round(x), round(y), round(x + width) - 1, round(y + height) - 1), fill=0)
    return picture


def svg_texts(svg: str) -> list[str]:
    return [item.text or "" for item in ElementTree.fromstring(svg).findall(f".//{SVG}text")]


# A reader of the few ZPL commands that a label uses, written from the printer's guide.

_COMMAND = re.compile(r"\^([A-Z][A-Z0-9@])([^\^]*)")


def split_zpl(data: bytes) -> list[tuple[str, str]]:
    """(command, parameters) in order; `^FD` keeps its data as it is."""
    return [(name, rest.rstrip("\n")) for name, rest in _COMMAND.findall(data.decode())]


def unescape(data: str) -> str:
    return re.sub(r"_([0-9A-F]{2})", lambda code: chr(int(code[1], 16)), data)


def zpl_labels(data: bytes) -> list[dict[str, list[str]]]:
    """One dictionary a label: command -> its parameters, plus "texts" and "bars"."""
    labels: list[dict[str, list[str]]] = []
    in_bars = False
    for name, rest in split_zpl(data):
        if name == "XA":
            labels.append({"texts": [], "bars": []})
        label = labels[-1]
        label.setdefault(name, []).append(rest)
        if name == "BC":
            in_bars = True
        elif name == "FD":
            label["bars" if in_bars else "texts"].append(rest if in_bars else unescape(rest))
        elif name == "FS":
            in_bars = False
    return labels


def symbol_values(field: str) -> list[int]:
    """Code 128 values of `^BC` data in mode N: ">;" ">:" ">9" start C, B, A; ">5" ">6" ">7" go on in them."""
    starts = {">;": 105, ">:": 104, ">9": 103}
    switches = {">5": 99, ">6": 100, ">7": 101}
    values = [starts[field[:2]]]
    pairs, rest = values[0] == 105, field[2:]
    while rest:
        if rest[:2] in switches:
            values.append(switches[rest[:2]])
            pairs, rest = rest[:2] == ">5", rest[2:]
        elif pairs:
            values.append(int(rest[:2]))
            assert len(rest) >= 2
            rest = rest[2:]
        else:
            values.append(ord(rest[0]) - 32)
            rest = rest[1:]
    return values


def draw_zpl(data: bytes, widths_of: dict[int, str]) -> Image.Image:
    """The bars of the first label of a job, dot by dot; widths_of: value -> widths, 106 the stop."""
    label = zpl_labels(data)[0]
    picture = Image.new("L", (int(label["PW"][0]), int(label["LL"][0])), 255)
    pen = ImageDraw.Draw(picture)
    x, y = (int(number) for number in label["FO"][0].split(","))
    module, _, height = (int(number) for number in label["BY"][0].split(","))
    values = symbol_values(label["bars"][0])
    check = (values[0] + sum(place * value for place, value in enumerate(values))) % 103
    widths = "".join(widths_of[value] for value in [*values, check, 106])
    for place, width in enumerate(widths):
        size = int(width) * module
        if place % 2 == 0:
            pen.rectangle((x, y, x + size - 1, y + height - 1), fill=0)
        x += size
    assert x <= picture.width
    return picture
