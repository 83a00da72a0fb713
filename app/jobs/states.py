"""What is known of a job, and that nothing is known at the moment."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from framework.exceptions import HTTPException

Status = Literal["waiting", "running", "succeeded", "failed"]


class JobState(Struct, frozen=True):
    """What is known of a job.

    Args:
        id: names it.
        name: that of the function.
        status: a job whose worker died is `running` until another one goes on with it.
        progress: what the job has published last.
        result: what the function returned, when it has succeeded.
        error: type and text of the exception, when it has failed.
    """

    id: str
    name: str
    status: Status
    progress: Any = None
    result: Any = None
    error: str | None = None


class JobsUnavailable(HTTPException):
    """The database of the jobs is away, or locked for too long: answered with 503 unless it is caught."""

    def __init__(self) -> None:
        super().__init__(503, headers={"Retry-After": "5"})
