"""An authorization function of MLflow's server that knows one bearer token, as those who put a gateway's tokens before MLflow write."""

import os

from flask import Response, request
from werkzeug.datastructures import Authorization


def authenticate():
    if request.headers.get("Authorization") == f"Bearer {os.environ['TEST_BEARER_TOKEN']}":
        return Authorization("basic", {"username": "admin", "password": ""})
    return Response("no such token", 401)
