"""The record of a run while it is trained: rows of losses and speed, and what a person sees of them."""

import sys
import time

import numpy as np
import torch
from torch import Tensor

from reidlib.console import progress
from reidlib.console.spelling import argument
from reidlib.methods import Recipe
from reidlib.training import devices

ROWS_PER_EPOCH = 10
BAR = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"


class Scaler:
    """Loss scaling for float16 that knows how many steps it left out; for other types it does nothing.

    ``torch.amp.GradScaler`` leaves out a step whose gradients are not finite and halves its scale. If that goes on,
    nothing is trained although every loss is finite.
    """

    def __init__(self, device: torch.device, optimizer: torch.optim.Optimizer, enabled: bool):
        self._scaler, self._optimizer = torch.amp.GradScaler(device.type, enabled=enabled), optimizer
        self.enabled, self.left_out = enabled, 0
        optimizer.register_step_post_hook(lambda *_: setattr(self, "_stepped", True))

    def step(self, loss: Tensor) -> None:
        """Gradients of a loss, and a step of the optimizer unless they are not finite."""
        self._stepped = False
        self._optimizer.zero_grad()
        self._scaler.scale(loss).backward()
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self.left_out += not self._stepped

    def state_dict(self) -> dict:
        return self._scaler.state_dict()

    def load_state_dict(self, state: dict) -> None:
        if state:
            self._scaler.load_state_dict(state)

    def row(self) -> dict[str, float]:
        """``loss_scale`` and the steps left out since the last call; empty where nothing is scaled.

        Raises:
            FloatingPointError: the scale is below 1: gradients overflow at every step.
        """
        if not self.enabled:
            return {}
        row = {"loss_scale": self._scaler.get_scale(), "skipped_steps": self.left_out}
        self.left_out = 0
        if row["loss_scale"] < 1:
            raise FloatingPointError(
                f"the loss scale of float16 fell to {row['loss_scale']:g}: gradients are not finite at any scale and "
                f"steps are left out; {_advice()}"
            )
        return row


class History:
    """Turns loss terms into rows of the history, without a wait for the GPU at every step."""

    def __init__(
        self,
        rows: list[dict[str, float]],
        steps: int,
        distributed: devices.Distributed,
        recipe: Recipe,
        last: int,
        shown: bool,
    ):
        self.rows, self._steps, self._distributed, self._epochs = rows, steps, distributed, last
        self._interval = -(-steps // ROWS_PER_EPOCH)
        self._start = time.perf_counter() - (rows[-1]["seconds"] if rows else 0.0)
        done = rows[-1]["epoch"] if rows else 0
        self._name, self._is_told = f"{recipe.method} on {recipe.dataset}", shown and not progress.is_watched()
        length = {"total": last * steps, "initial": done * steps}
        self.bar = progress.bar(desc=self._name, bar_format=BAR, shown=shown, **length)
        if distributed.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(distributed.device)

    def begin(self, epoch: int) -> None:
        self._epoch, self._pending, self._images, self._mark = epoch, [], 0, time.perf_counter()

    def add(self, step: int, rate: float, images: int, loss: Tensor, terms: dict[str, Tensor], scaler: Scaler) -> None:
        """Note a step; every now and then, close a row.

        Raises:
            FloatingPointError: a value since the last row is not finite, or see :meth:`Scaler.row`.
        """
        self._pending.append(torch.stack([*(term.detach() for term in terms.values()), loss.detach()]))
        self._images += images * self._distributed.world_size
        self.bar.update()
        if (step + 1) % self._interval and step + 1 < self._steps:
            return
        values = torch.stack(self._pending).double().cpu().numpy()  # on a GPU: waits for the steps so far
        now, device = time.perf_counter(), self._distributed.device
        names = [*(f"loss.{name}" for name in terms), "loss"]  # terms first: they are to be named rather than the sum
        for row, column in np.argwhere(~np.isfinite(values))[:1].tolist():
            number = self._epoch * self._steps + step + 2 - len(values) + row
            raise FloatingPointError(
                f"{names[column]} is {values[row, column]} at step {number} (epoch {self._epoch + 1}), learning rate "
                f"{rate:.3g}; lower {argument('learning_rate', of='recipe')} or the term's weight, or switch mixed "
                f"precision off ({argument('amp', 'off', of='recipe')})"
            )
        *means, mean_loss = values.mean(axis=0).tolist()
        self.rows.append(
            {
                "epoch": self._epoch + 1,
                "step": self._epoch * self._steps + step + 1,
                "learning_rate": rate,
                "loss": mean_loss,
                **dict(zip(names, means, strict=False)),
                "images_per_second": self._images / (now - self._mark),
                "seconds": now - self._start,
                **scaler.row(),
            }
        )
        if device.type == "cuda":
            self.rows[-1]["memory_gb"] = torch.cuda.max_memory_allocated(device) / 1e9
        self._pending, self._images, self._mark = [], 0, now
        self.bar.set_postfix_str(self._in_brief(), refresh=False)

    def end(self, scores: dict[str, float], health: dict[str, float]) -> str:
        """Close an epoch; returns it in words, and tells it in brief where no bar is seen.

        ``health``: as :func:`reidlib.training.health.watched` gives it.
        """
        self.rows[-1] |= {f"validation.{name}": value for name, value in scores.items()} | health
        self.rows[-1]["seconds"] = time.perf_counter() - self._start
        row, brief = self.rows[-1], self._in_brief()
        self.bar.set_postfix_str(brief, refresh=False)
        if self._is_told:
            print(f"{self._name}: {brief}, {row['seconds']:.0f} s", file=sys.stderr, flush=True)
        words = [f"{name.removeprefix('loss.')} {row[name]:.3f}" for name in row if name.startswith("loss")]
        words += [f"validation {name} {100 * scores[name]:.1f} %" for name in ("rank-1", "mAP") if scores]
        words += [f"spread {row['health.spread']:.3f}"] if "health.spread" in row else []
        words += ["METRIC LOSS COLLAPSED"] if row.get("health.collapsed") else []
        words += [f"{row['images_per_second']:.0f} images/s", f"{row['seconds']:.0f} s"]
        return f"epoch {row['epoch']}: {', '.join(words)}"

    def require_steps(self) -> None:
        """Raise ``FloatingPointError`` if not a single step of the run was taken."""
        if self.rows and sum(row.get("skipped_steps", 0) for row in self.rows) == self.rows[-1]["step"]:
            raise FloatingPointError(
                f"none of {self.rows[-1]['step']} steps was taken: in float16 their gradients were not finite; "
                f"{_advice()}"
            )

    def _in_brief(self) -> str:
        """Epoch, loss, and the last validation mAP, for a bar."""
        row = self.rows[-1]
        known = [each["validation.mAP"] for each in self.rows if "validation.mAP" in each]
        score = f", mAP {100 * known[-1]:.1f} %" if known else ""
        return f"epoch {row['epoch']}/{self._epochs}, loss {row['loss']:.2f}{score}"


def _advice() -> str:
    """What helps where float16 overflows."""
    ways = " or ".join(argument("amp", value, of="recipe") for value in ("bf16", "off"))
    return f"lower {argument('learning_rate', of='recipe')}, or train with {ways}"
