"""A replayed arm from the study file to the page: nothing of it is trained, and its numbers are there."""

import json
from pathlib import Path
from typing import Any

import harness
from harness import Study
from harness.records.directory import RunDirectory

Fields = dict[str, Any]


def test_a_search_that_learns_under_a_pruner_runs_and_is_judged(tiny: Fields, tmp_path: Path) -> None:
    sampler = {"name": "TPESampler", "round_size": 3, "options": {"n_startup_trials": 2}}
    median = {"name": "MedianPruner", "options": {"n_startup_trials": 1}}
    entry = {"name": "tpe", "method": "l2", "trials": 8, "sampler": sampler, "pruner": median}
    tiny["methods"], tiny["training"]["epochs"] = [*tiny["methods"], entry], 3
    harness.run(Study.model_validate(tiny), tmp_path / "run", executor="inline")
    records, _ = RunDirectory(tmp_path / "run").store.read_all()
    table = harness.load_trials(tmp_path / "run").set_index("trial_id")
    assert len(table) == len(records) == 14
    stopped = table[table["status"] == "stopped"]
    assert len(stopped)
    for name, row in stopped.iterrows():
        record = records[str(name)]
        last = record.epochs[row["epochs_run"] - 1]
        assert (row["train_flops"], row["train_seconds"]) == (last.train_flops, last.train_seconds)
        assert row["test_score"] == record.best_test_scores[row["selected_epoch"]]
        assert record.status == "ok"
        assert len(record.epochs) == 3, "what it trained is whole"
    page = harness.report(tmp_path / "run").page.read_text(encoding="utf-8")
    assert ", under MedianPruner" in page


def test_a_study_with_a_pruned_arm_runs_and_is_judged(tiny: Fields, tmp_path: Path) -> None:
    halving = {"name": "SuccessiveHalvingPruner", "options": {"reduction_factor": 2}}
    tiny["methods"] = [*tiny["methods"], {"name": "halving", "replay_of": "l2", "pruner": halving}]
    tiny["trials"], tiny["training"]["epochs"], tiny["claim"]["n"] = 8, 3, 1
    tiny["claim"]["baseline"] = "l2"
    harness.run(Study.model_validate(tiny), tmp_path / "run", executor="inline")
    records, _ = RunDirectory(tmp_path / "run").store.read_all()
    assert {record.arm.rpartition("/")[2] for record in records.values()} == {"fixed", "l2"}
    for record in records.values():
        sealed = record.best_test_scores
        if record.arm.endswith("/l2"):
            assert record.selected_epoch is not None
            assert sealed[record.selected_epoch] == record.test_score
        else:
            assert not sealed, "nothing that a study does not use costs it anything"
    page = harness.report(tmp_path / "run").page
    assert "Searches under a pruner" in page.read_text(encoding="utf-8")
    results = json.loads((page.parent / "results.json").read_text(encoding="utf-8"))
    (replay,) = results["analysis"]["replays"]
    assert replay["refusal"] == ""
    assert replay["trials"] == 8
    assert replay["verdict"] in ("better", "worse", "on par", "inconclusive")
    in_order = replay["plan_order"]
    assert in_order["stopped"] + in_order["finished"] + in_order["failed"] == 8
    assert in_order["cost"] <= in_order["unpruned_cost"]
    for file in (page, page.parent / "report.md"):
        assert in_order["sentence"] in file.read_text(encoding="utf-8")
    assert results["analysis"]["family_size"] == 1, "replays cost the claim nothing"
    assert any(figure["family"] == "replays" for figure in results["figures"])
