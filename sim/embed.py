#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes a file's bytes as a C array, so that a program carries it: embed.py INPUT OUTPUT SYMBOL."""
import sys


def main() -> None:
    source, target, symbol = sys.argv[1:]
    with open(source, "rb") as file:
        data = file.read()
    lines = [", ".join(str(byte) for byte in data[at:at + 24]) for at in range(0, len(data), 24)]
    with open(target, "w", encoding="ascii") as file:
        file.write(f"extern const unsigned char {symbol}[];\n"
                   f"extern const unsigned {symbol}_bytes;\n"
                   f"const unsigned char {symbol}[] = {{\n" + ",\n".join(lines) + "};\n"
                   f"const unsigned {symbol}_bytes = {len(data)};\n")


main()
