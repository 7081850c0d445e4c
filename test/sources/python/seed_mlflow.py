"""Logs and registers models as people do, downloads them again by MLflow's own client, and prints what the tests must know of them.

Arguments: model.onnx, another.onnx, a folder for the downloads, and where artifacts lie ('' is the server's own place).
The registered model "fraud" gets the versions 1 and 2 (one file each), 3 (MLflow's default: tensors beside the file), 4 (a folder of
a run, without an MLmodel) and 5 (a file of a run), and the aliases champion (1) and split (3).
"""

import json
import os
import sys

import mlflow
import onnx

model_path, other_path, downloads, location = sys.argv[1:]
client = mlflow.MlflowClient()
experiment = client.create_experiment("fraud", artifact_location=location or None)


def log(path, **options):
    with mlflow.start_run(experiment_id=experiment):
        model = onnx.load(path)
        return mlflow.onnx.log_model(model, name="model", registered_model_name="fraud", **options)


first = log(model_path, save_as_external_data=False)
log(other_path, save_as_external_data=False)
log(model_path)
with mlflow.start_run(experiment_id=experiment) as run:
    mlflow.log_artifact(other_path, "exported")
folder = f"runs:/{run.info.run_id}/exported"
client.create_model_version("fraud", folder, run.info.run_id)
client.create_model_version("fraud", f"{folder}/{os.path.basename(other_path)}", run.info.run_id)
client.set_registered_model_alias("fraud", "champion", "1")
client.set_registered_model_alias("fraud", "split", "3")
client.create_registered_model("empty")
for version in ("1", "2", "3"):
    target = os.path.join(downloads, version)
    mlflow.artifacts.download_artifacts(artifact_uri=f"models:/fraud/{version}", dst_path=target)
source = client.get_model_version_download_uri("fraud", "1")
print(json.dumps({"modelId": first.model_id, "runId": run.info.run_id, "source": source}))
