"""Set-up runs this: after a checkout was moved, its mlflow.db finds the artifacts in mlruns/ again.

MLflow keeps absolute paths. Once the folder they lead to is gone they are changed, in one
transaction and with a copy of mlflow.db beside it. While that folder exists this checkout is a copy
of another: then nothing is changed, unless --separate says that the copy shall go its own way.
"""

import argparse
import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STORE, BACKUP = ROOT / "mlflow.db", ROOT / "mlflow.db.before-move"
RUNS = "mlruns"
LOCATIONS = {  # table -> columns; what a run says of its source is history, and stays
    "experiments": ("artifact_location",),
    "runs": ("artifact_uri",),
    "logged_models": ("artifact_location",),
    "model_versions": ("source", "storage_location"),
}
WAIT = 20.0  # seconds for other writers
COPIED = """\
set-up stopped: mlflow.db was copied from another checkout, and leads to the artifacts in {old}
To use the mlruns/ here from now on:  python tools/moved_store.py --separate
To go on with the runs there:         export MLFLOW_TRACKING_URI='sqlite:///{home}/mlflow.db'
Then run make setup again."""
UNREADABLE = "set-up stopped: {store}: {error}. End what uses it; if it is damaged, move it away."


def main() -> None:
    """Look at the checkout's own store, and mend what leads elsewhere."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--separate", action="store_true", help="of a copy: use its own mlruns/")
    separate = parser.parse_args().separate
    try:
        with closing(sqlite3.connect(STORE, timeout=WAIT, isolation_level=None)) as store:
            homes = former_homes(store)
            if not separate:
                refuse_copies(homes)
            if homes:
                bring_here(store, homes)
    except sqlite3.Error as error:
        sys.exit(UNREADABLE.format(store=STORE, error=error))


def former_homes(store: sqlite3.Connection) -> set[str]:
    """Folders other than this one whose `mlruns` holds the artifacts of an experiment.

    Only where MLflow chose the place, HOME/mlruns/ID: what someone else chose stays.
    """
    if "experiments" not in dict(locations(store)):
        return set()  # a new, empty file
    homes = set()
    rows = store.execute("SELECT experiment_id, artifact_location FROM experiments")
    for number, location in rows:
        home = str(location).removesuffix(f"/{RUNS}/{number}")
        if home != location and os.path.isabs(home) and not is_here(home):
            homes.add(home)
    return homes


def is_here(home: str) -> bool:
    """Whether a path leads to this checkout, perhaps by way of a link."""
    return home == str(ROOT) or (os.path.exists(home) and os.path.samefile(home, ROOT))


def refuse_copies(homes: set[str]) -> None:
    """Ends set-up if an old home still has its artifacts: they are another checkout's."""
    for home in homes:
        if os.path.exists(old := f"{home}/{RUNS}/"):
            sys.exit(COPIED.format(old=old, home=home))


def bring_here(store: sqlite3.Connection, homes: set[str]) -> None:
    """Change every location in the old homes to the same one here."""
    new = f"{ROOT}/{RUNS}/"
    store.execute("BEGIN IMMEDIATE")  # from here on no one else writes
    for old in (f"{home}/{RUNS}/" for home in homes):
        if missing := only_there(store, old, new):
            sys.exit(f"{missing} folders are only in {old}: first say cp -rn '{old}' '{ROOT}'")
    keep_copy()
    for home in homes:
        change(store, f"{home}/{RUNS}/", new)
    store.execute("COMMIT")
    print(
        f"mlflow.db: artifacts are in {new} now, no more in {', '.join(sorted(homes))}"
        f" (the file before this change: {BACKUP.name})",
        file=sys.stderr,
    )


def only_there(store: sqlite3.Connection, old: str, new: str) -> int:
    """How many artifact folders exist in the old home and not here; of a moved checkout none."""
    count = 0
    for table, column in locations(store):
        for (location,) in store.execute(f"SELECT {column} FROM {table}"):
            rest = str(location).removeprefix(old)
            if rest != location and os.path.exists(location) and not os.path.exists(new + rest):
                count += 1
    return count


def keep_copy() -> None:
    """A copy of the store, whole or not there."""
    part = BACKUP.with_suffix(".part")
    part.unlink(missing_ok=True)
    with closing(sqlite3.connect(STORE)) as store, closing(sqlite3.connect(part)) as copy:
        store.backup(copy)
    part.replace(BACKUP)


def change(store: sqlite3.Connection, old: str, new: str) -> None:
    """Another beginning for every location that has the old one."""
    for table, column in locations(store):
        store.execute(
            f"UPDATE {table} SET {column} = ? || substr({column}, ?)"
            f" WHERE substr({column}, 1, ?) = ?",
            (new, len(old) + 1, len(old), old),
        )


def locations(store: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    """Table and column of every location; older stores lack some."""
    for table, columns in LOCATIONS.items():
        present = {row[1] for row in store.execute(f"PRAGMA table_info({table})")}
        yield from ((table, column) for column in columns if column in present)


if __name__ == "__main__":
    main()
