"""``python -m benchmarks [name …] [--rounds N] [--json FILE] [--readme]``: runs the named benchmarks, or all of them."""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
from importlib import import_module
from pathlib import Path

from benchmarks import Table
from benchmarks._report import machine, markdown, update_readme

BENCHMARKS = {
    "import": "imports",
    "build": "build",
    "call": "call",
    "auth": "auth",
    "wait": "wait",
    "decode": "decode",
    "job": "end_to_end",
    "engine": "job",
    "beam": "beam",
    "local": "local",
    "scale": "scale",
}
"""Each benchmark's name and its module; `import` cannot be the name of one."""

ASKED_FOR = {"engine", "beam"}
"""Those that run only where they are named: they compare with no peer, or need an environment of their own."""

README = Path(__file__).resolve().parent.parent / "README.md"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Side-by-side measurements.")
    parser.add_argument(
        "names",
        nargs="*",
        metavar="name",
        help=f"which of {', '.join(BENCHMARKS)}; where none is named all but {', '.join(sorted(ASKED_FOR))}",
    )
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each contender; the long ones run fewer (default: %(default)s)")
    parser.add_argument("--simulate", type=int, metavar="IMAGES", help="job: only simulate one of this many images in virtual time")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every figure there")
    parser.add_argument("--markdown", action="store_true", help="print the README's table at the end")
    parser.add_argument("--readme", action="store_true", help="put that table into README.md, between its <!-- benchmarks --> marks")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(BENCHMARKS):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}; the names are {', '.join(BENCHMARKS)}")
    if arguments.rounds < 1:
        parser.error("--rounds must be at least 1")
    # A simulated service loses answers on purpose: what a job says about that is no figure.
    logging.getLogger("vision_grpc.job").setLevel(logging.ERROR)
    print(machine())
    if arguments.simulate:
        from benchmarks.job import simulate

        show(simulate(arguments.simulate))
        return
    tables: list[tuple[str, Table]] = []
    for name in arguments.names or [name for name in BENCHMARKS if name not in ASKED_FOR]:
        print(f"\n== {name}", flush=True)
        try:
            module = import_module(f"benchmarks.{BENCHMARKS[name]}")
        except ModuleNotFoundError as error:
            parser.error(f"{name}: {error}")
        for table in module.run(arguments.rounds):
            show(table)
            tables.append((name, table))
    if arguments.json:
        figures = [{"benchmark": name} | dataclasses.asdict(table) for name, table in tables]
        arguments.json.write_text(json.dumps({"machine": machine(), "rounds": arguments.rounds, "tables": figures}, indent=2) + "\n")
    if arguments.markdown:
        print("\n" + markdown(tables))
    if arguments.readme:
        update_readme(README, markdown(tables))


def show(table: Table) -> None:
    """Prints one table: wall milliseconds (lowest – highest) and their ratio, CPU milliseconds and theirs, figures, targets."""
    print(f"\n{table.title}")
    width = max(len(row.name) for row in table.rows)
    for row in table.rows:
        line = f"  {row.name:{width}}"
        if row.median is not None:
            spread = f"({(row.lowest or 0) * 1000:.2f} – {(row.highest or 0) * 1000:.2f})"
            line += f"  {row.median * 1000:9.2f} ms {spread:>22}"
        if row.ratio is not None:
            line += f" {row.ratio:6.2f}×"
        if row.cpu is not None:
            line += f"   CPU {row.cpu * 1000:9.2f} ms"
        if row.cpu_ratio is not None:
            line += f" {row.cpu_ratio:6.2f}×"
        print(line + "".join(f"  {name}: {_short(value)}" for name, value in row.figures.items()), flush=True)
    for target in table.targets:
        print(f"  {'reached' if target.met else 'MISSED '}  {target.words}: {target.value:.2f}, to be {target.bound}", flush=True)


def _short(value: object) -> str:
    return f"{value:,.2f}".removesuffix(".00") if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
