"""The options that several commands share: their types, texts and known names; and how their values are read.

Nothing heavy is imported here: help and completion know names from folders, entry points and the sources' own tables.
"""

import ast
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import entry_points
from pathlib import Path
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

import reidlib  # its packages are imported where they are used: help comes at once
from reidlib import profiles
from reidlib.console import spelling

if TYPE_CHECKING:
    from reidlib.training.devices import Distributed

PACKAGE = Path(reidlib.__file__).parent
BATCH_SIZE = 256


def method_names() -> list[str]:
    """Methods in the folders of this package with their controls, and, by entry points, those of installed packages."""
    controls = [
        name for folder in _method_folders() for name in _controls(PACKAGE / "methods" / folder / "__init__.py")
    ]
    return [*_method_folders(), *controls, *sorted(entry.name for entry in entry_points(group="reidlib.methods"))]


def dataset_names() -> list[str]:
    """Published data sets, and those that installed packages offer, by their entry points' names."""
    offered = sorted(entry.name for entry in entry_points(group="reidlib.data"))
    return [*_keys(PACKAGE / "data" / "registry.py", "READERS"), *offered]


def study_names() -> list[str]:
    """Studies of the methods of this package, and the one that asks all methods the same."""
    tables = [
        (PACKAGE / "methods" / name / file, table)
        for name in _method_folders()
        for file, table in (("studies.py", "STUDIES"), ("trials.py", "TRIALS"))
    ]
    return [*(name for file, table in tables if file.is_file() for name in _keys(file, table)), "branches"]


def _method_folders() -> list[str]:
    return [module.name for module in iter_modules([str(PACKAGE / "methods")]) if module.ispkg]


def _controls(file: Path) -> list[str]:
    """The names in the calls ``Method("name", …)`` that a module writes out: those of a method's controls."""
    calls = [node for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    made = [
        call.args[0] for call in calls if isinstance(call.func, ast.Name) and call.func.id == "Method" and call.args
    ]
    return [name.value for name in made if isinstance(name, ast.Constant)]


def _keys(file: Path, table: str) -> list[str]:
    """The keys of a dictionary that a module writes out, read from its text."""
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        target = node.target if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [None])[0]
        if isinstance(target, ast.Name) and target.id == table and isinstance(node.value, ast.Dict):
            return [key.value for key in node.value.keys if isinstance(key, ast.Constant)]
    return []


class _Known(tuple):
    """Names that help shows and the shell completes. Others may be right as well: the command itself refuses them."""

    def __contains__(self, name: object) -> bool:
        return True


def _one_of(kind: Any, known: Sequence[str], text: str, metavar: str | None = None) -> Any:
    spec = tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar=metavar or "{" + ",".join(known) + "}",
        instance_from_str=lambda words: words[0],
        is_instance=lambda value: value is None or isinstance(value, str),
        str_from_instance=lambda value: [str(value)],
        choices=_Known(known),
    )
    return Annotated[kind, spec, tyro.conf.arg(help=text)]


def _option(kind: Any, text: str, *markers: Any, **options: Any) -> Any:
    return Annotated[(kind, tyro.conf.arg(help=text, **options), *markers)]


_SIZES = [name for name in profiles.PROFILES if name != "paper"]
Method = _one_of(str, method_names(), "the model; reidlib list methods has all, with their titles.")
Study = _one_of(str, study_names(), f"one of: {', '.join(study_names())}, or of a method of your own.", "STUDY")
Dataset = _one_of(str | None, dataset_names(), "name of a published data set; default: sysu.")
TwinOf = _one_of(str, dataset_names(), "name of the data set.")
Data = _option(
    tuple[tuple[str, ...], ...],
    "data of your own: folder=PATH (PATH/modality/identity/image.jpg) or table=FILE.csv, and what data.from_folders or "
    "data.from_table take, for example modalities=photo,sketch name=mine shape=face seed=1; without either, "
    "train=LIST.txt test=LIST.txt are a split of your own of the data set.",
    tyro.conf.UseAppendAction,
    metavar="NAME=VALUE",
)
OtherDataset = _one_of(str | None, dataset_names(), "another data set than that of the run.")
Profile = _one_of(
    str | None,
    list(profiles.PROFILES),
    "size of the experiment; default: $REIDLIB_PROFILE, else what this machine can do.",
)
TwinProfile = _one_of(
    str | None,
    _SIZES,
    "its size; default: $REIDLIB_PROFILE, else what this machine can do; PROFILE/development: the development twin.",
)
Root = _option(
    Path | None,
    "folder of the licensed data set; default: $REIDLIB_DATA/<data set> if there is such a folder, else the synthetic "
    "twin of the profile (profile paper has none).",
)
Twin = _one_of(
    str | None,
    _SIZES,
    "use the synthetic twin of this profile, whatever $REIDLIB_DATA holds; PROFILE/development: its development "
    "twin, to choose by, with other test people.",
)
RootOfRun = _option(
    Path | None,
    "folder of the licensed data set; default: what the run was trained on, $REIDLIB_DATA/<data set> or a twin.",
)
RootToCheck = _option(Path | None, "its folder; default: $REIDLIB_DATA/<data set>.")
Folder = _option(Path, "the run folder, for example runs/sysu/baseline/cpu-seed0-1a2b3c4d.")
Split = _option(int | None, "number of the split, for data sets that have several.")
SplitOfRun = _option(int | None, "number of the split; default: that of the run.")
Splits = _option(tuple[int, ...], "numbers of the splits, for data sets that have several: one model each.")
Seed = _option(int, "of the initial weights, the batches and the augmentation.")
Seeds = _option(tuple[int, ...], "one run each.")
Workers = _option(int, "processes that train at once.")
Threads = _option(int | None, "of each; default: the cores, shared out.")
Cluster = _option(
    str | None,
    "slurm hands the runs to SLURM as one job array and returns; local and debug try that out here.",
)
Measures = _option(
    tuple[str, ...],
    "to be taken on every run, beside those of the study, for example relay; rows in runs/measures.csv.",
)
Figures = _option(tuple[str, ...], "of figures, without the ending; default: all.")
Decode = _option(bool, "decode every image as well (minutes on a full data set).")
ImagesOn = _option(
    Literal["device", "host"] | None,
    "where training images lie: on the device, or in main memory; default: on the device if they fit well.",
)
Compiled = _option(bool, "compile the network; pays on a GPU, in long runs.")
CheckpointEvery = _option(int, "epochs between checkpoints; one is always written at the end.")
Extends = _option(
    Path | None,
    "folder of a run of the same recipe with fewer epochs: go on from there, as far as the schedule allows it.",
)
Device = _option(str | None, "for example cpu or cuda:1; default: the GPU if there is one.")
BatchSize = _option(int, "images embedded at once in evaluation; fewer need less memory.")
AllowSeen = _option(bool, "score people that the model was trained on as well; every result then says how many.")
RunFolder = _option(Path, "folder of the run whose model is used, for example runs/sysu/baseline/cpu-seed0-1a2b3c4d.")
Picture = _option(Path, "the picture that is looked for.")
Pictures = _option(
    Path, "folder of pictures (.jpg, .png, .bmp, .tif, .ppm, .webp), with all folders in it; or a picture."
)
Modality = _option(
    str | None, "what the picture or the pictures are, as the run's data set calls it, such as infrared."
)
Among = _option(str | None, "what the pictures of the folder are, such as visible.")
FeaturesFile = _option(Path, "file to write, .npz: features, paths below the folder, modality (0 or 1).")
FeaturesOfOthers = _option(Path, "a .npz, .mat or .npy file; reidlib.evaluation.features says what it may hold.")
Shown = _option(int, "how many pictures are shown, at most.")
Out = _option(Path | None, "name of the strip and the list, without ending; default: found-NAME, in this folder.")
OutFolder = _option(Path, "folder that the figures are written into, with their tables.")
Exported = _option(Path, "file to write, .pt2 (torch.export) or .onnx (needs the packages onnx and onnxscript).")
Flip = _option(bool, "average the feature of each picture with that of its mirror image.")
SkipDamaged = _option(bool, "leave out pictures that cannot be read, and say so; default: name them and stop.")
Overwrite = _option(bool, "replace files that are there.")
AnyDataset = _one_of(
    str | None, dataset_names(), "the data set that they are features of; default: what the file says of them."
)
Quiet = _option(bool, "print the result alone: no bars, no folders.")
Changes = _option(
    tuple[tuple[str, ...], ...],
    "change the recipe, for example epochs=40 loss_weights.triplet=0.5 model.neck=false augmentation.erase=0. "
    "Values as JSON writes them, else text. May be given several times.",
    tyro.conf.UseAppendAction,
    name="set",
    metavar="NAME=VALUE",
)
Backbone = _option(
    str | None,
    "the trunk, for example resnet34, mobilenet_v2 or timm:regnetx_002; default: that of the profile.",
)
Weights = _option(
    str | None,
    "what the trunk starts from: twin (pretrained on rendered people), imagenet, null (random), or a file; default: "
    "that of the profile.",
)
Trunk = _one_of(str, ["tiny", "small", "resnet18"], "the trunk to pretrain; any other is possible, too.", "BACKBONE")
TrunkFolder = _option(
    Path | None, "where to write <backbone>.safetensors and its card; default: data/trunks, where weights=twin looks."
)
People = _option(int, "to render: the first of a population that no twin shows; 16 images each.")
Steps = _option(int, "of the optimizer, 64 images each.")
Parameters = _option(
    tuple[tuple[str, ...], ...],
    "for the cluster, for example timeout_min=60 gpus_per_node=1 slurm_partition=short.",
    tyro.conf.UseAppendAction,
    metavar="NAME=VALUE",
)
Protocol = _option(
    tuple[tuple[str, ...], ...],
    "options of the data set's protocol, for example search=indoor shots=10; reidlib list protocols has all.",
    tyro.conf.UseAppendAction,
    metavar="NAME=VALUE",
)
TrialsAction = _option(Literal["show", "publish", "attention", "figures"], "what to do.")
ClaimsAction = _option(Literal["status", "register", "plan", "missing"], "what to do.")
Parts = _option(tuple[str, ...], "of claims, such as M2a; default: all.")
Pilot = _option(Path | None, "ledger of development runs that tells the noise; default: published and local rows.")
Listed = Literal["methods", "datasets", "studies", "profiles", "protocols", "measures", "claims"]


def require_positive(**numbers: int) -> None:
    """Refuse numbers below 1, before anything is rendered."""
    for name, number in numbers.items():
        if number < 1:
            raise ValueError(f"{spelling.argument(name)} must be at least 1, not {number}")


def join(device: str | None) -> "Distributed":
    """The processes of ``torchrun``, or this one alone; raises ``ValueError`` for a device that cannot be used here."""
    import torch

    distributed = reidlib.training.devices.init_distributed(device)
    try:
        torch.zeros(1, device=distributed.device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0].partition(". ")[0]
        raise ValueError(f"--device {device}: this machine cannot compute there ({reason})") from error
    return distributed


@contextmanager
def bars(shown: bool) -> Iterator[None]:
    """Within it, bars are drawn or not, by this process and those that it starts."""
    before = os.environ.get("TQDM_DISABLE")
    try:
        if not shown:
            os.environ["TQDM_DISABLE"] = "1"
        yield
    finally:
        if not shown:
            os.environ.pop("TQDM_DISABLE")
            os.environ.update({} if before is None else {"TQDM_DISABLE": before})
