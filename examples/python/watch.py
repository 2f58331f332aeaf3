#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Shows what happens at a daemon, line by line, until it is interrupted or has shown COUNT lines.

    watch.py [SOCKET | https://HOST:8443 [COUNT]]
"""
import sys

import lxdcore


def main() -> int:
    url = sys.argv[1] if len(sys.argv) > 1 else ""
    left = int(sys.argv[2]) if len(sys.argv) > 2 else -1
    with lxdcore.Client(url) as client, client.events(types=["lifecycle"], all_projects=True) as events:
        print("watching", file=sys.stderr, flush=True)
        if left == 0:
            return 0
        for event in events:
            print(event.timestamp, event.action, event.source, flush=True)
            left -= 1
            if left == 0:
                break
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        pass
    except lxdcore.Error as error:
        sys.exit(f"watch.py: {error}")
