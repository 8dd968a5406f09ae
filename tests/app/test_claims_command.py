"""`reidlib claims`: what is registered, run and missing; `reidlib claims register`."""

from reidlib.app import cli
from reidlib.experiments import register


def test_status_names_what_is_missing_and_register_writes_what_is_named(own_ledger, capsys) -> None:
    assert cli.main(["claims", "status", "M2a", "M2b"]) == 0
    shown = capsys.readouterr().out
    assert "not registered" in shown and "M2b" in shown and "M1a" not in shown
    assert shown.splitlines()[-2:] == ["missing:", "reidlib sweep maum-ladder --profile screen --seeds 0 1 2 3 4"]
    assert cli.main(["claims", "register", "M2a"]) == 0
    shown = capsys.readouterr().out
    (entry,) = register.entries().values()
    assert f"M2a  {entry.hash}  power nan" in shown and str(register.file()) in shown
    assert cli.main(["claims", "register", "M2a"]) == 2
    assert "registered already" in capsys.readouterr().err
    assert cli.main(["claims", "status", "M9z"]) == 2
    assert "unknown part 'M9z'" in capsys.readouterr().err
