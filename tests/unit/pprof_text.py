#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reads a gzipped profile.proto from standard input with a decoder of its own, checks that every reference resolves and every
text is UTF-8, and prints sample types and samples as lines of text."""
import gzip
import sys


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def fields(data):
    at = 0
    while at < len(data):
        tag, at = varint(data, at)
        if tag & 7 == 0:
            value, at = varint(data, at)
        elif tag & 7 == 2:
            size, at = varint(data, at)
            assert at + size <= len(data), "a field longer than its message"
            value, at = data[at:at + size], at + size
        else:
            sys.exit(f"wire type {tag & 7}")
        yield tag >> 3, value


def packed(data):
    at = 0
    while at < len(data):
        value, at = varint(data, at)
        yield value


def message(data):
    """Last value of every scalar field; fine for messages without arrays."""
    return dict(fields(data))


def main():
    profile = list(fields(gzip.decompress(sys.stdin.buffer.read())))
    of = lambda number: [value for field, value in profile if field == number]
    strings = [s.decode("utf-8") for s in of(6)]
    assert strings[0] == "", "string 0 is not empty"
    text = lambda m, field: strings[m.get(field, 0)]
    mappings = {m[1]: m for m in map(message, of(3))}
    functions = {f[1]: f for f in map(message, of(5))}
    locations = {l[1]: l for l in map(message, of(4))}
    assert len(mappings) == len(of(3)) and len(functions) == len(of(5)) and len(locations) == len(of(4)), "an id twice"

    types = [f"{text(t, 1)}/{text(t, 2)}" for t in map(message, of(1))]
    print("types", *types, "default", strings[of(14)[0]])
    used = set()
    for sample in of(2):
        stack, values, labels = [], [], {}
        for field, value in fields(sample):
            if field == 1:
                stack = list(packed(value))
            elif field == 2:
                values = list(packed(value))
            elif field == 3:
                label = message(value)
                assert text(label, 1) not in labels, "a label twice"
                labels[text(label, 1)] = text(label, 2)
        assert len(values) == len(types)
        used.update(stack)
        names = [text(functions[message(locations[i][4])[1]], 2) for i in stack]
        print(*values, ",".join(f"{k}={labels[k]}" for k in sorted(labels)), "<-".join(names), sep="|")
    assert used == set(locations), "locations that no sample uses"
    for location in locations.values():
        mapping, line = mappings[location[2]], message(location[4])
        function = functions[line[1]]
        print("location", text(function, 2), hex(location.get(3, 0)), text(mapping, 5), text(mapping, 6) or "-",
              text(function, 4) or "-", line.get(2, 0))


main()
