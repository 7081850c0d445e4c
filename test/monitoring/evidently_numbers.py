"""Prints what Evidently says about the cases of a JSON file: {"cases": [{"name", "kind", "reference", "current"}]}.

Run it with the packages of requirements.txt; `npm run test:monitoring` does. Its output on cases.json is evidently.json:

    python evidently_numbers.py cases.json > evidently.json
"""

import json
import math
import sys
from importlib.metadata import version

import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.metrics import ValueDrift
from sklearn import metrics

# Evidently's names of the methods, by ours.
METHODS = {
    "numeric": {
        "psi": "psi",
        "jensenshannon": "jensenshannon",
        "wasserstein": "wasserstein",
        "ks_p_value": "ks",
    },
    "categorical": {
        "psi": "psi",
        "jensenshannon": "jensenshannon",
        "chisquare_p_value": "chisquare",
    },
}


def dataset(values, kind):
    column = {"numeric": "numerical_columns", "categorical": "categorical_columns"}[kind]
    return Dataset.from_pandas(pd.DataFrame({"x": values}), data_definition=DataDefinition(**{column: ["x"]}))


def drift_of(case):
    kind = case["kind"]
    reference, current = (dataset(case[side], kind) for side in ("reference", "current"))
    methods = METHODS[kind]
    report = Report([ValueDrift(column="x", method=method) for method in methods.values()])
    values = [float(metric["value"]) for metric in report.run(current, reference).dict()["metrics"]]
    # Of a single category scipy has no p-value.
    return {name: None if math.isnan(value) else value for name, value in zip(methods, values, strict=True)}


def quality_of(case):
    truth, prediction = case["truth"], case["prediction"]
    if case["kind"] == "regression":
        return {
            "meanAbsoluteError": float(metrics.mean_absolute_error(truth, prediction)),
            "rootMeanSquaredError": float(metrics.root_mean_squared_error(truth, prediction)),
        }
    classes = case["classes"]
    scores = {
        "accuracy": float(metrics.accuracy_score(truth, prediction)),
        "f1Macro": float(metrics.f1_score(truth, prediction, average="macro", zero_division=0)),
        "logLoss": float(metrics.log_loss(truth, case["probabilities"], labels=classes)),
    }
    if len(classes) == 2:
        scores["f1Positive"] = float(metrics.f1_score(truth, prediction, pos_label=classes[1]))
    return scores


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        cases = json.load(file)
    numbers = {
        "versions": {name: version(name) for name in ("evidently", "scipy", "scikit-learn", "numpy")},
        "drift": {case["name"]: drift_of(case) for case in cases["drift"]},
        "quality": {case["name"]: quality_of(case) for case in cases["quality"]},
    }
    json.dump(numbers, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
