"""A process that forks one node after the other: `python tests/faults/child.py`, orders as JSON lines on its input.

Forked from a process that has imported everything, a node is up in a fifth of a second, so that a hundred of them can be
killed in a test. Says {"pid": n} at each birth and {"ended": wait status} at each death. Imports nothing at module
level, because verify processes import this module too.
"""

from __future__ import annotations


def main() -> None:
    """Fork a node for each line of orders, and wait for its end."""
    import json
    import os
    import sys
    import traceback

    from load import Orders, run, tell

    for line in sys.stdin:
        orders = Orders(**json.loads(line))
        pid = os.fork()
        if pid == 0:
            tell({"pid": os.getpid()})
            code = 70
            try:
                code = run(orders)
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(code)
        _, status = os.waitpid(pid, 0)
        os.write(1, b"\n")  # what was cut off by the kill is a line of its own
        tell({"ended": status})


if __name__ == "__main__":
    main()
