"""The composition root of the job worker: every durable job of every slice.

Apart from `app.main`, so that web workers do not load what executes jobs.
"""

from __future__ import annotations

from typing import Final

from app.jobs.demo import count

JOBS: Final = (count,)
"""What `make worker` can execute."""
