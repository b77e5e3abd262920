#!/usr/bin/env python3
"""Builds and lints protos/ with buf, and refuses changes that would break users of the stored image.

The stored image, protos/image.binpb.gz, is what protos/ held when it was last written by --update: do that once an intended
change is made, and at each release. No network is used: buf comes from the package buf-bin, and what protos/ import is
copied from the installed googleapis-common-protos to build/googleapis, which buf.yaml names as a second module.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

from vendor_protos import IMAGE, ROOT, Unavailable, copy_imports

CHECKS = {
    "layout": ["format", "protos", "--diff", "--exit-code"],
    "build": ["build", "protos"],
    "lint": ["lint", "protos"],
    # What we import is not ours to hold stable, and differs with the installed googleapis-common-protos.
    "breaking": ["breaking", "protos", "--exclude-imports", "--against", str(IMAGE)],
}
UPDATE = ["build", "protos", "--exclude-source-info", "-o", str(IMAGE)]


def find_buf() -> str:
    """The buf of this interpreter's environment, else the one on PATH."""
    buf = shutil.which("buf", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    if buf is None:
        raise Unavailable("buf is not installed: pip install 'vision-grpc[dev]'")
    return buf


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--update", action="store_true", help="write the stored image from protos/ instead of comparing with it")
    arguments = parser.parse_args()
    checks = {name: command for name, command in CHECKS.items() if not (arguments.update and name == "breaking")}
    try:
        buf = find_buf()
        copy_imports(ROOT / "build/googleapis")
    except Unavailable as error:
        print(f"buf_check.py: {error}", file=sys.stderr)
        return 2
    if not (arguments.update or IMAGE.exists()):
        print(f"buf_check.py: there is no {IMAGE.relative_to(ROOT)}; write it by --update", file=sys.stderr)
        return 2
    failed = [name for name, command in checks.items() if subprocess.run([buf, *command], cwd=ROOT).returncode]
    if failed:
        print(f"buf refuses protos/ ({', '.join(failed)})", file=sys.stderr)
        return 1
    if arguments.update:
        return subprocess.run([buf, *UPDATE], cwd=ROOT).returncode
    print(f"buf: {', '.join(checks)} pass")
    return 0


if __name__ == "__main__":
    sys.exit(main())
