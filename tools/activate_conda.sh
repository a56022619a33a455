
# Set-up adds this to .venv/bin/activate. `mlflow run` says `source activate mlflow-HASH` and means
# conda's script, but where .venv/bin comes first on PATH this one is found. So hand over to a real
# conda; where there is none (then `conda info` fails), .venv is the environment that was meant.
case "${1-}" in mlflow-*)
    if conda_base=$(conda info --base 2>/dev/null); then
        # --stack: otherwise conda's base, if active, keeps its place on PATH, behind .venv/bin
        . "$conda_base/etc/profile.d/conda.sh" && conda activate --stack "$1"
    fi ;;
esac
