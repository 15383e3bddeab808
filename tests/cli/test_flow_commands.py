"""What the command line does with a normalizing flow."""

import numpy as np
import pandas as pd
import pytest

from ptheta.runs import Run

SMALL = ("--transforms", "2", "--width", "8", "--bins", "4")


@pytest.fixture
def fitted(ptheta, here):
    (here / "kinds.csv").write_text(
        "a,b,kind\n" + "".join(f"{i * 0.37 % 1:.3f},{i * 0.11:.2f},{'xy'[i % 2]}\n" for i in range(60))
    )
    assert ptheta("fit", "kinds.csv", "flow", "--context", "kind", *SMALL, "--steps", "4", "--out", "flow").code == 0
    return here / "flow"


def test_a_flow_is_fitted_sampled_and_scored_like_any_model(fitted, ptheta, here):
    result = ptheta("sample", "flow", "-n", "5", "--context", "y", "--seed", "3", "--out", "drawn", "--json")
    assert result.json["passes"] == 1
    drawn = pd.read_csv(here / "drawn" / "sample.csv")
    assert list(drawn.columns) == ["kind", "a", "b"]
    again = Run.load(fitted).model.sample(5, ["y"], seed=3)
    assert np.allclose(drawn[["a", "b"]], again, atol=1e-6)
    scored = ptheta("score", "flow", "kinds.csv", "--out", "scores.parquet", "--json")
    assert scored.code == 0
    run = Run.load(fitted)
    nats = -run.model.log_prob(*run.data.test.events()).detach().mean()
    assert scored.json["nats"] == pytest.approx(float(nats), abs=1e-6)


def test_a_flow_stands_in_a_comparison(ptheta):
    result = ptheta("compare", "numbers.csv", "--models", "flow,made", "--steps", "2", "--json")
    assert {row["model"] for row in result.json["models"]} == {"flow", "made"}


@pytest.mark.parametrize(
    ("arguments", "problem", "remedy"),
    [
        ("complete flow kinds.csv", "flow cannot complete", "use an autoregressive model"),
        ("sample flow --context y --temperature 0.5", "flow has no sampling option --temperature", "leave it out"),
        ("fit table.csv flow", "flow cannot model discrete values", "of a table take --columns real"),
        ("fit numbers.csv flow --kind nfs", "--kind is 'nfs', not one of", "did you mean nsf?"),
        ("fit numbers.csv flow --passes 1", "passes is 1", "give at least 2"),
        ("fit numbers.csv flow --steps 2 --optimizer muon", "no hidden matrices for Muon", "use --optimizer adamw"),
    ],
)
def test_what_a_flow_cannot_do_is_one_line(fitted, ptheta, arguments, problem, remedy):
    result = ptheta(*arguments.split())
    assert result.code == 2
    (line,) = result.err.splitlines()[-1:]
    assert problem in line
    assert remedy in line
