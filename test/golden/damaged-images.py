"""Asks Pillow which of the damaged files of test/support/damaged-files.ts are pictures.

    /tmp/venv/bin/python test/golden/damaged-images.py test/golden/damaged-images.json

The environment is the one of README.md beside this file.

One letter per file, in order: "y" Pillow reads it; "m" Pillow reads it once what it alone insists on is mended; "n" it
refuses the file. Mended are a TEM marker, JFIF and EXIF segments (Pillow parses them itself, libjpeg does not need
them), animation chunks of a PNG (its default image needs none), and reserved bits of a WebP header (RFC 9649: readers
must ignore them).
"""

import base64
import io
import json
import subprocess
import sys
import warnings

from PIL import Image

warnings.simplefilter("ignore")
SCRIPT = """
import { makeDamagedFiles } from './test/support/damaged-files.ts';
for (const type of ['png', 'jpeg', 'webp'])
  for (const { bytes } of makeDamagedFiles(type)) console.log(type + ' ' + Buffer.from(bytes).toString('base64'));
"""


def reads(data):
    try:
        picture = Image.open(io.BytesIO(data), formats=["PNG", "JPEG", "WEBP"])
        picture.load()
        picture.convert("RGBA")
    except Exception:
        return False
    return True


def mend(kind, data):
    if kind == "webp":
        if data[12:16] != b"VP8X" or len(data) < 21:
            return data
        return data[:20] + bytes([data[20] & 0x3E]) + data[21:]
    at, out = (8, data[:8]) if kind == "png" else (2, data[:2])
    while at + 8 <= len(data):
        if kind == "png":
            length = 12 + int.from_bytes(data[at : at + 4], "big")
            keep = data[at + 4 : at + 8] not in (b"acTL", b"fcTL", b"fdAT")
        else:
            marker = data[at + 1]
            if data[at] != 255 or marker in (0xDA, 0xD9):
                break
            length = 2 if marker == 1 else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
            keep = marker not in (1, 0xE0, 0xE1)
        out += data[at : at + length] if keep else b""
        at += length
    return out + data[at:]


verdicts = {"png": "", "jpeg": "", "webp": ""}
lines = subprocess.run(
    ["node", "--input-type=module-typescript", "-e", SCRIPT], capture_output=True, check=True, text=True
).stdout
for line in lines.splitlines():
    kind, _, encoded = line.partition(" ")
    data = base64.b64decode(encoded)
    verdicts[kind] += "y" if reads(data) else "m" if reads(mend(kind, data)) else "n"
with open(sys.argv[1], "w") as out:
    json.dump(verdicts, out, indent=2)
    out.write("\n")
for kind, letters in verdicts.items():
    print(kind, {letter: letters.count(letter) for letter in "ymn"})
