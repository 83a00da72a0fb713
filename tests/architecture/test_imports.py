"""What importing the framework costs in modules."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.architecture.sources import ROOT

# anyio needs the last three on some Python versions; nothing else may be paid for.
ALLOWED = {"anyio", "msgspec", "framework", "idna", "sniffio", "typing_extensions"}
PROBE = """
import json, sys
before = set(sys.modules)
import framework.applications, framework.routing, framework.responses
tops = {name.partition(".")[0] for name in set(sys.modules) - before}
print(json.dumps(sorted(tops - sys.stdlib_module_names)))
"""


def test_the_core_pulls_in_no_third_party_module_beyond_anyio_and_msgspec() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROBE], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(json.loads(done.stdout))
    assert "framework" in loaded
    assert loaded <= ALLOWED
