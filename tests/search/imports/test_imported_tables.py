"""Tables as people save them: what each column is, what each row says, and what is wrong with the records."""

from pathlib import Path

import pandas as pd
import pytest

from search.imports.results import Results, results_of
from search.imports.roles import Choices, roles_of
from search.imports.table import read_table
from spaces.errors import UserError

#: Stages and dense layers of a published system: train, validation and test, loss and accuracy.
PUBLISHED = """\
stages,dense,kernels,neurons,train_loss,train_acc,val_loss,val_acc,test_loss,test_acc,n_val,n_test
2,2,64,128,1.0406,0.6082,1.1011,0.5917,0.9450,0.6591,7066,7178
3,2,64,128,0.9832,0.6314,1.0303,0.6162,0.8786,0.6748,7066,7178
4,2,64,128,1.0132,0.6142,1.0071,0.6281,0.9124,0.6548,7066,7178
5,2,64,128,1.0619,0.5969,1.0216,0.6199,0.9433,0.6429,7066,7178
4,1,64-64-128-128,256,0.8841,0.6712,0.9904,0.6386,0.8029,0.7086,7066,7178
4,2,64-64-128-128,256,0.8847,0.6669,0.9805,0.6477,0.7874,0.7137,7066,7178
4,3,64-64-128-128,256,1.0163,0.6139,1.0363,0.6115,0.9139,0.6623,7066,7178
4,4,64-64-128-128,256,1.0252,0.6142,1.0471,0.6095,0.9322,0.6523,7066,7178
"""


def _read(
    text: str | bytes, folder: Path, choices: Choices | None = None, images: int | None = None
) -> Results:
    file = folder / "results.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    table = read_table(file)
    return results_of(table, roles_of(table, choices or Choices()), images)


def _scores(results: Results) -> dict[str, list[float]]:
    return {
        group[0].label: [round(one.metrics["val_accuracy"], 6) for one in group]
        for group in results.candidates
    }


def test_the_published_table_is_understood_and_its_leak_is_found(tmp_path: Path) -> None:
    results = _read(PUBLISHED, tmp_path)
    assert (len(results.candidates), results.images, results.test_images) == (8, 7066, 7178)
    assert results.guess[0] == "8 candidates by `stages`, `dense`, `kernels`, `neurons`; 1 run each"
    assert "`val_acc` is validation accuracy, 7,066 images" in results.guess
    assert "`test_acc` is test accuracy, 7,178 images" in results.guess
    assert results.evaluations[2].metrics == {
        "train_loss": 1.0132, "train_accuracy": 0.6142, "val_loss": 1.0071, "val_accuracy": 0.6281,
        "test_loss": 0.9124, "test_accuracy": 0.6548,
    }  # fmt: skip
    assert results.findings[0] == (
        "test is above validation in all 8 rows: the test images were probably trained on"
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
    choices = Choices(candidate=("arch", "lr"), seed="try", scores={"val_accuracy": "score"})
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
        ("model,val_acc\na,nan\n", "no row with a validation accuracy"),
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
        _read("model,val_acc\na,0.6\n", tmp_path, Choices(scores={"val_accuracy": "val"}))
    with pytest.raises(UserError, match="there is no file"):
        read_table(tmp_path / "none.csv")
