"""How nbval runs the notebooks: one red cell where a notebook breaks, and no comparison of what cannot be compared."""

import pytest
from nbval.plugin import IPyNbCell, IPyNbFile, NbCellError

BROKEN = pytest.StashKey[str]()


def pytest_collectstart(collector: pytest.Collector) -> None:
    if isinstance(collector, IPyNbFile):
        collector.skip_compare += ("image/svg+xml", "text/html")  # date stamps; styled copies of the plain text


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo):
    report = yield
    if isinstance(item, IPyNbCell) and report.failed:
        error = call.excinfo.value
        # A cell whose output differs has still run: the cells after it can stand on it.
        if not (isinstance(error, NbCellError) and str(error) == "Cell outputs differ"):
            item.parent.stash.setdefault(BROKEN, item.name)
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if isinstance(item, IPyNbCell):
        item.output_timeout = 30  # seconds; nbval's own 5 are too few on a busy machine
        if broken := item.parent.stash.get(BROKEN, None):
            pytest.skip(f"{item.parent.name}: {broken} failed")
