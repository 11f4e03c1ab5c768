#!/usr/bin/env python3
"""Keyed digests and their sum over wce1.tsv, as docs/wce-1.md defines them.

Needs the `blake3` package (the official bindings; made with 1.0.11): BLAKE3 is not in the standard
library. Before it prints anything it checks that package against two of BLAKE3's published test
vectors.

    python3 digests.py < wce1.tsv | diff - digests.tsv
"""
import sys

from blake3 import blake3

from wce1 import sized, var

PROJECT_KEY = bytes(range(32))
MODULUS = 2**256 - 189

# https://github.com/BLAKE3-team/BLAKE3/blob/master/test_vectors/test_vectors.json, input_len 0
assert blake3(b"").hexdigest() == "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
assert (
    blake3(b"", key=b"whats the Elvish word for friend").hexdigest()
    == "92b2b75604ed3c761f9d6f62392c8a9227ad0ea3f09573e783f1498a4ed60d26"
)


def text(value):
    return b"\x50" + sized(value.encode())


def derive(domain, name):
    return blake3(text(domain) + text(name), key=PROJECT_KEY).digest()


def schema_id(columns):
    listed = b"".join(text(name) + text(kind) for name, kind in sorted(columns, key=lambda c: c[0].encode()))
    return blake3(text("WCE-1") + var(len(columns)) + listed).digest()[:16]


print("# Made by digests.py from wce1.tsv. Project key: bytes 00 to 1f.")
for domain in ("wb1/src", "wb1/in", "wb1/out", "wb1/lin"):
    print("no bytes", domain, "vectors", blake3(b"", key=derive(domain, "vectors")).hexdigest(), sep="\t")
columns = [("née", "text"), ("id", "int"), ("Z", "any"), ("z", "decimal")]
print("schema_id", "", ",".join(f"{name}:{kind}" for name, kind in columns), schema_id(columns).hex(), sep="\t")
key, total, count, size = derive("wb1/out", "vectors"), 0, 0, 0
for line in sys.stdin.buffer.read().decode().split("\n")[:-1]:
    if line.startswith("#"):
        continue
    name, _, _, encoded, _ = line.split("\t")
    data = bytes.fromhex(encoded)
    digest = blake3(data, key=key).digest()
    print("digest", "wb1/out", name, digest.hex(), sep="\t")
    total, count, size = (total + int.from_bytes(digest, "big")) % MODULUS, count + 1, size + len(data)
print("sum", f"{count} {size}", "all", total.to_bytes(32, "big").hex(), sep="\t")
print("sum", f"{65536 * count} {65536 * size}", "all, 65536 times", (65536 * total % MODULUS).to_bytes(32, "big").hex(), sep="\t")
