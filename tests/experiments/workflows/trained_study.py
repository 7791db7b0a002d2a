"""A small study that the tests of this folder share: its experiment, and what they ask of it."""

from dataclasses import dataclass

from reports.records.study import StudyRecords, load_study
from search.workspace import Workspace

EXPERIMENT = """
question = "What does a record hold?"
space = "plain_cnn"

[fix]
conv_stages = 2
convs_per_stage = 1
kernel_size = 3
kernels_2 = 8
head = "average"
neurons = [16]
batch_norm = false

[search]
kernels_1 = [4, 8]

[recipe]
batch_size = 32
learning_rate = 0.003

[protocol]
trials = 2
seeds = 2
leaders = 1
epochs = 2
pruner = "none"
keep_models = "all"
keep_models_mb = 0.001
max_parameters = 50000

[data]
source = "synthetic:train=200,validation=90,test=40"
"""


@dataclass(frozen=True)
class Trained:
    """A finished study: where it lies, and what its search command said."""

    workspace: Workspace
    sentences: tuple[str, ...]

    @property
    def tracking(self) -> str:
        return self.workspace.tracking_uri

    def study(self) -> StudyRecords:
        return load_study("recorded", self.tracking)

    def run_of(self, stage: str, place: int = 0) -> str:
        frame = self.study().evaluations
        return str(frame.run_id[frame.stage == stage].iloc[place])
