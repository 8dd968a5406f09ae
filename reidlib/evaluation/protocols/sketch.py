"""What the sketch sets have in common: every test sketch looks for its own among all test photos, once."""

from dataclasses import dataclass
from typing import ClassVar

from reidlib.evaluation.protocols.base import OnceProtocol, rule

PHOTO, SKETCH = 0, 1  # modalities


@dataclass(frozen=True, kw_only=True)
class SketchProtocol(OnceProtocol):
    """Sketch → photo, CMC over images, no camera rule, one trial; who evaluates so is said by each protocol."""

    roles_of: ClassVar[tuple[str, str]] = ("sketch", "photo")
    modalities: ClassVar[tuple[int, int]] = (SKETCH, PHOTO)
    direction: str = rule(default="sketch-photo")

    @property
    def stem(self) -> str:
        return self.dataset
