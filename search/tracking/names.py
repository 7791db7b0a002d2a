"""The contract between search and reports: every name that MLflow holds.

Search writes these names, reports read them, and nothing else is shared between the two.
"""

from typing import Final

# Tags. A study is a parent run; evaluations and openings of the test set are its child runs.
KIND: Final = "candor.kind"
KEY: Final = "candor.key"  # study/stage/slot/seed: one evaluation has one key for ever
STUDY: Final = "candor.study"
EXPERIMENT: Final = "candor.experiment"
TRIAL: Final = "candor.trial"  # the slot in explore's plan, in both stages; of a grid the cell's
SEED: Final = "candor.seed"
STAGE: Final = "candor.stage"
STATE: Final = "candor.state"
REASON: Final = "candor.reason"  # why an evaluation is infeasible, diverged, failed or a duplicate
CANDIDATE: Final = "candor.candidate"  # fingerprint of architecture + recipe
ARCHITECTURE: Final = "candor.architecture"  # fingerprint of the architecture
FAMILY: Final = "candor.family"
VARIANT: Final = "candor.variant"
LABEL: Final = "candor.label"  # what a person calls the architecture
BASELINE: Final = "candor.baseline"  # "true" on evaluations of the experiment's baseline
RESUMED: Final = "candor.resumed"  # on the study: when it was last begun or gone on with, in milliseconds
LOOKS: Final = "candor.looks"  # on the study: how often its validation results were looked at
SEEN: Final = "candor.seen"  # on the study: digest of what the last look saw
ROUNDS: Final = "candor.rounds"  # on a study in rounds: why they ended, or "open"
DATA_DIGEST: Final = "candor.data_digest"
SPLIT_DIGEST: Final = "candor.split_digest"
TEST_DIGEST: Final = "candor.test_digest"
VERDICT_HASH: Final = "candor.verdict_hash"
GIT_COMMIT: Final = "candor.git_commit"
GIT_DIRTY: Final = "candor.git_dirty"
HOST: Final = "candor.host"
PID: Final = "candor.pid"
SOURCE: Final = "candor.source"  # on imported runs: where they come from
CONTENT: Final = "candor.content"  # on imported runs: digest of all that was read, to see what changed
VERSIONS: Final = "candor.versions"  # JSON: package -> version

# Values of KIND
STUDY_KIND: Final = "study"
EVALUATION_KIND: Final = "evaluation"
UNSEALING_KIND: Final = "unsealing"
FINAL_KIND: Final = "final"  # the selected candidate trained once more, on train and monitor together

# Values of STAGE
EXPLORE: Final = "explore"
CONFIRM: Final = "confirm"
FINAL: Final = "final"
SCORED: Final = "scored"  # a model made elsewhere, on the validation images; competes for nothing

# Values of STATE
RUNNING: Final = "running"
COMPLETE: Final = "complete"
PRUNED: Final = "pruned"
DUPLICATE: Final = "duplicate"
INFEASIBLE: Final = "infeasible"
DIVERGED: Final = "diverged"
FAILED: Final = "failed"
STATES: Final = (RUNNING, COMPLETE, PRUNED, DUPLICATE, INFEASIBLE, DIVERGED, FAILED)
#: States that use up one of explore's trials. Infeasible and duplicate draws cost next to nothing.
COUNTED: Final = (COMPLETE, PRUNED, DIVERGED, FAILED)
#: MLflow's status of a run in each state. Optuna's states: `search.study.stages.tell`.
MLFLOW_STATUS: Final = {
    RUNNING: "RUNNING",
    COMPLETE: "FINISHED",
    PRUNED: "KILLED",
    DUPLICATE: "FINISHED",
    INFEASIBLE: "FINISHED",
    DIVERGED: "FAILED",
    FAILED: "FAILED",
}

# Parameters: ARCH + field and RECIPE + field; lists read "64-64-128-128".
ARCH: Final = "arch."
RECIPE: Final = "recipe."
PARAM_TRIAL: Final = "trial"
PARAM_SEED: Final = "seed"
PARAM_PRECISION: Final = "precision"
PARAM_THREADS: Final = "threads"
#: Fields under ARCH that every table knows; a family leaves out what it does not have.
ARCH_FACTS: Final = ("conv_stages", "kernels", "dense_layers", "neurons")

# Metrics by epoch; the step is the epoch, counted from 1.
EPOCH_SECONDS: Final = "epoch_seconds"
EPOCH_METRICS: Final = (
    "train_loss",
    "train_accuracy",
    "monitor_loss",
    "monitor_accuracy",
    "learning_rate",
    EPOCH_SECONDS,
)

# Final metrics, logged once at step 0: inference mode, no augmentation, kept weights.
MONITOR_FINAL: Final = "monitor_final_"  # + accuracy, loss, macro_f1
VAL: Final = "val_"  # + accuracy, loss, macro_f1; not in explore
TRAIN_CLEAN: Final = "train_clean_"  # + accuracy, loss
TEST: Final = "test_"  # + accuracy, loss, macro_f1; on unsealing runs only
GAP_ACCURACY: Final = "gap_accuracy"
GAP_LOSS: Final = "gap_loss"
RELATIVE_OVERFIT: Final = "relative_overfit"
OVERFIT_SLOPE: Final = "overfit_slope"
ECE: Final = "ece"
TEMPERATURE: Final = (
    "temperature"  # fitted on the ranking split: see search.training.measures.probability_calibration
)
BEST_EPOCH: Final = "best_epoch"
EPOCHS: Final = "epochs"
AVERAGED: Final = "averaged"  # 1 where the kept weights are averages; only with recipe.weight_average
PARAMETERS: Final = "parameters"
MACS: Final = "macs"
SECONDS: Final = "seconds"
IMAGES_PER_SECOND: Final = "images_per_second"
PEAK_RSS_MIB: Final = "peak_rss_mib"

# Artifacts of an evaluation
#: All it takes to train it again: candidate, seeds, protocol, digests of the images, and under what it was
#: trained (search.tracking.environment).
EVALUATION_JSON: Final = "evaluation.json"
HISTORY_CSV: Final = "history.csv"  # columns: epoch + EPOCH_METRICS
#: Arrays ids (str), labels (int), probabilities (float32, images x classes), groups (int: images of
#: one number are twins), has_twin (bool: a twin was in the training side before the purge).
PREDICTIONS_NPZ: Final = "predictions.npz"
EXPERIMENT_TOML: Final = "experiment.toml"  # the resolved experiment file
#: The network's layers, as spaces.outline writes them; not in explore.
LAYERS_JSON: Final = "layers.json"
#: Validation images that were most confidently wrong, or most confused: tiles in one PNG, whose text chunk
#: GALLERY_TEXT is JSON with `tile` (height, width) and `ids`, row by row; not in explore.
GALLERY_PNG: Final = "gallery.png"
GALLERY_TEXT: Final = "candor"
MODEL_KERAS: Final = "model.keras"  # leaders only
# Artifacts of a study
STUDY_JSON: Final = "study.json"  # see docs/mlflow.md
AUDIT: Final = "audit"  # folder: audit.html with galleries, audit.json, lists of files as CSV
AUDIT_HTML: Final = "audit/audit.html"
VERDICT_JSON: Final = "verdict.json"
VERDICTS: Final = "verdicts"  # folder: look_1.json, look_2.json, ...
REPORT_HTML: Final = "report.html"
#: Rows of pictures, a class each, with what the registered model's answers rest on: see `candor explain`.
EXPLANATIONS_PNG: Final = "explanations.png"

# The model registry. One registered model for each experiment, under its name.
CHAMPION: Final = "champion"
CHALLENGER: Final = "challenger"
FORMER_CHAMPIONS: Final = "candor.former_champions"  # on the model: versions, the latest last
SOURCE_KEY: Final = "candor.source_key"  # on a version: the key of the evaluation whose model it is
TRAINED_ON: Final = "candor.trained_on"  # on a version: "train" or "train + monitor"
# Tags of a version: numbers of the candidate, means over its confirm seeds; OWN_: of this very file.
OWN: Final = "own_"
MODEL_SEEDS: Final = "seeds"
VAL_IMAGES: Final = "val_images"
# Files of a version
SERVED: Final = "artifacts"  # folder
LABELS_JSON: Final = "labels.json"  # class names, image shape, temperature, backend
