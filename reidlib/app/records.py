"""Commands about what was chosen, registered and planned: ``reidlib trials`` and ``reidlib claims``."""

import reidlib  # its packages are imported where they are used: help comes at once
from reidlib.app import options


def trials(action: options.TrialsAction = "show", /) -> int:
    """Show the trials on development twins, from which the regime was chosen, and where that departs from its rule.

    publish: add those of this machine to reidlib/published/trials.csv, which is committed. attention: measure where the
    networks of baseline-regime in cpu look, and write it beside that file. figures: draw the trials.
    """
    from reidlib.app import regime

    if action == "publish":
        print(f"{reidlib.experiments.trials.publish()} new runs in {reidlib.experiments.trials.PUBLISHED}; commit it")
    elif action == "attention":
        print(f"{reidlib.experiments.attention.publish()} rows in {reidlib.experiments.attention.PUBLISHED}; commit it")
    elif action == "figures":
        print(*regime.figures(), sep="\n")
    else:
        print(regime.shown())
    return 0


def claims(
    action: options.ClaimsAction = "status", names: options.Parts = (), /, *, pilot: options.Pilot = None
) -> int:
    """Show which parts of the claims are registered, run and missing, and what the planned runs can decide.

    register: write rules, recipes and code of all parts, or of those named, into the register, before their runs;
    commit it. plan: all runs of the plan, tier by tier, with their hours. missing: the commands that make the runs of
    tier 1 that are missing, and nothing else.
    """
    if action in ("plan", "missing"):
        planned = reidlib.experiments.tiers.table()
        lacking = planned.loc[(planned["tier"] == 1) & (planned["missing"] > 0), "command"]
        shown = planned.to_string(index=False, float_format="{:.1f}".format, na_rep="unknown")
        print(shown if action == "plan" else "\n".join(lacking), end="\n" if action == "plan" or len(lacking) else "")
        return 0
    known = reidlib.experiments.claims.parts()
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"unknown part {unknown[0]!r}; choose from: {', '.join(known)}")
    chosen = list(names) or list(known)
    found = reidlib.experiments.power.status(names=chosen, pilot=pilot)
    if action == "register":
        for entry in reidlib.experiments.register.add(known[name] for name in chosen):
            print(f"{entry.part}  {entry.hash}  power {found.loc[entry.part, 'power']:.2f}")
        print(f"commit {reidlib.experiments.register.file()} before the first run")
        return 0
    print(*(f"not frozen: {line}\n" for line in reidlib.experiments.register.thawed(known)), sep="", end="")
    shown = ["state", "runs", "planned", "smallest", "unit", "error", "power", "decides", "noise"]
    print(found[shown].to_string(float_format="{:.3g}".format, na_rep="–"))
    missing = found.loc[found["missing"] != "", "missing"].drop_duplicates()
    print(*(["missing:", *missing] if len(missing) else ["no run is missing"]), sep="\n")
    return 0
