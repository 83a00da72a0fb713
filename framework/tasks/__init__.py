"""Work that outlives its request and ends with the process: `app.tasks`.

What must also survive the death of the process is a durable job, not a task.
"""

from __future__ import annotations

from framework.tasks._lock import ProcessLock
from framework.tasks._supervisor import (
    RUN_DIRECTORY_VARIABLE,
    TaskStatistics,
    TaskSupervisor,
)

__all__ = ["RUN_DIRECTORY_VARIABLE", "ProcessLock", "TaskStatistics", "TaskSupervisor"]
