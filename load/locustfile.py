"""All personas, for locust's own user interface: `locust -f load/locustfile.py`."""

from __future__ import annotations

from load.scenarios.clumsy import Clumsy
from load.scenarios.greeter import Greeter
from load.scenarios.operator import Operator

__all__ = ["PERSONAS", "Clumsy", "Greeter", "Operator"]

PERSONAS = [Clumsy, Greeter, Operator]
