"""Who has to keep time while others compute. Where precedence is not allowed, everybody does as well as they can."""

import contextlib
import os

from sfuserver import die_with_parent

NICE = -10


def child():
    """For `preexec_fn` of a camera, a link and viewers: they go first, or what is measured on a busy machine is their lateness.
    libwebrtc does the same for the thread that encodes."""
    die_with_parent()
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, NICE)


def give(pid):
    """To all threads of a process that runs already."""
    with contextlib.suppress(PermissionError, ProcessLookupError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            os.setpriority(os.PRIO_PROCESS, int(thread), NICE)
