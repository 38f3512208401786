"""Who has to keep time while others compute."""

import contextlib
import os

from sfuserver import die_with_parent


def child():
    """For `preexec_fn` of a camera and of a link: they go first, at little cost to the others, or what is measured on a busy machine
    is their lateness. libwebrtc does the same for the thread that encodes. Where it is not allowed they do as well as they can."""
    die_with_parent()
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, -10)
