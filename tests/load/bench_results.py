"""Made-up results of a dispatch bench, so that figures can be checked by hand."""

from __future__ import annotations

from load.bench.cases import list_cases
from load.bench.controller import BARE, OWN, Plan, Results

ROUNDS = 3


def build_results(
    own_us: float = 2.0, peers: tuple[str, ...] = ("falcon", "blacksheep")
) -> Results:
    """Return results where ours takes `own_us`, the bare callable 1 µs, each peer 4, 5, ... µs."""
    results = Results(Plan(ROUNDS, 0.001))
    costs = {OWN: own_us, BARE: 1.0} | {peer: 4.0 + i for i, peer in enumerate(peers)}
    for name, cost in costs.items():
        cases = list_cases(own=name == OWN)
        results.samples[name] = {case.name: [cost] * ROUNDS for case in cases}
        results.versions[name] = {"version": "1.2.3"}
    return results
