"""What a trained model gives beside scores: figures of it (``draw``), and itself for elsewhere (``export``)."""

import os
from pathlib import Path

import reidlib  # its packages are imported where they are used: help comes at once
from reidlib.app import options
from reidlib.app.chosen import of_run

FIGURES = ("embedding", "attention")


def draw(
    folder: options.Folder,
    /,
    *,
    dataset: options.OtherDataset = None,
    data: options.Data = (),
    root: options.RootOfRun = None,
    twin: options.Twin = None,
    split: options.SplitOfRun = None,
    out: options.OutFolder = Path("drawn"),
    overwrite: options.Overwrite = False,
    device: options.Device = None,
    quiet: options.Quiet = False,
) -> int:
    """Draw where a run's model puts test images (UMAP) and where it looks (Grad-CAM, occlusion), with their data."""
    with options.bars(not quiet):
        taken = [out / f"{name}.png" for name in FIGURES if os.path.lexists(out / f"{name}.png")]
        if taken and not overwrite:
            raise FileExistsError(f"{taken[0]} exists; choose another folder with --out, or --overwrite")
        explain, plots = reidlib.explain, reidlib.plots
        run = reidlib.training.runs.load(folder, device=options.join(device).device)
        images = of_run(run, data, dataset, root, twin, split)[1]()
        caption = f"{run.recipe.method} · {images.title} · seed {run.recipe.seed}"
        table = explain.embedding_table(run.model, images)
        files = [plots.save(plots.embedding_map(table, caption, modalities=images.reader.modalities), FIGURES[0], out)]
        rows = explain.sample_rows(images, identities=min(4, table["pid"].nunique()), per_modality=1)
        maps = {
            "Grad-CAM": explain.cams(run.model, images, rows).maps.numpy(),
            "occlusion": explain.occlusion_maps(run.model, images, rows).numpy(),
        }
        shown = plots.tables.attention(images.frame.iloc[rows], maps)
        files.append(plots.save(plots.cam_panel(shown, images, caption), FIGURES[1], out))
        if not quiet:
            print(f"data: {images.title}, {images.root}\n{run}")
        print(*files, sep="\n")
        return 0


def export(
    folder: options.Folder,
    /,
    *,
    modality: options.Modality = None,
    out: options.Exported = Path("model.pt2"),
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
) -> int:
    """Write a run's model for one modality as a program of torch (.pt2) or ONNX (.onnx), for any number of images."""
    run = reidlib.training.runs.load(folder, device="cpu")
    pictures = reidlib.evaluation.pictures
    number = pictures.modality_number(modality, run.model)
    names = pictures.modality_names(run.model)
    file = reidlib.networks.export(run.model, out, number, name=names and names[number], overwrite=overwrite)
    if not quiet:
        print(f"{run}\n{file}: images (B, 3, {', '.join(map(str, run.model.image_size))}), normalised, to features")
    return 0
