"""Every kind of image becomes right bytes or an error that names the file, its kind and the way out."""

import io
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import ExifTags, Image

import reidlib.data
from reidlib.data import decode

GREY = np.arange(0, 250, 10, dtype=np.uint8).reshape(5, 5)
COLOUR = np.stack([GREY, GREY[::-1], GREY.T], axis=-1)
ALL = (*decode.FORMATS, "TIFF", "PPM")


def saved(path, image, **options):
    image.save(path, **options)
    return path


def read(path, formats=ALL):
    return np.asarray(decode.read_image(path, formats))


def png(depth, colour, rows, extra=b""):
    """A PNG of packed ``rows``; Pillow cannot write all depths."""

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = struct.pack(">IIBBBBB", 2, len(rows), depth, colour, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + extra + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def test_eight_bits_stay_what_they_are(tmp_path):
    grey = np.repeat(GREY[:, :, None], 3, axis=2)
    for suffix in ("png", "bmp", "tif", "pgm"):
        assert (read(saved(tmp_path / f"grey.{suffix}", Image.fromarray(GREY))) == grey).all()
    for suffix in ("png", "bmp", "tif", "ppm"):
        assert (read(saved(tmp_path / f"colour.{suffix}", Image.fromarray(COLOUR))) == COLOUR).all()
    jpeg = saved(tmp_path / "colour.jpg", Image.fromarray(COLOUR))
    assert (read(jpeg) == np.asarray(Image.open(jpeg))).all()
    black = np.zeros((2, 2), dtype=bool)
    black[0, 0] = True
    assert read(saved(tmp_path / "one.png", Image.fromarray(black)))[:, :, 0].tolist() == [[255, 0], [0, 0]]
    assert (read(saved(tmp_path / "p.png", Image.fromarray(GREY).convert("P"))) == grey).all()


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "LAB"])
def test_other_colours_come_close(tmp_path, mode):
    from PIL import ImageCms

    image = Image.new("RGB", (8, 8), (200, 100, 50))
    if mode == "LAB":
        image = ImageCms.profileToProfile(
            image, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
        )
    else:
        image = image.convert(mode)
    packed = {"compression": "tiff_lzw"} if mode == "YCbCr" else {}  # unpacked, Pillow 10 cuts it short
    assert np.abs(read(saved(tmp_path / "x.tif", image, **packed)).astype(int) - [200, 100, 50]).max() <= 3


def test_what_is_transparent_lies_on_white(tmp_path):
    clear = Image.new("RGBA", (2, 1), (0, 0, 0, 0))
    clear.putpixel((0, 0), (10, 20, 30, 255))
    expected = [[[10, 20, 30], [255, 255, 255]]]
    assert read(saved(tmp_path / "rgba.png", clear)).tolist() == expected
    assert read(saved(tmp_path / "rgba.tif", clear)).tolist() == expected
    assert read(saved(tmp_path / "la.png", Image.new("LA", (1, 1), (0, 0)))).tolist() == [[[255] * 3]]
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 0, 0, 0])
    palette.putpixel((1, 0), 1)
    assert read(saved(tmp_path / "p.png", palette, transparency=1)).tolist() == expected
    key = saved(tmp_path / "key.png", Image.fromarray(COLOUR), transparency=tuple(COLOUR[0, 0].tolist()))
    assert read(key)[0, 0].tolist() == [255] * 3 and (read(key)[1:] == COLOUR[1:]).all()
    assert (read(saved(tmp_path / "opaque.png", Image.fromarray(COLOUR).convert("RGBA"))) == COLOUR).all()


@pytest.mark.parametrize(("depth", "row"), [(1, b"\x40"), (2, b"\x10"), (4, b"\x01"), (8, b"\0\x01")])
def test_a_grey_that_means_transparent_is_found_in_every_depth(tmp_path, depth, row):
    key = b"\0\0\0\x02tRNS\0\x01" + struct.pack(">I", zlib.crc32(b"tRNS\0\x01"))
    (tmp_path / "x.png").write_bytes(png(depth, 0, [row], key))
    assert read(tmp_path / "x.png")[0, :, 0].tolist() == [0, 255]


def test_a_bitmap_whose_fourth_byte_is_empty_is_not_blank(tmp_path):
    masks = struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    head = struct.pack("<IiiHHIIiiII", 108, 5, -5, 1, 32, 3, 100, 0, 0, 0, 0) + masks + bytes(52)
    pixels = np.dstack([COLOUR[:, :, ::-1], np.zeros_like(GREY)]).tobytes()
    (tmp_path / "x.bmp").write_bytes(b"BM" + struct.pack("<IHHI", 222, 0, 0, 122) + head + pixels)
    assert Image.open(tmp_path / "x.bmp").mode == "RGBA"
    assert (read(tmp_path / "x.bmp") == COLOUR).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_the_orientation_is_applied(tmp_path, orientation, suffix):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    image = Image.new("L", (16, 32))
    image.paste(255, (0, 0, 8, 16))  # upper left
    found = read(saved(tmp_path / f"x.{suffix}", image, exif=exif))[:, :, 0]
    height, width = found.shape
    assert (height, width) == ((32, 16) if orientation < 5 else (16, 32))
    corner = {1: (0, 0), 2: (0, 1), 3: (1, 1), 4: (1, 0), 5: (0, 0), 6: (0, 1), 7: (1, 1), 8: (1, 0)}[orientation]
    bright = [found[height * (1 + 2 * y) // 4, width * (1 + 2 * x) // 4] > 128 for y in (0, 1) for x in (0, 1)]
    assert bright == [(y, x) == corner for y in (0, 1) for x in (0, 1)]


def deep_images(folder):
    ramp = np.linspace(7000, 8020, 25).reshape(5, 5)
    for dtype in ("uint16", "int32", "float32"):
        yield saved(folder / f"{dtype}.tif", Image.fromarray(ramp.astype(dtype)))
    yield saved(folder / "I16B.tif", Image.frombytes("I;16B", (5, 5), ramp.astype(">u2").tobytes()))
    yield saved(folder / "uint16.png", Image.fromarray(ramp.astype("uint16")))
    (folder / "uint16.pgm").write_bytes(b"P5 5 5 65535 " + ramp.astype(">u2").tobytes())
    yield folder / "uint16.pgm"
    for colour, channels in ((0, 1), (2, 3), (4, 2), (6, 4)):
        (folder / f"{channels}.png").write_bytes(png(16, colour, [b"\x1b\x58" * channels * 2] * 2))
        yield folder / f"{channels}.png"
    (folder / "deep.ppm").write_bytes(b"P6 2 1 1023 " + b"\x01\x02" * 6)
    yield folder / "deep.ppm"
    signed = io.BytesIO()
    Image.fromarray(GREY).save(signed, "TIFF", tiffinfo={339: (2,)})
    (folder / "signed.tif").write_bytes(signed.getvalue())
    yield folder / "signed.tif"


def test_more_than_eight_bits_are_refused_with_the_way_out(tmp_path):
    found = list(deep_images(tmp_path))
    assert len(found) == 12
    for path in found:
        with pytest.raises(OSError, match=rf"{path.name}: its pixels are not 8-bit numbers.*convert it to 8 bits"):
            decode.read_image(path, ALL)


def test_check_names_images_that_cannot_be_used_and_the_way_out(tree):
    ramp = np.linspace(7000, 8020, 50, dtype=np.uint16).reshape(10, 5)
    saved(tree / "cam3/0001/0001.jpg", Image.fromarray(ramp), format="PNG")
    [problem] = [p for p in reidlib.data.open("sysu", tree).check(decode=True).problems if "cam3/0001" in p.where]
    assert problem.severity == "error" and "not 8-bit numbers (I;16, PNG)" in problem.message
    assert problem.fix.startswith("convert it to 8 bits") and problem.fix.endswith("range of values")
    with pytest.raises(OSError, match=r"cam3/0001/0001\.jpg: its pixels are not 8-bit"):
        reidlib.data.open("sysu", tree).images(16, 8)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_several_frames_are_refused(tmp_path, suffix):
    frames = [Image.fromarray(GREY), Image.fromarray(GREY.T)]
    path = saved(tmp_path / f"x.{suffix}", frames[0], save_all=True, append_images=frames[1:])
    with pytest.raises(OSError, match=rf"x\.{suffix}: the file holds 2 frames or pages; save the one"):
        read(path)


def test_the_photograph_of_a_stereo_jpeg_is_its_first(tmp_path):
    first, second = Image.fromarray(COLOUR), Image.fromarray(255 - COLOUR)
    saved(tmp_path / "x.jpg", first, format="MPO", save_all=True, append_images=[second])
    saved(tmp_path / "single.jpg", first)
    assert (read(tmp_path / "x.jpg") == read(tmp_path / "single.jpg")).all()


def test_sizes_are_bounded(tmp_path, monkeypatch):
    path = saved(tmp_path / "x.png", Image.new("1", (6000, 5000)))
    with pytest.raises(OSError, match=r"x\.png: 6000×5000 pixels are more than the 25,000,000 .*; scale it down"):
        decode.read_image(path)
    monkeypatch.setattr(decode, "_MOST_BYTES", 10)
    with pytest.raises(OSError, match=r"x\.png holds more than 10 bytes"):
        decode.read_image(path)


def test_a_jpeg_of_endless_scans_is_refused(tmp_path):
    content = bytearray(saved(tmp_path / "x.jpg", Image.new("L", (4096, 4096)), progressive=True).read_bytes())
    last = content.rindex(b"\xff\xda")
    (tmp_path / "x.jpg").write_bytes(content[:-2] + content[last:-2] * 1000 + b"\xff\xd9")
    with pytest.raises(OSError, match=r"x\.jpg: a JPEG of 4096×4096 pixels and 1,0\d\d scans"):
        decode.read_image(tmp_path / "x.jpg")


POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n"


def test_no_image_starts_a_program(tree, tmp_path, monkeypatch):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "gs").write_text(f"#!/bin/sh\ntouch {tmp_path / 'canary'}\n")
    (tmp_path / "bin" / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    (tree / "cam1/0001/0001.jpg").write_bytes(POSTSCRIPT)
    dataset = reidlib.data.open("sysu", tree)
    with pytest.raises(OSError, match=r"0001\.jpg: the file holds EPS, not one of JPEG, PNG, BMP; save it as one"):
        dataset.images(16, 8)
    assert [p for p in dataset.check(decode=True).problems if "holds EPS" in p.message]
    assert not (tmp_path / "canary").exists()
    from PIL import EpsImagePlugin

    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)
    with pytest.raises(OSError), Image.open(tree / "cam1/0001/0001.jpg") as image:
        image.load()
    assert (tmp_path / "canary").exists(), "the trap works"


@pytest.mark.parametrize(
    ("format", "found"), [("GIF", "GIF"), ("WEBP", "WEBP"), ("TIFF", "TIFF"), ("PPM", "PPM"), ("ICO", "ICO")]
)
def test_other_formats_are_named(tmp_path, format, found):
    path = saved(tmp_path / "x.jpg", Image.new("RGB", (32, 32)), format=format)
    with pytest.raises(OSError, match=rf"x\.jpg: the file holds {found}.*, not one of JPEG, PNG, BMP"):
        decode.read_image(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds something that is no image"),
        (b"text", "holds something that is no image"),
        (b"\xff\xd8\xff\xe0" + bytes(40), "."),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), "."),
        (png(8, 2, [b"\x01" * 6] * 2)[:-30], "."),
    ],
)
def test_damage_is_named(tmp_path, content, message):
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(OSError, match=rf"cannot decode \S*x\.png: .*{message}"):
        decode.read_image(tmp_path / "x.png")
