#!/usr/bin/env python3
"""WCE-1 (docs/wce-1.md) once more, sharing no code with the encoder, standard library only.

Reads lines of `name <tab> kind <tab> literal [...]`, prints them with the encoded bytes in
hexadecimal and their SHA-256. Lines that begin with # are copied. The file reproduces itself:

    python3 wce1.py < wce1.tsv | diff - wce1.tsv
"""
import hashlib, ipaddress, json, struct, sys
from decimal import Decimal

sys.set_int_max_str_digits(0)


def var(n):
    out = bytearray()
    while n >= 0x80:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    return bytes(out + bytes([n]))


def zig(n):
    return var(2 * n if n >= 0 else -2 * n - 1)


def sized(data):
    return var(len(data)) + data


def days(year, month, day):
    """Days from 1970-01-01 to a day of the proleptic Gregorian calendar; None if it is none."""
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    lengths = [31, 29 if leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    if not (1 <= month <= 12 and 1 <= day <= lengths[month - 1]):
        return None
    before = year - 1
    return 365 * before + before // 4 - before // 100 + before // 400 + sum(lengths[: month - 1]) + day - 719163


def ymd(text):
    minus, rest = text[:1] == "-", text.lstrip("-")
    year, month, day = map(int, rest.split("-"))
    return (-year if minus else year), month, day


def nanos(text):
    minus, (hours, minutes, seconds) = text.startswith("-"), text.lstrip("-").split(":")
    whole, _, fraction = seconds.partition(".")
    total = (int(hours) * 3600 + int(minutes) * 60 + int(whole)) * 10**9 + int(fraction.ljust(9, "0"))
    return -total if minus else total


def decimal(text):
    if text in ("NaN", "Infinity", "-Infinity"):
        return {"NaN": b"\x21", "Infinity": b"\x22", "-Infinity": b"\x23"}[text]
    sign, digits, exponent = Decimal(text).as_tuple()
    number = int("".join(map(str, digits)))
    if number == 0:
        return b"\x20\x00\x00\x00"
    while number % 10 == 0:
        number, exponent = number // 10, exponent + 1
    return b"\x20" + bytes([sign]) + zig(exponent) + sized(number.to_bytes((number.bit_length() + 7) // 8, "big"))


def double(value):
    return bytes.fromhex("7ff8000000000000") if value != value else struct.pack(">d", value)


def date(text):
    if text.endswith("infinity"):
        return b"\x62" if text[0] == "-" else b"\x61"
    day = days(*ymd(text))
    return b"\x60" + zig(day) if day is not None else b"\x63" + b"".join(map(var, ymd(text)))


def timestamp(text, tag):
    if text.endswith("infinity"):
        return b"\x68" if text[0] == "-" else b"\x67"
    day, time = text.split(" ")
    number, time = days(*ymd(day)), nanos(time)
    if number is None:
        return b"\x69" + b"".join(map(var, ymd(day))) + var(time)
    return tag + zig(number + time // (86400 * 10**9)) + var(time % (86400 * 10**9))


class Number(str):
    pass


def tree(node):
    if node is None or node is True or node is False:
        return {None: b"\x00", False: b"\x01", True: b"\x02"}[node]
    if isinstance(node, Number):
        return decimal(node)
    if isinstance(node, str):
        return b"\x50" + sized(node.encode())
    if isinstance(node, list):
        return b"\x82" + var(len(node)) + b"".join(map(tree, node))
    members = sorted((key.encode(), value) for key, value in node.items())  # dict: the last of duplicates
    return b"\x83" + var(len(members)) + b"".join(sized(key) + tree(value) for key, value in members)


def array(spec):
    dims = spec["dims"]
    if not dims or any(length == 0 for _, length in dims):
        return b"\x90\x00"
    if all(first == 1 for first, _ in dims):
        head = b"\x90" + var(len(dims)) + b"".join(var(length) for _, length in dims)
    else:
        head = b"\x92" + var(len(dims)) + b"".join(zig(first) + var(length) for first, length in dims)
    return head + b"".join(encode(*item) for item in spec["items"])


def inet(text):
    address, prefix = text.split("/")
    address = ipaddress.ip_address(address)
    return bytes([0x71, address.version, int(prefix)]) + address.packed


ENCODERS = {
    "null": lambda t: b"\x00",
    "bool": lambda t: {"false": b"\x01", "true": b"\x02"}[t],
    "int": lambda t: b"\x10" + zig(int(t)),
    "decimal": decimal,
    "float64": lambda t: b"\x30" + double(struct.unpack(">d", bytes.fromhex(t))[0]),
    "float32": lambda t: b"\x31" + double(struct.unpack(">f", bytes.fromhex(t))[0]),
    "bytes": lambda t: b"\x40" + sized(bytes.fromhex(t[1:])),
    "text": lambda t: b"\x50" + sized(json.loads(t).encode()),
    "date": date,
    "time": lambda t: b"\x64" + zig(nanos(t)),
    "timestamp": lambda t: timestamp(t, b"\x65"),
    "timestamptz": lambda t: timestamp(t, b"\x66"),
    "interval": lambda t: b"\x6a" + b"".join(zig(int(part)) for part in t.split()),
    "uuid": lambda t: b"\x70" + bytes.fromhex(t.replace("-", "")),
    "inet": inet,
    "mac": lambda t: b"\x72" + sized(bytes.fromhex(t.replace(":", ""))),
    "json": lambda t: b"\x80" + tree(json.loads(t, parse_int=Number, parse_float=Number)),
    "json_text": lambda t: b"\x81" + sized(json.loads(t).encode()),
    "array": lambda t: array(json.loads(t)),
    "enum": lambda t: b"\x91" + sized(json.loads(t).encode()),
    "set": lambda t: b"\x93" + (lambda labels: var(len(labels)) + b"".join(map(sized, labels)))(sorted({label.encode() for label in json.loads(t)})),
    "opaque": lambda t: b"\xf0" + b"".join(sized(part.encode()) for part in json.loads(t)),
    "row": lambda t: (lambda row: sized(bytes.fromhex(row["id"])) + var(len(row["values"])) + b"".join(encode(*value) for value in row["values"]))(json.loads(t)),
}


def encode(kind, literal):
    return ENCODERS[kind](literal)


if __name__ == "__main__":
    for line in sys.stdin.buffer.read().decode().split("\n")[:-1]:
        if line.startswith("#"):
            print(line)
            continue
        name, kind, literal = line.split("\t")[:3]
        data = encode(kind, literal)
        print(name, kind, literal, data.hex(), hashlib.sha256(data).hexdigest(), sep="\t")
