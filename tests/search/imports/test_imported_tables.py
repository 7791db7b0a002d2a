"""Tables as people save them: what each column is, what each row says, and what is wrong with the records."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reports.inference.scores import compare_scores
from search.imports.evaluations import Results
from search.imports.find_reader import read_source, readers, results_from
from search.imports.readers.csv_table import read_table
from search.imports.request import Request
from search.imports.results import results_of
from search.imports.roles import roles_of
from spaces.errors import UserError

#: Three tables of a published system below each other: train, validation and test, loss and accuracy.
PUBLISHED = """\
table,stages,dense,kernels,neurons,train_loss,train_acc,val_loss,val_acc,test_loss,test_acc,n_val,n_test
stages,2,2,64,128,1.0406,0.6082,1.1011,0.5917,0.9450,0.6591,7066,7178
stages,3,2,64,128,0.9832,0.6314,1.0303,0.6162,0.8786,0.6748,7066,7178
stages,4,2,64,128,1.0132,0.6142,1.0071,0.6281,0.9124,0.6548,7066,7178
stages,5,2,64,128,1.0619,0.5969,1.0216,0.6199,0.9433,0.6429,7066,7178
dense,4,1,64-64-128-128,256,0.8841,0.6712,0.9904,0.6386,0.8029,0.7086,7066,7178
dense,4,2,64-64-128-128,256,0.8847,0.6669,0.9805,0.6477,0.7874,0.7137,7066,7178
dense,4,3,64-64-128-128,256,1.0163,0.6139,1.0363,0.6115,0.9139,0.6623,7066,7178
dense,4,4,64-64-128-128,256,1.0252,0.6142,1.0471,0.6095,0.9322,0.6523,7066,7178
kernels,4,2,32-32-64-64,128-128,1.1032,0.5822,1.0493,0.6054,0.9851,0.6325,7066,7178
kernels,4,2,64-64-128-128,256-256,0.8847,0.6669,0.9805,0.6477,0.7837,0.7120,7066,7178
kernels,4,2,128-128-256-256,512-512,0.8031,0.7002,0.9804,0.6520,0.7010,0.7505,7066,7178
kernels,4,2,256-256-256-256,256-256,0.8571,0.6786,0.9558,0.6517,0.7449,0.7402,7066,7178
kernels,4,2,256-256-256-256,512-512,0.8122,0.6936,0.9429,0.6606,0.7016,0.7529,7066,7178
kernels,4,2,512-512-512-512,512-512,0.7184,0.7329,0.9187,0.6715,0.5869,0.8019,7066,7178
"""


def _read(
    text: str | bytes, folder: Path, choices: Request | None = None, images: int | None = None
) -> Results:
    file = folder / "results.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    table = read_table(file)
    return results_of(table, roles_of(table, choices or Request()), images)


def _scores(results: Results) -> dict[str, list[float]]:
    return {
        group[0].label: [round(one.metrics["val_accuracy"], 6) for one in group]
        for group in results.candidates
    }


def test_the_published_table_is_understood_and_its_leak_is_found(tmp_path: Path) -> None:
    results = _read(PUBLISHED, tmp_path)
    assert (len(results.candidates), results.images, results.test_images) == (14, 7066, 7178)
    assert results.guess[0] == "14 candidates by `table`, `stages`, `dense`, `kernels`, `neurons`; 1 run each"
    assert "`val_acc` is validation accuracy, 7,066 images" in results.guess
    assert "`test_acc` is test accuracy, 7,178 images" in results.guess
    assert results.evaluations[2].metrics == {
        "train_loss": 1.0132, "train_accuracy": 0.6142, "val_loss": 1.0071, "val_accuracy": 0.6281,
        "test_loss": 0.9124, "test_accuracy": 0.6548,
    }  # fmt: skip
    assert results.findings[0] == (
        "test is above validation in all 14 rows: the test images were probably trained on"
    )
    assert "each candidate was trained once: the noise between seeds is unknown" in results.findings


def test_pandas_writes_a_row_for_each_seed(tmp_path: Path) -> None:
    rows = [
        {
            "arch": arch,
            "lr": 0.1,
            "random_state": seed,
            "accuracy/validation": value,
            "params": 1000,
            "epochs": 9,
        }
        for arch, values in {"wide": [0.71, 0.7, 0.73], "deep": [0.6, 0.62, 0.61]}.items()
        for seed, value in enumerate(values)
    ]
    results = _read(
        pd.DataFrame(rows).sample(frac=1, random_state=0).to_csv(index=True), tmp_path, images=500
    )
    assert {name: sorted(values) for name, values in _scores(results).items()} == {
        "arch wide, lr 0.1": [0.7, 0.71, 0.73],
        "arch deep, lr 0.1": [0.6, 0.61, 0.62],
    }
    assert results.guess[-1] == "not used: `index`"


def test_semicolons_decimal_commas_percentages_and_a_column_for_each_seed(tmp_path: Path) -> None:
    text = "\ufeffNetz;Seed 1;Seed 2;Seed 3\r\nklein;61,2;60,8;62,0\r\ngroß;64,1;;65,2\r\n\r\n"
    results = _read(text, tmp_path)
    assert _scores(results) == {"Netz klein": [0.612, 0.608, 0.62], "Netz groß": [0.641, 0.652]}
    assert [one.seed for one in results.candidates[1]] == [1, 3]
    assert "(in percent)" in results.guess[1]
    assert results.guess[0] == "2 candidates by `Netz`; 2 to 3 seeds each by column"
    assert _scores(_read(text.removeprefix("\ufeff").encode("cp1252"), tmp_path)) == _scores(results)


def test_percent_signs_and_scores_of_seeds_by_split(tmp_path: Path) -> None:
    text = "model\tval_acc_seed1\tval_acc_seed2\ttrain_acc_seed1\ttrain_acc_seed2\na\t61%\t62 %\t70%\t71%\n"
    (one, two) = _read(text, tmp_path).evaluations
    assert one.metrics == {"val_accuracy": 0.61, "train_accuracy": 0.7}
    assert two.metrics == pytest.approx({"val_accuracy": 0.62, "train_accuracy": 0.71})


def test_options_decide_where_the_guess_is_wrong(tmp_path: Path) -> None:
    text = "arch,lr,try,score,other\na,0.1,1,0.6,x\na,0.1,2,0.7,y\n"
    choices = Request(candidate=("arch", "lr"), seed="try", scores={"val_accuracy": "score"})
    results = _read(text, tmp_path, choices)
    assert _scores(results) == {"arch a, lr 0.1": [0.6, 0.7]}
    assert results.guess[-1] == "not used: `other`"


def test_rows_without_seeds_are_counted_and_said(tmp_path: Path) -> None:
    results = _read("model,val_acc\na,0.6\nb,0.7\na,0.61\n", tmp_path)
    assert [(one.label, one.seed) for one in results.evaluations] == [
        ("model a", 1),
        ("model a", 2),
        ("model b", 1),
    ]
    assert "seeds are not recorded: rows of one candidate are counted as its seeds" in results.findings
    assert any("nobody says how many validation images" in one for one in results.findings)


def test_copied_values_and_test_equal_to_validation_are_found(tmp_path: Path) -> None:
    rows = "".join(f"m{n},0.24567,0.24567\n" for n in range(6))
    findings = _read("model,val_acc,test_acc\n" + rows, tmp_path, images=900).findings
    assert "test equals validation in 6 of 6 rows: one of the two was not measured" in findings
    assert any(one.startswith("6 rows have the validation accuracy 0.24567") for one in findings)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        ("\n \n", "is empty"),
        ("model,val_acc\n", "no rows"),
        ("model,val_acc\na,0.6\nb,good\nc,0.7\n", 'line 3: "val_acc" should be a number. Received: "good"'),
        ("model,val_acc\na,0.6\nb,71\n", "mixes percentages (line 3) and shares (line 2)"),
        ("model,val_acc\na,-1\n", "should be a share or a percentage"),
        ("model,val_acc\na,nan\n", "no complete run with a validation accuracy"),
        ("model,seed,val_acc\na,1,0.6\na,1,0.7\n", "model a has seed 1 twice (line 2 and line 3)"),
        ("model,seed,val_acc\na,x,0.6\n", '"seed" should be a seed'),
        ("model,val_acc,val_acc\na,0.6,0.7\n", 'the heading "val_acc" twice'),
        (
            "model,val_acc,valid_accuracy\na,0.6,0.7\n",
            "may both be validation accuracy: say which with --validation",
        ),
        ("model,test_acc\na,0.6\n", "a test score may decide nothing"),
        ("model,score\na,0.6\n", "name it with --validation COLUMN"),
        ("val_acc\n0.6\n", "name it with --candidate"),
        ("model,val_acc\na,0.6,0.7\n", "line 2: 3 cells under 2 headings"),
        ("model,val_acc,n\na,0.6,100\nb,0.7,200\n", "different numbers of images (100 to 200)"),
        (b"PK\x03\x04\x00\x00", "is no text"),
    ],
)
def test_a_bad_table_gets_one_sentence(text: str | bytes, says: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as refused:
        _read(text, tmp_path)
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match='has no column "val"; its columns are model, val_acc'):
        _read("model,val_acc\na,0.6\n", tmp_path, Request(scores={"val_accuracy": "val"}))
    with pytest.raises(UserError, match="there is no file"):
        read_table(tmp_path / "none.csv")


def test_nothing_is_claimed_of_the_published_tables(tmp_path: Path) -> None:
    results = _read(PUBLISHED, tmp_path)
    scores = {one.label: [one.metrics["val_accuracy"]] for one in results.evaluations}
    compared = compare_scores(scores, results.images)
    assert compared.better == ()
    four, five = (compared.row(f"table stages, stages {n}, dense 2, kernels 64, neurons 128") for n in (4, 5))
    assert four.low < five.mean < four.high
    assert "train is below validation in 3 of 14 rows" in " ".join(results.findings)


def test_keras_names_train_by_the_measure_alone(tmp_path: Path) -> None:
    text = "units,seed,accuracy,loss,val_accuracy,val_loss\n8,1,0.9,0.3,0.7,0.8\n8,2,0.91,0.2,0.71,0.9\n"
    one = _read(text, tmp_path).evaluations[0]
    assert one.metrics == {
        "train_accuracy": 0.9, "train_loss": 0.3, "val_accuracy": 0.7, "val_loss": 0.8,
    }  # fmt: skip


def test_a_table_that_pandas_has_turned_has_a_column_for_each_seed(tmp_path: Path) -> None:
    frame = pd.DataFrame({"arch": ["a", "a", "b", "b"], "seed": [0, 1, 0, 1], "acc": [0.6, 0.7, 0.5, 0.55]})
    wide = frame.pivot(index="arch", columns="seed", values="acc").to_csv()
    assert _scores(_read(wide, tmp_path)) == {"arch a": [0.6, 0.7], "arch b": [0.5, 0.55]}


def test_other_measures_than_accuracy_are_no_accuracy(tmp_path: Path) -> None:
    text = "model,val_acc,val_top5_acc,val_acc_std,val_f1\na,0.6,0.9,0.01,0.5\nb,0.7,0.92,0.02,0.6\n"
    results = _read(text, tmp_path)
    assert results.evaluations[0].metrics == {"val_accuracy": 0.6, "val_macro_f1": 0.5}
    assert results.guess[-1] == "not used: `val_top5_acc`, `val_acc_std`"


def test_the_plain_score_is_preferred_to_the_best_epochs(tmp_path: Path) -> None:
    results = _read("model,best_val_acc,val_acc\na,0.7,0.6\n", tmp_path)
    assert results.evaluations[0].metrics["val_accuracy"] == 0.6
    alone = _read("model,best_val_acc\na,0.7\n", tmp_path)
    assert any(one.startswith("`best_val_acc` is named after the best epoch") for one in alone.findings)


def test_one_setting_written_in_two_ways_is_one_candidate(tmp_path: Path) -> None:
    results = _read("lr,seed,val_acc\n0.1,1,0.6\n0.10,2,0.61\n1e-1,3,0.62\n", tmp_path)
    assert len(results.candidates) == 1


def test_epochs_are_a_setting_where_rows_have_no_seeds(tmp_path: Path) -> None:
    results = _read("model,epochs,val_acc\na,10,0.6\na,20,0.7\n", tmp_path)
    assert len(results.candidates) == 2


def test_results_that_are_no_setting_tell_no_candidates_apart(tmp_path: Path) -> None:
    text = "model,seed,val_acc,gpu_hours,recall\na,1,0.6,1.5,0.3\na,2,0.61,1.7,0.31\n"
    results = _read(text, tmp_path)
    assert len(results.candidates) == 1
    assert results.guess[-1] == "not used: `gpu_hours`, `recall`"


def test_networks_of_different_size_are_no_seeds_of_one_candidate(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="so they are not one candidate"):
        _read("model,params,val_acc\na,100,0.6\na,200,0.7\n", tmp_path)


@pytest.mark.parametrize(
    ("text", "images", "says"),
    [
        ("model,val_acc\na,0.6123\nb,0.5\n", 10, "1 of 2 validation accuracies are no share of 10 images"),
        ("model,val_acc\na,0.6\nb,\nc,0.5\n", 10, "1 of 3 rows have no validation accuracy"),
        ("model,fold,val_acc\na,1,0.6\na,2,0.5\n", 10, "runs differ by fold"),
        ("model,seed,val_acc,val_loss\na,1,0.6,1.1\na,2,0.6,1.1\n", 10, "have exactly the same numbers"),
        ("model,seed,val_acc\na,1,0.6\na,2,0.6\na,3,0.6\n", 10, "have the same validation accuracy"),
        ("model,val_acc\n" + "".join(f"m{n},0.{n}1\n" for n in range(1, 10)) + "x,0.5\n", 100, "best of 10"),
    ],
)
def test_what_is_wrong_with_records_is_said(text: str, images: int, says: str, tmp_path: Path) -> None:
    assert says in " ".join(_read(text, tmp_path, images=images).findings)


def test_rounded_shares_are_no_reason_to_doubt_the_number_of_images(tmp_path: Path) -> None:
    shares = [float(np.float32(n / 3589)) for n in (1, 1800, 2500, 3588)]
    for digits in (2, 3, 4, 9):
        text = "model,val_acc\n" + "".join(f"m{n},{share:.{digits}f}\n" for n, share in enumerate(shares))
        assert not any("no share of" in one for one in _read(text, tmp_path, images=3589).findings)


def test_histories_belong_to_rows_by_column_or_by_name(tmp_path: Path) -> None:
    (tmp_path / "h").mkdir()
    for arch, values in {"a": [0.5, 0.7, 0.6], "b": [0.4, 0.5, 0.55]}.items():
        rows = "".join(f"{n},{value + 0.1},{value}\n" for n, value in enumerate(values))
        (tmp_path / "h" / f"{arch}-1.csv").write_text("epoch,accuracy,val_accuracy\n" + rows)
    file = tmp_path / "results.csv"
    file.write_text("arch,seed,val_acc\na,1,0.7\nb,1,0.55\n")
    for pattern in ("{arch}-{seed}.csv", "*.csv"):
        request = Request(images=100, curve=str(tmp_path / "h" / pattern))
        _, results = results_from(str(file), request)
        assert results.evaluations[0].curves["val_accuracy"] == ((1, 0.5), (2, 0.7), (3, 0.6))
        assert results.evaluations[1].curves["train_accuracy"][0] == (1, 0.5)
        assert any("that of the best epoch in 1 of 2 runs" in one for one in results.findings)
    (tmp_path / "h" / "a-1.json").write_text('{"val_accuracy": [50, 70], "lr": [1, 1]}')
    _, results = results_from(str(file), Request(curve=str(tmp_path / "h" / "{arch}-{seed}.json")))
    assert results.evaluations[0].curves == {"val_accuracy": ((1, 0.5), (2, 0.7))}
    with pytest.raises(UserError, match=r"no file of .* belongs to a run"):
        results_from(str(file), Request(curve=str(tmp_path / "*.none")))
    with pytest.raises(UserError, match='no column "sed"'):
        results_from(str(file), Request(curve="{arch}-{sed}.csv"))


def test_every_reader_is_found_and_says_what_it_reads() -> None:
    assert {"csv_table", "mlflow_runs", "optuna_study", "keras_tuner_project"} <= readers().keys()
    with pytest.raises(UserError, match="is no source that can be imported: expected FILE"):
        read_source("wandb:project", Request())
