"""`[data] labels`: suspects leave train alone; votes give soft targets and the majority as label."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from search.datasets.audit.collection import Collection
from search.datasets.cache.checksums import damaged_files
from search.datasets.prepare import Prepared, prepare
from search.labels import out_of_fold as predictions
from search.labels.choice import choose_labels
from search.labels.votes import judge, read_votes
from spaces.errors import UserError
from tests.search.labels.test_label_audit import SOURCE, clear
from tests.support.images.small_pictures import CLASSES, in_folder, silent, tree

pytestmark = pytest.mark.slow  # cleanlab takes seconds

#: The head and the kinds of lines of FER+'s table.
HEAD = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
FER = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Prepared:
    monkeypatch.setattr(predictions, "_trained", lambda data, log, say: clear(data, 24))
    return prepare(SOURCE, tmp_path / "cache", say=silent)


def chosen(data: Prepared, labels: str, say: Callable[[str], None] = silent) -> Prepared:
    return choose_labels(data, labels, data.folder.parent, data.folder.parent / "log", say)


def test_keep_is_the_data_set_itself(data: Prepared) -> None:
    assert chosen(data, "keep") is data


def test_suspects_leave_the_training_part_alone(data: Prepared) -> None:
    fewer = chosen(data, "drop-train")
    gone = np.setdiff1d(data.train().ids, fewer.train().ids)
    assert len(gone) == fewer.audit["labels"]["dropped"] == data.counts["train"] - fewer.counts["train"]
    assert 0 < len(gone) < 24  # some of the 24 are in validation, and stay there
    np.testing.assert_array_equal(fewer.validation().ids, data.validation().ids)
    np.testing.assert_array_equal(fewer.validation().labels, data.validation().labels)
    assert fewer.counts["validation"] == data.counts["validation"]
    assert (fewer.digest, fewer.test_digest) == (data.digest, data.test_digest)
    assert fewer.split_digest != data.split_digest
    assert "doubtful labels" in fewer.notes[-1]


def test_the_entry_is_whole_and_the_first_one_is_untouched(data: Prepared) -> None:
    fewer = chosen(data, "drop-train")
    assert damaged_files(data.folder) == damaged_files(fewer.folder) == []
    assert Prepared.open(data.folder) == data
    np.testing.assert_array_equal(Collection.of(fewer).ids, Collection.of(data).ids)
    assert chosen(data, "drop-train") == fewer


def voted(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "votes.csv"
    path.write_text("\n".join([HEAD, *lines]), encoding="utf-8")
    return path


def test_the_table_of_fer_plus_is_read_as_it_is(tmp_path: Path) -> None:
    path = voted(
        tmp_path,
        "Training,fer0000000.png,0,6,0,2,2,0,0,0,0,0",  # happy
        "Training,fer0000001.png,4,0,0,4,2,0,0,0,0,0",  # neutral and sad: a tie
        "Training,fer0000002.png,1,0,0,0,0,0,0,2,7,0",  # unknown
        "Training,,0,0,0,0,0,0,0,0,0,10",  # no face: without a name
        "PublicTest,fer0000004.png,0,1,0,0,0,0,0,9,0,0",  # contempt, which FER-2013 has not
        "PublicTest,fer0000005.png,0,0,0,0,9,0,1,0,0,0",  # angry
    )
    ids = [f"train/happy/row-{number + 2:06d}" for number in range(6)]
    found = judge(read_votes(path), ids, FER, "votes.csv")
    assert found.kept.tolist() == [True, False, False, False, False, True]
    assert (found.absent, found.rejected, found.tied) == (1, 2, 1)
    np.testing.assert_allclose(found.shares[0], [0.2, 0, 0, 0.6, 0.2, 0, 0])
    assert FER[found.shares[5].argmax()] == "angry"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n", "has no column of image names"),
        ("", "Received: an empty file"),
        ("image,cat,dog,owl\nx,1,many,0\n", "line 2 holds no votes"),
        ("image,cat,dog,owl\nx,1,-1,0\n", "numbers of at least 0"),
        ("image,cat,dog,owl\nx,1,nan,0\n", "numbers of at least 0"),
        ("image,cat,dog\nx,1,0\n", "has no column for owl"),
        ("image,cat,dog,owl\nx,1,0,0\n", "names none of the images"),
    ],
)
def test_a_table_that_does_not_fit_is_refused_in_one_sentence(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "votes.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=said):
        judge(read_votes(path), ["train/cat/1.png"], CLASSES, "votes.csv")


def test_votes_give_soft_targets_in_training_and_the_majority_as_label(tmp_path: Path) -> None:
    source = in_folder(tree(each=6), tmp_path / "set")
    data = prepare(str(source), tmp_path / "cache", say=silent)
    lines = ["image,cat,dog,owl,unknown"]
    for part in ("train", "validation", "test"):
        for label in CLASSES:
            lines += [
                f"{part}-{label}-{number},1,8,1,0"
                if label == "dog"
                else f"{part}-{label}-{number},{7 * (label == 'cat')},2,{7 * (label == 'owl')},0"
                for number in range(6)
            ]
    for old in source.rglob("*.png"):
        old.rename(old.with_name(f"{old.parent.parent.name}-{old.parent.name}-{old.name}"))
    lines[1] = "train-cat-0,0,0,9,0"  # labelled cat, seen as owl by all
    lines[2] = "train-cat-1,1,0,0,9"  # rejected
    data = prepare(str(source), tmp_path / "cache", say=silent)
    path = tmp_path / "votes.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    by_votes = chosen(data, str(path))
    train = by_votes.train()
    assert by_votes.audit["labels"] == {"how": "votes", "changed": 1, "rejected": 1, "tied": 0, "absent": 0}
    assert by_votes.counts == {"train": 17, "validation": 18, "test": 18}
    assert train.targets is not None
    first = train.ids.tolist().index("train/cat/train-cat-0.png")
    assert (train.labels[first], train.targets[first].tolist()) == (2, [0, 0, 1])
    dogs = train.targets[train.labels == 1]
    np.testing.assert_allclose(dogs, np.tile([0.1, 0.8, 0.1], (6, 1)), rtol=1e-6)
    assert by_votes.validation().targets is None
    np.testing.assert_array_equal(by_votes.validation().labels, data.validation().labels)
    assert by_votes.digest != data.digest
    assert by_votes.test_digest == data.test_digest
