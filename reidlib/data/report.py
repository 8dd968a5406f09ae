"""What ``dataset.check()`` found: problems, each with its place and its remedy."""

from dataclasses import dataclass

from reidlib.console.spelling import either

SEVERITIES = ("error", "warning", "note")
_SHOWN_PER_REMEDY = 20


@dataclass(frozen=True)
class Problem:
    """``severity`` is ``"error"`` (results would be wrong), ``"warning"`` (odd) or ``"note"``; ``where`` a path."""

    severity: str
    where: str
    message: str
    fix: str = ""

    def __post_init__(self) -> None:
        if self.severity not in SEVERITIES:
            raise ValueError(f"unknown severity {self.severity!r}; choose one of: {', '.join(SEVERITIES)}")


def left_out(strays: list[str], what: str = "is not named like an image of this data set") -> list[Problem]:
    """Names that a reader did not understand."""
    return [Problem("warning", path, f"{what} and was left out", "see the expected tree") for path in strays]


@dataclass(frozen=True)
class CheckReport:
    """All problems of one data set. ``print(report)`` lists them by severity; ``report.problems`` holds every one."""

    title: str
    problems: list[Problem]

    @property
    def ok(self) -> bool:
        """True if there is no error (warnings and notes may remain)."""
        return not any(problem.severity == "error" for problem in self.problems)

    def __str__(self) -> str:
        if not self.problems:
            return f"{self.title}: nothing missing, nothing odd"
        totals = {severity: sum(p.severity == severity for p in self.problems) for severity in SEVERITIES}
        counts = ", ".join(f"{count} {severity}{'s' * (count > 1)}" for severity, count in totals.items() if count)
        return "\n".join([f"{self.title}: {counts}", *self._lines()])

    __repr__ = __str__

    def _lines(self) -> list[str]:
        """One line a problem; problems that share a remedy stand together and long groups are cut."""
        groups: dict[tuple[str, str], list[Problem]] = {}
        for problem in sorted(self.problems, key=lambda p: SEVERITIES.index(p.severity)):
            groups.setdefault((problem.severity, problem.fix), []).append(problem)
        lines = []
        for (severity, fix), problems in groups.items():
            lines += [f"  {severity:7}  {p.where}: {p.message}" for p in problems[:_SHOWN_PER_REMEDY]]
            if (hidden := len(problems) - _SHOWN_PER_REMEDY) > 0:
                lines.append(f"           … and {hidden:,} more{either(' (report.problems has all)', '')}")
            if fix:
                lines.append(f"           → {fix}")
        return lines
