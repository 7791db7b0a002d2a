#!/bin/bash
# Not run here: no SLURM was at hand. Checked with bash -n and shellcheck.
#
# An array of workers on one study; tasks may start, end and be cancelled at any time:
#     export CANDOR_STORAGE=postgresql+psycopg://candor@db.example/studies     # the password from ~/.pgpass
#     export MLFLOW_TRACKING_URI=http://mlflow.example:5000
#     sbatch --array=1-8 deploy/slurm.sh joint --data /shared/images
# Whatever follows the experiment goes to `candor worker`. With GPUs: sbatch --gpus=1 --array=1-8 ...
#SBATCH --job-name=candor
#SBATCH --array=1-4
#SBATCH --cpus-per-task=8
#SBATCH --mem-per-cpu=2G
#SBATCH --time=12:00:00
#SBATCH --requeue
#SBATCH --output=candor-%A-%a.log
# Ten minutes before the time is over, the worker is asked to finish its epochs and to save.
#SBATCH --signal=B:TERM@600
set -euo pipefail

: "${1:?name the experiment: sbatch deploy/slurm.sh EXPERIMENT [--data ...]}"
: "${CANDOR_STORAGE:?set it to postgresql+psycopg://USER@HOST/NAME; the password belongs in ~/.pgpass}"
: "${MLFLOW_TRACKING_URI:?set it to the address of the MLflow server}"

# On a shared file system, so that another task goes on from the last epoch of one that is lost.
workspace="${CANDOR_WORKSPACE:-${SLURM_SUBMIT_DIR:-$PWD}/runs}"

# exec: the signal above reaches the worker itself.
exec candor worker "$@" --workspace "$workspace"
