"""A process that forks one node after the other: `python tests/faults/child.py`, orders as JSON lines on its input.

Forked from a process that has imported everything, a node is up in a fifth of a second, so that a hundred of them can
be killed in a test. Says {"pid": n} at each birth and {"ended": wait status} at each death.
"""

from __future__ import annotations

import json
import os
import sys
import traceback

if __name__ == "__main__":  # verify processes import this module too, and need none of it
    from tests.faults.load import Orders, run, tell


def main() -> None:
    """Fork a node for each line of orders, and wait for its end."""
    for line in sys.stdin:
        orders = Orders(**json.loads(line))
        pid = os.fork()
        if pid == 0:
            tell({"pid": os.getpid()})
            code = 70
            try:
                code = run(orders)
            except BaseException:  # noqa: BLE001 - shown, and told by the exit code
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(code)
        _, status = os.waitpid(pid, 0)
        os.write(1, b"\n")  # what was cut off by the kill is a line of its own
        tell({"ended": status})


if __name__ == "__main__":
    main()
