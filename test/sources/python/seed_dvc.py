"""Makes a Git repository with DVC in it, tracks models in every way that DVC has, and pushes them to a remote.

Arguments: the repository's folder, model.onnx, another.onnx, the remote as one writes to it, its endpoint ('' for none), and the remote
as others read it. Prints for each tracked file the URL that `dvc get --show-url` says, and puts what `dvc get` brings into ../got.
"""

import json
import os
import shutil
import subprocess
import sys

repository, model_path, other_path, remote, endpoint, public = sys.argv[1:]
TRACKED = ["model.onnx", "bundle/onnx/a.onnx", "bundle/onnx/b.onnx", "out/trained.onnx"]


def dvc(*args):
    environment = {**os.environ, "DVC_NO_ANALYTICS": "1"}
    command = [sys.executable, "-m", "dvc", *args]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return done.stdout.strip()


os.makedirs(f"{repository}/bundle/onnx")
os.makedirs(f"{repository}/single/deep")
os.chdir(repository)
subprocess.run(["git", "init", "-q"], check=True)
dvc("init", "-q")
dvc("remote", "add", "-q", "-d", "storage", remote)
if endpoint:
    dvc("remote", "modify", "-q", "storage", "endpointurl", endpoint)
shutil.copy(model_path, "model.onnx")
shutil.copy(model_path, "bundle/onnx/a.onnx")
shutil.copy(other_path, "bundle/onnx/b.onnx")
shutil.copy(other_path, "single/deep/only one.onnx")
for folder in ("bundle", "single"):
    with open(f"{folder}/README.md", "w") as file:
        file.write("not a model\n")
dvc("add", "-q", "model.onnx", "bundle", "single")
copying = "mkdir -p out && cp bundle/onnx/b.onnx out/trained.onnx && echo 1 > report.csv && cp -r bundle folder"
outputs = ["-o", "out/trained.onnx", "-o", "report.csv", "-o", "folder"]
dvc("stage", "add", "-q", "-n", "train", "-d", "bundle", *outputs, copying)
dvc("repro", "-q")
dvc("push", "-q")
if public != remote:
    dvc("remote", "modify", "-q", "storage", "url", public)
subprocess.run(["git", "add", "-A"], check=True)
author = ["-c", "user.email=nobody@example.com", "-c", "user.name=nobody"]
subprocess.run(["git", *author, "commit", "-qm", "models"], check=True)
for path in TRACKED:
    dvc("get", "-q", repository, path, "-o", os.path.join(repository, "../got", path))
print(json.dumps({path: dvc("get", "--show-url", repository, path) for path in TRACKED}))
