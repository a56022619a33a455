#!/usr/bin/env bash
# Makes .venv: Python 3.11 and exactly the `pip:` list of conda.yaml, versions from requirements.lock.
# Does nothing when nothing changed, so that a finished checkout may be read-only. A .venv without its
# stamp was never finished and is made again.
set -euo pipefail
cd -P "$(dirname "${BASH_SOURCE[0]}")" # by way of a link it is still the same .venv

root=$PWD
python=$root/.venv/bin/python
stamp=.venv/.complete
# In an activated .venv its own uv and python come first, and vanish when it is made again.
PATH=":$PATH:"
PATH=${PATH//":$root/.venv/bin:"/:}
PATH=${PATH#:}
PATH=${PATH%:}

fail() {
    printf 'set-up stopped: %s\nThen run make setup again.\n' "$1" >&2
    exit 1
}

fingerprint() {
    echo "$root" # scripts in .venv hold absolute paths: a moved checkout needs a new one
    cksum conda.yaml requirements.lock pyproject.toml setup.sh tools/pins.sh tools/activate_conda.sh
}

reusable() {
    [[ -f $stamp && $(head -n 1 "$stamp") == "$root" ]] && "$python" -c '' 2>/dev/null
}

base_python() {
    local candidate check='import ensurepip, sys
print(sys._base_executable) if sys.version_info[:2] == (3, 11) else sys.exit(1)'
    for candidate in python3.11 python3 python; do
        "$candidate" -c "$check" 2>/dev/null && return
    done
    return 1
}

make_venv() {
    echo "making .venv" >&2
    rm -rf .venv
    if command -v uv >/dev/null && uv venv --quiet --seed --python 3.11 .venv; then return; fi
    local base
    base=$(base_python) || fail "Python 3.11 with its venv module was not found. Install python3.11 \
(Debian and Ubuntu: also python3.11-venv), or uv, which brings it."
    "$base" -m venv --clear .venv || fail "$base could not make .venv; see above."
}

install_packages() {
    local uv=.venv/bin/uv hint="see above; is the network up, are 6 GB of disk free?"
    echo "installing the packages of conda.yaml; this takes a few minutes the first time" >&2
    rm -f "$stamp"
    [[ -x $uv ]] || "$python" -m pip install --quiet --disable-pip-version-check \
        "$(tools/pins.sh | grep '^uv==')" || fail "uv could not be installed: $hint"
    # Byte code now: several processes import the same large libraries later.
    tools/pins.sh | "$uv" pip install --python "$python" --compile-bytecode \
        --requirement - --constraint requirements.lock || fail "packages are missing: $hint"
    # The build tool is the locked setuptools (TensorFlow requires it), not one fetched for the build.
    "$uv" pip install --quiet --python "$python" --no-deps --no-build-isolation --editable . ||
        fail "tomodistill itself could not be installed; see above."
}

connect_conda() {
    grep -q 'mlflow-HASH' .venv/bin/activate || cat tools/activate_conda.sh >>.venv/bin/activate
    [[ -e .venv/bin/conda ]] || tools/conda info --base >/dev/null 2>&1 ||
        ln -sf ../../tools/conda .venv/bin/conda
}

make_database() { # two first starts at once on a new database crash, so it is made here
    echo "making mlflow.db" >&2
    rm -f mlflow.db.part
    # The look makes tables and first experiment. A look by `mlflow ui` would do so too, but with
    # artifacts that only a server reaches.
    MLFLOW_TRACKING_URI=sqlite:///mlflow.db.part .venv/bin/mlflow experiments search >/dev/null ||
        fail "no mlflow.db; see above."
    mv mlflow.db.part mlflow.db
}

keep_database() {
    case ${MLFLOW_TRACKING_URI-} in "" | "sqlite:///$root/mlflow.db") ;; *) return ;; esac
    if [[ -w mlflow.db ]]; then
        "$python" tools/moved_store.py
    elif [[ -w . && ! -e mlflow.db ]]; then
        make_database
    fi
}

exec 9<setup.sh # one set-up at a time
if command -v flock >/dev/null; then flock 9; fi
wanted=$(fingerprint)
if ! reusable || [[ $(<"$stamp") != "$wanted" ]]; then
    [[ -w . ]] || fail "$root cannot be written, and its .venv is unfinished, out of date or from \
another place. Ask whoever installed it, or use a checkout of your own."
    reusable || make_venv
    install_packages
    printf '%s\n' "$wanted" >"$stamp.part"
    mv "$stamp.part" "$stamp"
fi
connect_conda
keep_database
