"""Run as a process by `inference.worker.server`."""

import ctypes
import signal
import sys

from inference.worker.celery_app import run_worker

# From <linux/prctl.h>. A Celery whose parent was killed would go on unseen: nobody would know its health or stop it.
_PR_SET_PDEATHSIG = 1
ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)

run_worker(sys.argv[1], int(sys.argv[2]))
