"""A few files in the form of every data set that the library reads: data set → path → content."""

import io
import json
import pickle
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

from reidlib import data

MANIFEST = {"twin_version": "1", "dataset": "", "profile": "ci", "images": 8, "image_size": [16, 8]}


def image(format: str = "JPEG", height: int = 16, width: int = 8, mode: str = "RGB") -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 4), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(stream, format)
    return stream.getvalue()


def deep_png() -> bytes:
    """The counts of a thermal camera in 16 bits."""
    stream = io.BytesIO()
    Image.fromarray(np.arange(7000, 7128, dtype=np.uint16).reshape(16, 8)).save(stream, "PNG")
    return stream.getvalue()


def matlab(**variables) -> bytes:
    stream = io.BytesIO()
    savemat(stream, variables)
    return stream.getvalue()


def _cells(*values) -> np.ndarray:
    column = np.empty((len(values), 1), dtype=object)
    column[:, 0] = values
    return column


def sysu() -> dict[str, bytes]:
    files = {f"cam{camid}/{pid:04d}/0001.jpg": image() for camid in range(1, 7) for pid in (1, 2, 3)}
    draw = _cells(*[np.ones((10, 1), dtype=np.uint8)] * 3)
    lists = {"exp/train_id.txt": b"1\n", "exp/val_id.txt": b"2\n", "exp/test_id.mat": matlab(id=[3])}
    return files | lists | {"exp/rand_perm_cam.mat": matlab(rand_perm_cam=_cells(*[draw] * 6))}


def regdb() -> dict[str, bytes]:
    files = {}
    for modality, folder in (("visible", "Visible"), ("thermal", "Thermal")):
        names = {pid: f"{folder}/{pid}/male_back_{modality[0]}_00001_{pid}.bmp" for pid in (1, 2, 3, 4)}
        files |= dict.fromkeys(names.values(), image("BMP"))
        for split in range(1, 11):
            for part, pids in (("train", (1, 2)), ("test", (3, 4))):
                text = "".join(f"{names[pid]} {label}\n" for label, pid in enumerate(pids))
                files[f"idx/{part}_{modality}_{split}.txt"] = text.encode()
    return files


def llcm() -> dict[str, bytes]:
    files = {f"test_{name}/cam{camid}/0003/keep.jpg": image() for name in ("vis", "nir") for camid in range(1, 10)}
    for name in ("vis", "nir"):
        lines = []
        for label, pid in enumerate((1, 2)):
            path = f"{name}/{pid:04d}/{pid:04d}_c01_s1_f1_{name}.jpg"
            files[path], lines = image(), [*lines, f"{path} {label}\n"]
        files[f"idx/train_{name}.txt"] = "".join(lines).encode()
        files[f"idx/test_{name}.txt"] = f"{name}/0003/0003_c01_s1_f1_{name}.jpg 0\n".encode()
    return files | {"idx/test_id.txt": b"3\n"}


def cufsf() -> dict[str, bytes]:
    names = {pid: f"{pid:05d}fb010_930831" for pid in (1, 2, 3, 4)}
    files = {"names_of_photos_used_for_drawing_sketches.txt": "\n".join(names.values()).encode()}
    for pid, name in names.items():
        files |= {f"photo/{name}.tif": image("TIFF", 56, 44), f"original_sketch/{pid:05d}.ppm": image("PPM", 56, 44)}
        files |= dict.fromkeys((f"photo_points/{name}.3pts", f"sketch_points/{pid:05d}.3pts"), b"12 20\n30 21\n21 38\n")
    return files


def pku_sketch() -> dict[str, bytes]:
    pids = range(1, 21)
    files = {f"photo/{pid}_0{3 + k}_{k}.jpg": image() for pid in pids for k in (0, 1)}
    files |= {f"sketch/{pid}.jpg": image(mode="L") for pid in pids}
    for place, artist in enumerate("abcde"):
        files[f"styleAnnotation/{artist}_4.txt"] = "\n".join(map(str, pids[4 * place : 4 * place + 4])).encode()
    return files


def market_sketch() -> dict[str, bytes]:
    files = {}
    for part, pid in (("train", 2), ("query", 3)):
        files[f"photo/{part}/{pid:04d}_c1s1_000451_03.jpg"] = image()
        files |= {f"sketch/{artist}/{part}/{pid:04d}.jpg": image("PNG", mode="RGBA") for artist in "ABCDEF"}
    return files


def chair() -> dict[str, bytes]:
    strokes = np.array([[40, 60, 0], [200, 60, 1], [128, 100, 0], [60, 220, 1]], dtype=float)
    sketches = {f"/{part}/{name}_{k}": strokes + k for part, name in (("train", "a"), ("test", "b")) for k in (1, 2)}
    return {"photo/a.png": image("PNG"), "photo/b.png": image("PNG"), "ChairV2_Coordinate": pickle.dumps(sketches, 2)}


def shoe() -> dict[str, bytes]:
    files = {f"{part}B/{part}.png": image("PNG") for part in ("train", "test")}
    return files | {f"{part}A/{part}_{k}.png": image("PNG", mode="LA") for part in ("train", "test") for k in (1, 2)}


def own_folders() -> dict[str, bytes]:
    """Of somebody's own, with the lists that divide it."""
    names = [f"{modality}/{who}/{k}.png" for modality in ("visible", "infrared") for who in "abcd" for k in (1, 2)]
    lists = {"train.txt": "a\r\nb\r\n".encode("utf-16"), "test.txt": b"visible/c/1.png\nd\n"}
    return dict.fromkeys(names, image("PNG")) | lists


def own_table() -> dict[str, bytes]:
    lines = [f"{modality}/{pid}.webp,{pid},{modality},cam{pid % 2}" for modality in "01" for pid in range(1, 9)]
    images = {line.partition(",")[0]: image("WEBP") for line in lines}
    return images | {"table.csv": "\n".join(["path,pid,modality,camid", *lines]).encode()}


TREES = {
    "sysu": sysu(),
    "regdb": regdb(),
    "llcm": llcm(),
    "cufsf": cufsf(),
    "pku-sketch": pku_sketch(),
    "market-sketch-1k": market_sketch(),
    "chair": chair(),
    "shoe": shoe(),
    "own folders": own_folders(),
    "own table": own_table(),
}
SPLITS = {"regdb": 1, "pku-sketch": 1}


def opened(name: str, root: Path) -> data.ReIDDataset:
    """A tree as a data set."""
    if name == "own folders":
        return data.from_folders(root)
    return data.from_table(root / "table.csv") if name == "own table" else data.open(name, root, split=SPLITS.get(name))


def manifest(name: str, **changes) -> bytes:
    return json.dumps(MANIFEST | {"dataset": name} | changes).encode()
