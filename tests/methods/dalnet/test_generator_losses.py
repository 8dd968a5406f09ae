"""What the generator learns from, and what the losses leave alone."""

from functools import partial

import tiny
import torch
import torch.nn.functional as F
from tiny import step

from reidlib.methods.dalnet.foreground import cut_and_paste

build = partial(tiny.build, "dalnet")


def test_recognition_alone_teaches_the_generator_but_not_its_mask():
    model = build()
    for seed in range(2):
        step(model, seed)
    terms = tiny.losses(model)
    model.zero_grad()
    (terms["identity"] + terms["intra"] + terms["cross"]).backward()
    mask = {f"mask.{name}" for name, _ in model.generator.mask.named_parameters()}
    assert set(tiny.untaught(model.generator)) == mask and tiny.silent(model.generator.refiner) == []


def test_style_moves_the_generator_alone():
    model = build()
    for seed in range(2):
        step(model, seed)
    before = {name: tensor.clone() for name, tensor in model.backbone.named_buffers()}
    drawn = torch.rand(4, 1, 64, 32, requires_grad=True)
    style = model._style(drawn, torch.rand(4, 3, 64, 32), torch.tensor([1, 0, 3, 2]))
    named = dict(model.named_parameters())
    gradients = torch.autograd.grad(style, [drawn, *named.values()], allow_unused=True)
    assert gradients[0].abs().sum() > 0 and all(gradient is None for gradient in gradients[1:])
    assert all(torch.equal(before[name], tensor) for name, tensor in model.backbone.named_buffers())
    assert all(p.requires_grad for p in model.parameters()) and model.backbone.training


def test_the_mask_does_not_shrink_to_avoid_the_structure_term():
    model, (photos, sketches) = build(), torch.rand(2, 4, 3, 64, 32)
    step(model, 0)
    donors = torch.tensor([1, 0, 3, 2])
    drawing = model.generator(photos, sketches, donors)
    terms = model._generator_losses(drawing, photos, sketches, donors)
    for name, learns in (("structure", False), ("style", False), ("mask", True)):
        assert _is_taught(terms[name], model.generator.mask.head.weight) == learns, name
    assert _is_taught(terms["structure"], model.generator.refiner.decoder[-1].bias)


def test_the_mask_term_is_of_photos_that_were_cut_and_pasted():
    model, (photos, sketches) = build(), torch.rand(2, 4, 3, 64, 32)
    step(model, 0)
    torch.manual_seed(0)
    term = model._mask(photos, sketches)
    torch.manual_seed(0)
    pictures, masks = cut_and_paste(photos, sketches, 1)
    torch.testing.assert_close(term, F.binary_cross_entropy_with_logits(model.generator.mask(pictures), masks))
    learns = {name for name, p in model.named_parameters() if _is_taught(term, p)}
    assert learns == {name for name, _ in model.named_parameters() if name.startswith("generator.mask.")}


def _is_taught(term, parameter):
    (gradient,) = torch.autograd.grad(term, parameter, allow_unused=True, retain_graph=True)
    return gradient is not None and bool(gradient.abs().sum() > 0)
