"""A child process that takes nothing of what it is sent: `python -m tests.harness.deaf`."""

import time

if __name__ == "__main__":
    time.sleep(60)
