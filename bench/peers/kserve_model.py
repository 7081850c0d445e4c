"""A custom predictor of KServe's Python server, which reads requests and writes answers as KServe's own model servers do."""

import os

import numpy as np
from kserve import Model, ModelServer
from kserve.utils.utils import get_predict_input, get_predict_response

import model


class OnnxModel(Model):
    def __init__(self) -> None:
        super().__init__("m")
        self.ready = True

    async def predict(self, payload, headers=None):
        rows = get_predict_input(payload)
        return get_predict_response(payload, np.array([model.predict(rows)]), self.name)


if __name__ == "__main__":
    ModelServer(http_port=int(os.environ["BENCH_PORT"]), enable_grpc=False, workers=1).start([OnnxModel()])
