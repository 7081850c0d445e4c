"""Makes a user of MLflow's basic authentication. Arguments: address, name, password. The environment has the administrator's."""

import json
import sys

from mlflow.server import get_app_client

address, name, password = sys.argv[1:]
user = get_app_client("basic-auth", tracking_uri=address).create_user(name, password)
print(json.dumps({"name": user.username}))
