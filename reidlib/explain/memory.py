"""How far the proxies of MAUM have moved since each copy in their memory was taken."""

import numpy as np
import pandas as pd
import torch
from torch.nn.functional import cosine_similarity

from reidlib.models.maum import MAUM

COLUMNS = ("modality", "part", "pid", "age", "cosine")


@torch.no_grad()
def proxy_drift(model: MAUM) -> pd.DataFrame:
    """Cosine between each proxy and its copies in the memory, by their age.

    Returns:
        A row for each copy of each proxy: ``modality``, ``part``, ``pid`` (the class), ``age`` (steps of training from
        the copy to now) and ``cosine``. No rows as long as the memory is empty.
    """
    _, _, steps = model.get_extra_state().tolist()  # steps since the memory began
    filled, interval = model.memory_filled, model.memory_interval
    copied = interval * np.arange(-(-steps // interval) - 1, -1, -1)[:filled]  # the latest first
    tables = []
    for modality, parts in enumerate(model.proxies):
        for part, proxies in enumerate(parts):
            for step, copy in zip(copied, proxies.memory[:filled] if filled else (), strict=True):
                cosine = cosine_similarity(proxies.weight.detach(), copy, dim=1).double().cpu().numpy()
                columns = {"modality": modality, "part": part, "pid": np.arange(len(cosine)), "age": steps - step}
                tables.append(pd.DataFrame({**columns, "cosine": cosine}))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=COLUMNS)
