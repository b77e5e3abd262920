"""``python -m vision_grpc``: says which commands there are. It is none itself."""

import sys

from vision_grpc._version import __version__

_COMMANDS = f"""\
vision-grpc {__version__} has two commands, each with a --help of its own: python -m vision_grpc.submit annotates pictures, \
and python -m vision_grpc.emulator serves the embedded server."""

if __name__ == "__main__":
    asked = sys.argv[1:] in (["--help"], ["-h"], ["--version"])
    print(_COMMANDS, file=sys.stdout if asked else sys.stderr)
    sys.exit(0 if asked else 2)
