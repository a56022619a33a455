"""`python -m tomodistill.networks [--json]`: the table of networks with their cost."""

import argparse
import json

from tomodistill.networks.build import build, gflop
from tomodistill.networks.table import NETWORKS, PAPER_BOX, PAPER_CLASSES


def describe(box: int = PAPER_BOX, classes: int = PAPER_CLASSES) -> list[dict[str, object]]:
    """Name, role, parameters and gflop of every network at `box` voxels and `classes`."""
    rows: list[dict[str, object]] = []
    for network in NETWORKS.values():
        model = build(network.name, box=box, classes=classes)
        cost = {"parameters": model.count_params(), "gflop": round(gflop(model), 3)}
        rows.append({"name": network.name, "role": network.role, **cost})
    return rows


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="a list of objects")
    parser.add_argument("--box", type=int, default=PAPER_BOX, help="edge in voxels")
    parser.add_argument("--classes", type=int, default=PAPER_CLASSES)
    options = parser.parse_args()
    rows = describe(options.box, options.classes)
    if options.json:
        print(json.dumps(rows, indent=2))
        return
    for row in rows:
        print("{name:<10} {role:<8} {parameters:>12,} parameters {gflop:>8} GFLOP".format(**row))


if __name__ == "__main__":
    main()
