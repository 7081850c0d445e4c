"""Makes the models in this folder, and expected.json: what Python's ONNX Runtime answers for a few rows of each.

    python3 -m venv .venv && .venv/bin/pip install -r requirements.txt && .venv/bin/python make_testdata.py
    prettier --write expected.json

Everything is seeded, so running it again with the same versions gives the same answers. The scikit-learn models are
exported with no options, as most people export them: classifiers end in a ZipMap.
"""

import json
import pathlib
import warnings

import lightgbm
import numpy as np
import onnx
import onnxruntime
import pandas as pd
import skl2onnx
import xgboost
from onnx import TensorProto, helper, numpy_helper
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, Int64TensorType, StringTensorType
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingRegressor, IsolationForest, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.multioutput import MultiOutputClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

FOLDER = pathlib.Path(__file__).parent
ROWS = 8
OPSETS = [helper.make_opsetid("", 21), helper.make_opsetid("ai.onnx.ml", 3)]
DATATYPES = {
    "float32": "FP32", "float64": "FP64", "float16": "FP16", "int8": "INT8", "int16": "INT16", "int32": "INT32",
    "int64": "INT64", "uint8": "UINT8", "uint16": "UINT16", "uint32": "UINT32", "uint64": "UINT64", "bool": "BOOL",
}
expected = {}


def tensor_json(array):
    array = np.asarray(array)
    datatype = DATATYPES.get(str(array.dtype), "BYTES")
    flat = array.ravel().tolist()
    values = [str(v) for v in flat] if datatype in ("BYTES", "INT64", "UINT64") else [
        int(v) if datatype == "BOOL" else v for v in flat]
    return {"datatype": datatype, "shape": list(array.shape), "data": values}


def answers_json(session, feeds):
    """Outputs of a run; a sequence of maps as the matrix of its values, a sequence of tensors as one output for each."""
    result = {}
    for output, value in zip(session.get_outputs(), session.run(None, feeds)):
        if isinstance(value, list) and isinstance(value[0], dict):
            result[output.name] = tensor_json(np.array([list(row.values()) for row in value], dtype=np.float32))
            result[output.name]["classLabels"] = [
                key if isinstance(key, str) else str(key) for key in value[0]]
        elif isinstance(value, list):
            for position, element in enumerate(value):
                result[f"{output.name}_{position}"] = tensor_json(element)
        else:
            result[output.name] = tensor_json(value)
    return result


def save(name, model, feeds=None, runnable=True):
    path = FOLDER / f"{name}.onnx"
    path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
    if runnable:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        expected[name] = {
            "inputs": {key: tensor_json(value) for key, value in feeds.items()},
            "outputs": answers_json(session, feeds),
        }
    print(f"{name:24} {path.stat().st_size:8} bytes")


def graph_model(nodes, inputs, outputs, initializers=(), opsets=None, ir_version=10, functions=()):
    graph = helper.make_graph(nodes, "graph", inputs, outputs, list(initializers))
    return helper.make_model(graph, opset_imports=opsets or OPSETS, ir_version=ir_version, functions=list(functions))


def tensor(name, shape, element_type=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, element_type, shape)


def zipped(name, key_type=TensorProto.INT64):
    value = helper.make_tensor_type_proto(TensorProto.FLOAT, None)
    return helper.make_value_info(name, helper.make_sequence_type_proto(helper.make_map_type_proto(key_type, value)))


def initializer(name, values, dtype=np.float32):
    return numpy_helper.from_array(np.asarray(values, dtype=dtype), name)


def convert_sklearn(model, **arguments):
    # Without a name the graph gets a random one, and the file another digest with every run.
    return skl2onnx.convert_sklearn(model, name="graph", **arguments)


def scikit_models():
    random = np.random.RandomState(7)
    X = random.rand(400, 20).astype(np.float32)
    y = (X[:, 0] + X[:, 1] + 0.2 * random.rand(400) > 1.1).astype(np.int64)
    rows = X[:ROWS]
    floats20 = [("X", FloatTensorType([None, 20]))]

    forest = RandomForestClassifier(n_estimators=100, max_depth=8, random_state=0).fit(X, y)
    save("forest20", convert_sklearn(forest, initial_types=floats20), {"X": rows})
    small = RandomForestClassifier(n_estimators=5, max_depth=3, random_state=0).fit(X, y)
    save("forest20_no_zipmap", convert_sklearn(small, initial_types=floats20, options={"zipmap": False}), {"X": rows})

    colours = np.array(["red", "grün", "blue"])[(X[:, 0] * 3).astype(int)]
    logistic = LogisticRegression().fit(X[:, :4], colours)
    save("text_labels", convert_sklearn(logistic, initial_types=[("X", FloatTensorType([None, 4]))]), {"X": rows[:, :4]})

    huge = LogisticRegression().fit(X[:, :4], np.array([-5, 9007199254740993])[y])
    save("huge_labels", convert_sklearn(huge, initial_types=[("X", FloatTensorType([None, 4]))]), {"X": rows[:, :4]})

    target = X[:, 0] * 3 - X[:, 1] + 0.1 * random.rand(400)
    boosting = GradientBoostingRegressor(n_estimators=20, max_depth=3, random_state=0).fit(X[:, :6], target)
    save("regressor", convert_sklearn(boosting, initial_types=[("X", FloatTensorType([None, 6]))]), {"X": rows[:, :6]})

    linear = make_pipeline(StandardScaler(), LinearRegression()).fit(X[:, :6].astype(np.float64), target)
    doubles = X[:ROWS, :6].astype(np.float64)
    save("doubles", convert_sklearn(linear, initial_types=[("X", DoubleTensorType([None, 6]))]), {"X": doubles})

    integers = (X[:, :3] * 10).astype(np.int64)
    counted = LogisticRegression().fit(integers, y)
    save("integers", convert_sklearn(counted, initial_types=[("X", Int64TensorType([None, 3]))]), {"X": integers[:ROWS]})

    network = MLPClassifier((8,), max_iter=300, random_state=0).fit(X[:, :4], colours)
    save("mlp_classifier", convert_sklearn(network, initial_types=[("X", FloatTensorType([None, 4]))]), {"X": rows[:, :4]})

    several = MultiOutputClassifier(LogisticRegression()).fit(X[:, :4], np.stack([y, 1 - y], axis=1))
    save("multi_output", convert_sklearn(several, initial_types=[("X", FloatTensorType([None, 4]))]), {"X": rows[:, :4]})

    outliers = IsolationForest(n_estimators=5, max_samples=16, random_state=0).fit(X[:, :4])
    save("isolation_forest", convert_sklearn(
        outliers, initial_types=[("X", FloatTensorType([None, 4]))], target_opset={"": 21, "ai.onnx.ml": 3}),
        {"X": rows[:, :4]})

    groups = KMeans(3, n_init=1, random_state=0).fit(X[:, :4])
    save("kmeans", convert_sklearn(groups, initial_types=[("X", FloatTensorType([None, 4]))]), {"X": rows[:, :4]})


def column_models():
    random = np.random.RandomState(3)
    size = 200
    frame = pd.DataFrame({
        "age": random.randint(18, 80, size).astype(np.float32),
        "amount": random.rand(size).astype(np.float32) * 100,
        "visits": random.randint(0, 9, size).astype(np.int64),
        "city": np.array(["Oslo", "Lima", "Pune"], dtype=object)[random.randint(0, 3, size)],
    })
    y = ((frame["amount"] > 50) ^ (frame["city"] == "Lima")).astype(np.int64)
    encode = ColumnTransformer([
        ("numbers", StandardScaler(), ["age", "amount", "visits"]),
        ("city", OneHotEncoder(handle_unknown="ignore"), ["city"]),
    ])
    model = make_pipeline(encode, LogisticRegression()).fit(frame, y)
    types = [
        ("age", FloatTensorType([None, 1])), ("amount", FloatTensorType([None, 1])),
        ("visits", Int64TensorType([None, 1])), ("city", StringTensorType([None, 1])),
    ]
    feeds = {name: frame[[name]].to_numpy()[:ROWS] for name in frame.columns}
    save("columns", convert_sklearn(model, initial_types=types), feeds)

    words = frame[["city"]].assign(kind=np.array(["new", "old"], dtype=object)[random.randint(0, 2, size)])
    words = words.to_numpy(dtype=object)
    text_model = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression()).fit(words, y)
    save("strings", convert_sklearn(text_model, initial_types=[("X", StringTensorType([None, 2]))]), {"X": words[:ROWS]})


def network_models():
    random = np.random.RandomState(11)
    weights = [
        initializer("w1", random.randn(20, 32) * 0.3), initializer("b1", random.randn(32) * 0.1),
        initializer("w2", random.randn(32, 3) * 0.3), initializer("b2", random.randn(3) * 0.1),
    ]
    nodes = [
        helper.make_node("Gemm", ["x", "w1", "b1"], ["h"]), helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("Gemm", ["r", "w2", "b2"], ["z"]), helper.make_node("Softmax", ["z"], ["scores"], axis=1),
    ]
    x = random.randn(ROWS, 20).astype(np.float32)
    mlp = graph_model(nodes, [tensor("x", ["batch", 20])], [tensor("scores", ["batch", 3])], weights)
    save("mlp20", mlp, {"x": x})

    fixed = graph_model(nodes, [tensor("x", [1, 20])], [tensor("scores", [1, 3])], weights)
    save("fixed_batch_1", fixed, {"x": x[:1]})
    fixed = graph_model(nodes, [tensor("x", [8, 20])], [tensor("scores", [8, 3])], weights)
    save("fixed_batch_8", fixed, {"x": x[:8]})

    # IR 3 lists the initializers among the inputs.
    listed = [tensor(w.name, list(w.dims)) for w in weights]
    old = graph_model(nodes, [tensor("x", ["batch", 20]), *listed], [tensor("scores", ["batch", 3])], weights,
                      opsets=[helper.make_opsetid("", 11)], ir_version=3)
    save("initializers_as_inputs", old, {"x": x})

    sigmoid = graph_model(
        [helper.make_node("ReduceMean", ["x"], ["m"], axes=[1], keepdims=0), helper.make_node("Sigmoid", ["m"], ["y"])],
        [tensor("x", ["batch", "features"])], [tensor("y", ["batch"])], opsets=[helper.make_opsetid("", 13)])
    save("any_width", sigmoid, {"x": x})

    image = graph_model(
        [helper.make_node("GlobalAveragePool", ["image"], ["pooled"])],
        [tensor("image", ["n", 3, "height", "width"])], [tensor("pooled", ["n", 3, 1, 1])])
    save("dynamic_image", image, {"image": random.rand(1, 3, 4, 5).astype(np.float32)})

    external = graph_model(nodes, [tensor("x", ["batch", 20])], [tensor("scores", ["batch", 3])], weights)
    (FOLDER / "external.weights").unlink(missing_ok=True)
    onnx.save_model(external, str(FOLDER / "external.onnx"), save_as_external_data=True, location="external.weights",
                    size_threshold=0)
    (FOLDER / "external.weights").chmod(0o644)
    save("external", (FOLDER / "external.onnx").read_bytes(), {"x": x})


def every_datatype():
    types = {
        "f32": (TensorProto.FLOAT, np.float32), "f64": (TensorProto.DOUBLE, np.float64),
        "f16": (TensorProto.FLOAT16, np.float16), "i8": (TensorProto.INT8, np.int8), "i16": (TensorProto.INT16, np.int16),
        "i32": (TensorProto.INT32, np.int32), "i64": (TensorProto.INT64, np.int64), "u8": (TensorProto.UINT8, np.uint8),
        "u16": (TensorProto.UINT16, np.uint16), "u32": (TensorProto.UINT32, np.uint32),
        "u64": (TensorProto.UINT64, np.uint64), "bool": (TensorProto.BOOL, np.bool_), "text": (TensorProto.STRING, object),
    }
    nodes = [helper.make_node("Identity", [name], [f"{name}_out"]) for name in types]
    inputs = [tensor(name, ["n", 2], element) for name, (element, _) in types.items()]
    outputs = [tensor(f"{name}_out", ["n", 2], element) for name, (element, _) in types.items()]
    feeds = {name: np.array([[1, 0], [1, 1]]).astype(dtype) for name, (_, dtype) in types.items()}
    feeds["text"] = np.array([["a", "ü"], ["", "日本"]], dtype=object)
    feeds["u64"][0, 0] = 2**64 - 1
    feeds["i64"][0, 0] = -(2**63)
    feeds["f16"][0, 0] = 1.5
    save("every_datatype", graph_model(nodes, inputs, outputs), feeds)
    bfloat = graph_model([helper.make_node("Identity", ["x"], ["y"])], [tensor("x", ["n"], TensorProto.BFLOAT16)],
                         [tensor("y", ["n"], TensorProto.BFLOAT16)])
    save("bfloat16", bfloat, runnable=False)


def zipmap_variants():
    x = np.array([[0.1, 0.2, 0.7], [0.5, 0.25, 0.25]], dtype=np.float32)
    coefficients = [1.0, 0.5, -1.0, -1.0, 2.0, 0.0, 0.3, -0.7, 1.0]

    def classifier(label, scores, labels):
        return helper.make_node("LinearClassifier", ["x"], [label, scores], domain="ai.onnx.ml", coefficients=coefficients,
                                intercepts=[0.0, 0.1, -0.1], post_transform="SOFTMAX", multi_class=1,
                                classlabels_ints=labels)

    def zip_map(source, target, labels, **options):
        return helper.make_node("ZipMap", [source], [target], domain="ai.onnx.ml", classlabels_int64s=labels, **options)

    # As onnxmltools writes LightGBM and XGBoost: label cast to int64, probabilities straight into the ZipMap.
    nodes = [classifier("raw_label", "raw_probabilities", [0, 1, 2]),
             helper.make_node("Cast", ["raw_label"], ["label"], to=TensorProto.INT64),
             helper.make_node("Identity", ["raw_probabilities"], ["passed"]),
             zip_map("passed", "probabilities", [0, 1, 2], name="ZipMap")]
    outputs = [tensor("label", [None], TensorProto.INT64), zipped("probabilities")]
    save("lightgbm_style", graph_model(nodes, [tensor("x", [None, 3])], outputs), {"x": x})

    nodes = [classifier("first_label", "first_scores", [0, 1, 2]), classifier("second_label", "second_scores", [7, 8, 9]),
             zip_map("first_scores", "first", [0, 1, 2]), zip_map("second_scores", "second", [7, 8, 9])]
    outputs = [zipped("first"), tensor("first_label", [None], TensorProto.INT64), zipped("second"),
               tensor("second_label", [None], TensorProto.INT64)]
    save("several_zipmaps", graph_model(nodes, [tensor("x", [None, 3])], outputs), {"x": x})

    only_ml = [helper.make_opsetid("ai.onnx.ml", 3)]
    nodes = [zip_map("x", "zipped", [4, 5, 6])]
    save("bare_zipmap", graph_model(nodes, [tensor("x", [None, 3])], [zipped("zipped")], opsets=only_ml), {"x": x})

    # A ZipMap inside the graph whose maps are computed on: nothing can take its place.
    nodes = [zip_map("x", "zipped", [4, 5, 6]),
             helper.make_node("SequenceAt", ["zipped", "zero"], ["one"])]
    used = helper.make_value_info("one", helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(
        TensorProto.FLOAT, None)))
    save("zipmap_used", graph_model(nodes, [tensor("x", [None, 3])], [zipped("zipped"), used],
                                    [initializer("zero", 0, np.int64)]), runnable=False)


def refused_models():
    x = tensor("x", ["n", 3])
    sequence = helper.make_value_info("parts", helper.make_sequence_type_proto(
        helper.make_tensor_type_proto(TensorProto.FLOAT, None)))
    save("sequence_output", graph_model([helper.make_node("SplitToSequence", ["x"], ["parts"], axis=1)], [x], [sequence]),
         runnable=False)
    words = helper.make_value_info("words", helper.make_map_type_proto(
        TensorProto.STRING, helper.make_tensor_type_proto(TensorProto.FLOAT, [])))
    vectorizer = helper.make_node("DictVectorizer", ["words"], ["y"], domain="ai.onnx.ml", string_vocabulary=["a", "b"])
    save("map_input", graph_model([vectorizer], [words], [tensor("y", [None, 2])]), runnable=False)
    custom = graph_model([helper.make_node("Fancy", ["x"], ["y"], domain="com.example")], [x], [tensor("y", None)],
                         opsets=[*OPSETS, helper.make_opsetid("com.example", 1)])
    save("custom_operator", custom, runnable=False)
    newer = graph_model([helper.make_node("Identity", ["x"], ["y"])], [x], [tensor("y", ["n", 3])],
                        opsets=[helper.make_opsetid("", 27)])
    save("opset_27", newer, runnable=False)
    newer = graph_model([helper.make_node("Identity", ["x"], ["y"])], [x], [tensor("y", ["n", 3])], ir_version=14)
    save("ir_14", newer, runnable=False)
    wrong = graph_model([helper.make_node("Gemm", ["x", "w"], ["y"])], [x], [tensor("y", ["n", 3])],
                        [initializer("w", np.zeros((5, 5)))])
    save("wrong_shapes", wrong, runnable=False)


def nested_models():
    """A local function, and graphs inside an If; the weights inside the branches could hide external data."""
    function = helper.make_function(
        "com.example", "Twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])], [helper.make_opsetid("", 21)])
    then = helper.make_graph([helper.make_node("Add", ["x", "w"], ["t"])], "then", [], [tensor("t", None)],
                             [initializer("w", [1, 2, 3])])
    otherwise = helper.make_graph([helper.make_node("Twice", ["x"], ["e"], domain="com.example")], "else", [],
                                  [tensor("e", None)])
    nodes = [helper.make_node("ReduceSum", ["x"], ["total"], keepdims=0),
             helper.make_node("Greater", ["total", "zero"], ["positive"]),
             helper.make_node("If", ["positive"], ["y"], then_branch=then, else_branch=otherwise)]
    model = graph_model(nodes, [tensor("x", ["n", 3])], [tensor("y", ["n", 3])], [initializer("zero", 0)],
                        opsets=[*OPSETS, helper.make_opsetid("com.example", 1)], functions=[function])
    save("nested", model, {"x": np.array([[-1, -2, 2.5]], dtype=np.float32)})

    # Runs for codes 0..4 and fails on any other: the index is out of the table's bounds.
    table = initializer("table", [[0.9, 0.1], [0.2, 0.8], [0.5, 0.5], [0.4, 0.6], [0.3, 0.7]])
    nodes = [helper.make_node("Cast", ["code"], ["index"], to=TensorProto.INT64),
             helper.make_node("Squeeze", ["index", "one"], ["flat"]),
             helper.make_node("Gather", ["table", "flat"], ["probabilities"])]
    model = graph_model(nodes, [tensor("code", ["n", 1])], [tensor("probabilities", ["n", 2])],
                        [table, initializer("one", [1], np.int64)])
    save("unknown_category", model, {"code": np.array([[0], [4], [2]], dtype=np.float32)})


def boosted_models():
    """As onnxmltools exports LightGBM and XGBoost with no options: trees of other domains, ZipMaps of their own."""
    from onnxmltools import convert_lightgbm, convert_xgboost
    from onnxmltools.convert.common.data_types import FloatTensorType as Floats
    random = np.random.RandomState(11)
    x = random.rand(300, 5).astype(np.float32)
    classes = (x[:, 0] + x[:, 1] > 1).astype(int) + (x[:, 2] > 0.8)
    types, feeds = [("X", Floats([None, 5]))], {"X": x[:ROWS]}
    trees = lightgbm.LGBMClassifier(n_estimators=10, num_leaves=7, verbose=-1, n_jobs=1).fit(x, classes)
    save("lightgbm_classifier", convert_lightgbm(trees, name="graph", initial_types=types), feeds)
    trees = xgboost.XGBClassifier(n_estimators=10, max_depth=3, n_jobs=1).fit(x, classes)
    save("xgboost_classifier", convert_xgboost(trees, name="graph", initial_types=types), feeds)
    trees = xgboost.XGBRegressor(n_estimators=10, max_depth=3, n_jobs=1).fit(x, x[:, 0] * 2)
    save("xgboost_regressor", convert_xgboost(trees, name="graph", initial_types=types), feeds)


def torch_model():
    """As torch.onnx.export makes it today (dynamo), with the number of rows left open."""
    import torch
    torch.manual_seed(12)
    layers = torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3), torch.nn.Softmax(dim=1)
    x = torch.randn(ROWS, 4)
    path = FOLDER / "torch.onnx"
    torch.onnx.export(torch.nn.Sequential(*layers).eval(), (x,), path, input_names=["x"], output_names=["probabilities"],
                      dynamic_shapes=({0: torch.export.Dim("rows")},), external_data=False, verbose=False)
    model = onnx.load(path)
    for node in model.graph.node:
        # Stack traces, with paths of the machine that made it.
        del node.metadata_props[:]
    save("torch", model, {"x": x.numpy()})


def slow_model():
    """Adds ones in a loop, as often as the largest value of the input says: as slow as its caller wishes."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["go_on"], ["still"]), helper.make_node("Add", ["sum", "unit"], ["more"])], "body",
        [helper.make_tensor_value_info("round", TensorProto.INT64, []), helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
         tensor("sum", [])],
        [helper.make_tensor_value_info("still", TensorProto.BOOL, []), tensor("more", [])], [initializer("unit", 1)])
    nodes = [helper.make_node("ReduceMax", ["x"], ["largest"], keepdims=0),
             helper.make_node("Cast", ["largest"], ["rounds"], to=TensorProto.INT64),
             helper.make_node("Loop", ["rounds", "", "zero"], ["total"], body=body),
             helper.make_node("Add", ["x", "total"], ["y"])]
    model = graph_model(nodes, [tensor("x", ["n", 1])], [tensor("y", ["n", 1])], [initializer("zero", 0)])
    save("rounds", model, {"x": np.array([[3]], dtype=np.float32)})


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    scikit_models()
    column_models()
    network_models()
    every_datatype()
    zipmap_variants()
    refused_models()
    nested_models()
    boosted_models()
    torch_model()
    slow_model()
    (FOLDER / "expected.json").write_text(json.dumps(expected, ensure_ascii=False) + "\n")
