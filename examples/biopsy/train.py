"""Trains the example's models and writes what a rollout of them needs: models, provenance, holdout and golden rows.

    python3 -m venv .venv
    .venv/bin/pip install -r requirements.txt
    .venv/bin/python train.py

The models are exported by `skl2onnx.convert_sklearn` with its defaults, so they end in a ZipMap, as most do in real life.
Exits with 1, and writes nothing, when v1 or v2 is less accurate on the holdout than the gate.
"""

import argparse
import hashlib
import json
import pathlib
import platform
import sys

import numpy as np
import onnx
import onnxruntime
import skl2onnx
import sklearn
from onnx import TensorProto, helper, numpy_helper
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

HERE = pathlib.Path(__file__).parent
PILOT_ROWS = 60
RADIUS = 0  # column of "mean radius"
BIN_WIDTH = 2.0
KNOWN_RADIUS = 18.0  # no larger tumour was in the data that v4's table was made from


def load(seed):
    """569 biopsies of 30 measurements each; label 1 is malignant (scikit-learn's own coding is the other way round)."""
    data = load_breast_cancer()
    rows = data.data.astype(np.float32)
    labels = (data.target == 0).astype(np.int64)
    names = [str(name).replace(" ", "_") for name in data.feature_names]
    return names, train_test_split(rows, labels, test_size=0.4, random_state=seed, stratify=labels)


def export(model, features):
    # Without a name the graph gets a random one, and the same training another digest.
    return skl2onnx.convert_sklearn(model, name="biopsy", initial_types=[("X", FloatTensorType([None, features]))])


def with_size_table(exported, factors):
    """v4: corrects v2's probabilities by a factor for each class of tumour size, looked up in a table.

    The table ends where the data that it was made from ended. A row beyond it is an index out of bounds: the model loads,
    is healthy, agrees with v2 on every other row, and fails on this one.
    """
    model = onnx.ModelProto()
    model.CopyFrom(exported)
    graph = model.graph
    zipmap = next(node for node in graph.node if node.op_type == "ZipMap")
    probabilities = zipmap.input[0]
    zipmap.input[0] = "corrected"
    graph.initializer.extend([
        numpy_helper.from_array(np.array([RADIUS], dtype=np.int64), "radius_column"),
        numpy_helper.from_array(np.array(BIN_WIDTH, dtype=np.float32), "bin_width"),
        numpy_helper.from_array(factors.astype(np.float32), "size_factors"),
    ])
    nodes = [
        helper.make_node("Gather", ["X", "radius_column"], ["radius"], axis=1),
        helper.make_node("Div", ["radius", "bin_width"], ["bins"]),
        helper.make_node("Floor", ["bins"], ["bin"]),
        helper.make_node("Cast", ["bin"], ["size_class"], to=TensorProto.INT64),
        helper.make_node("Gather", ["size_factors", "size_class"], ["factor_rows"], axis=0),
        helper.make_node("Flatten", ["factor_rows"], ["row_factors"], axis=1),
        helper.make_node("Mul", [probabilities, "row_factors"], ["weighted"]),
        helper.make_node("ReduceL1", ["weighted"], ["total"], axes=[1], keepdims=1),
        helper.make_node("Div", ["weighted", "total"], ["corrected"]),
    ]
    position = list(graph.node).index(zipmap)
    for offset, node in enumerate(nodes):
        graph.node.insert(position + offset, node)
    onnx.checker.check_model(model)
    return model


def size_factors(model, rows, labels):
    """How much more often than predicted each class occurs in a size class, shrunk towards 1 by 20 rows of prior weight."""
    known = rows[:, RADIUS] < KNOWN_RADIUS
    rows, labels = rows[known], labels[known]
    predicted = model.predict_proba(rows)
    size_class = np.floor(rows[:, RADIUS] / BIN_WIDTH).astype(int)
    factors = np.ones((int(KNOWN_RADIUS / BIN_WIDTH), 2))
    for size in range(len(factors)):
        here = size_class == size
        seen = np.stack([labels[here] == 0, labels[here] == 1], axis=1).sum(axis=0)
        factors[size] = (seen + 20) / (predicted[here].sum(axis=0) + 20)
    return factors


def predict(model_bytes, rows):
    """Labels as served, row by row; None where the model fails."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model_bytes, options, providers=["CPUExecutionProvider"])

    def one(row):
        try:
            return int(session.run(["output_label", "output_probability"], {"X": row[None]})[0][0])
        except Exception:  # onnxruntime raises classes that it does not export
            return None

    return [one(row) for row in rows]


def write_csv(path, names, rows, labels):
    lines = [",".join([*names, "label"])]
    lines += [",".join([*(str(value) for value in row), str(label)]) for row, label in zip(rows, labels)]
    path.write_text("\n".join(lines) + "\n")


def train(arguments):
    names, (rows, holdout, labels, holdout_labels) = load(arguments.seed)
    pilot = make_pipeline(StandardScaler(), LogisticRegression(C=0.05)).fit(rows[:PILOT_ROWS], labels[:PILOT_ROWS])
    forest = ExtraTreesClassifier(n_estimators=60, max_depth=8, random_state=arguments.seed).fit(rows, labels)
    v2 = export(forest, len(names))
    serialized = {
        "v1": export(pilot, len(names)).SerializeToString(),
        "v2": v2.SerializeToString(),
        "v4": with_size_table(v2, size_factors(forest, rows, labels)).SerializeToString(),
    }
    # v3 is an upload of v2 that broke off: no valid model.
    serialized["v3"] = serialized["v2"][: len(serialized["v2"]) * 2 // 3]
    return names, holdout, holdout_labels, dict(sorted(serialized.items()))


def evaluate(serialized, holdout, labels):
    predictions = {name: predict(model, holdout) for name, model in serialized.items() if name != "v3"}
    report = {}
    for name, predicted in predictions.items():
        answered = [index for index, label in enumerate(predicted) if label is not None]
        report[name] = {
            "accuracy": round(float(np.mean([predicted[i] == labels[i] for i in range(len(labels))])), 4),
            "failedRows": len(labels) - len(answered),
            "agreementWithV2": round(float(np.mean([predicted[i] == predictions["v2"][i] for i in answered])), 4),
        }
    return report


def provenance(arguments, serialized, report, holdout):
    what = {
        "v1": f"StandardScaler + LogisticRegression(C=0.05) on the first {PILOT_ROWS} training rows",
        "v2": "ExtraTreesClassifier(60 trees, depth 8) on all 341 training rows",
        "v3": "the first two thirds of v2's bytes: an upload that broke off",
        "v4": f"v2 with a table lookup by tumour size that knows no mean radius of {KNOWN_RADIUS} or more",
    }
    return {
        "dataSet": {
            "name": "Breast Cancer Wisconsin (Diagnostic)",
            "source": "shipped with scikit-learn (sklearn.datasets.load_breast_cancer); UCI Machine Learning Repository",
            "doi": "10.24432/C5DW2B",
            "licence": "CC BY 4.0",
            "authors": "W. Wolberg, O. Mangasarian, N. Street, W. Street (1993)",
            "rows": 569,
            "holdoutRows": len(holdout),
            "label": "1 malignant, 0 benign",
        },
        "seed": arguments.seed,
        "versions": {
            "python": platform.python_version(),
            "scikit-learn": sklearn.__version__,
            "skl2onnx": skl2onnx.__version__,
            "onnx": onnx.__version__,
            "onnxruntime": onnxruntime.__version__,
            "numpy": np.__version__,
        },
        "models": {
            name: {
                "made": what[name],
                "sha256": hashlib.sha256(model).hexdigest(),
                "sizeBytes": len(model),
                **({"holdout": report[name]} if name in report else {}),
            }
            for name, model in serialized.items()
        },
    }


def print_table(serialized, report, rows):
    print(f"{'model':6} {'bytes':>8} {'accuracy':>9} {'agrees with v2':>15} {'failed rows':>12}")
    for name, model in serialized.items():
        if name not in report:
            print(f"{name:6} {len(model):8} {'no valid model':>9}")
            continue
        seen = report[name]
        print(f"{name:6} {len(model):8} {seen['accuracy']:9.4f} {seen['agreementWithV2']:15.4f} "
              f"{seen['failedRows']:6} / {rows}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, default=HERE, help="folder to write to (default: this one)")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--min-accuracy", type=float, default=0.85, help="gate on the holdout for v1 and v2")
    arguments = parser.parse_args()

    names, holdout, labels, serialized = train(arguments)
    report = evaluate(serialized, holdout, labels)
    print_table(serialized, report, len(holdout))
    if any(report[name]["accuracy"] < arguments.min_accuracy for name in ("v1", "v2")):
        sys.exit(f"Accuracy is below the gate of {arguments.min_accuracy}; nothing was written.")

    models = arguments.out / "models"
    models.mkdir(parents=True, exist_ok=True)
    for name, model in serialized.items():
        (models / f"{name}.onnx").write_bytes(model)
    write_csv(arguments.out / "holdout.csv", names, holdout, labels)
    known = holdout[:, RADIUS] < KNOWN_RADIUS
    write_csv(arguments.out / "golden.csv", names, holdout[known], labels[known])
    record = provenance(arguments, serialized, report, holdout)
    (arguments.out / "provenance.json").write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
