"""Tables with several rows for each run: by split, by metric, by epoch."""

from pathlib import Path

import pytest

from search.imports.evaluations import Results
from search.imports.find_reader import results_from
from search.imports.request import Request
from spaces.errors import UserError


def _read(text: str, folder: Path, **request: object) -> Results:
    file = folder / "results.csv"
    file.write_text(text)
    return results_from(str(file), Request(**request))[1]


def test_a_column_says_the_split(tmp_path: Path) -> None:
    text = "arch,seed,set,n,acc,params\na,1,train,100,90,7\na,1,dev,50,60,7\nb,1,training,100,90,8\n"
    results = _read(text + "b,1,test,70,60,8\nb,1,validation,50,62,8\n", tmp_path)
    assert [(one.label, one.seed, one.metrics) for one in results.evaluations] == [
        ("arch a", 1, {"train_accuracy": 0.9, "val_accuracy": 0.6, "parameters": 7.0}),
        (
            "arch b",
            1,
            {"train_accuracy": 0.9, "val_accuracy": 0.62, "test_accuracy": 0.6, "parameters": 8.0},
        ),
    ]
    assert (results.images, results.test_images) == (50, 70)
    assert results.evaluations[1].where == "lines 4 to 6"
    assert "`set` says what a row holds: 5 rows become 2" in results.guess


def test_a_column_says_the_metric_and_another_the_epoch(tmp_path: Path) -> None:
    lines = [
        f"{arch},{seed},{epoch},{split},{metric},{value + epoch / 100 + seed / 1000:.3f}"
        for arch, start in (("a", 0.4), ("b", 0.5))
        for seed in (1, 2)
        for epoch in (0, 1, 2)
        for split, more in (("train", 0.2), ("val", 0.0))
        for metric, value in (("acc", start + more), ("loss", 1 - start))
    ]
    results = _read("\n".join(["arch,seed,epoch,split,metric,value", *reversed(lines)]), tmp_path)
    last = {(one.label, one.seed): one.metrics["val_accuracy"] for one in results.evaluations}
    assert last == pytest.approx(
        {("arch a", 1): 0.421, ("arch a", 2): 0.422, ("arch b", 1): 0.521, ("arch b", 2): 0.522}
    )
    first = next(one for one in results.evaluations if one.label == "arch a" and one.seed == 1)
    assert first.curves["val_accuracy"] == ((1, 0.401), (2, 0.411), (3, 0.421))
    assert set(first.curves) == {"train_accuracy", "train_loss", "val_accuracy", "val_loss"}
    assert first.metrics["epochs"] == 3


def test_a_row_for_each_epoch_of_keras(tmp_path: Path) -> None:
    text = "arch,seed,epoch,accuracy,val_accuracy\na,1,0,.5,.62\na,1,1,.6,.6\na,2,0,.5,.4\na,2,1,.7,.6\n"
    results = _read(text, tmp_path)
    assert [one.metrics["val_accuracy"] for one in results.evaluations] == [0.6, 0.6]
    assert "`epoch` numbers the rows of a run: its last epoch counts" in results.guess


def test_one_row_a_run_stays_as_it_is(tmp_path: Path) -> None:
    folds = _read("arch,split,accuracy\na,1,.6\na,2,.61\n", tmp_path)
    assert [one.seed for one in folds.evaluations] == [1, 2]
    stopped = _read("arch,seed,epoch,val_acc\na,1,13,.6\na,2,20,.61\n", tmp_path)
    assert [(one.label, one.metrics["epochs"]) for one in stopped.evaluations] == [
        ("arch a", 13.0),
        ("arch a", 20.0),
    ]


def test_rows_that_cannot_be_told_apart_are_refused(tmp_path: Path) -> None:
    text = "arch,split,acc\na,train,.9\na,val,.6\na,val,.61\n"
    with pytest.raises(UserError, match=r"`split` \"val\" twice \(line 3 and line 4\): add a column with"):
        _read(text, tmp_path)
    with pytest.raises(UserError, match="a test score may decide nothing"):
        _read("arch,split,acc\na,test,.9\nb,test,.6\n", tmp_path)


def test_what_the_person_names_is_left_alone(tmp_path: Path) -> None:
    results = _read("arch,mode,acc\na,train,.9\na,eval,.6\n", tmp_path, candidate=("arch", "mode"))
    assert [one.label for one in results.evaluations] == ["arch a, mode train", "arch a, mode eval"]
