"""A custom predictor of KServe's Python server, as its documentation shows it."""

import os
from typing import Dict

from kserve import Model, ModelServer

import model


class OnnxModel(Model):
    def __init__(self) -> None:
        super().__init__("m")
        self.ready = True

    async def predict(self, payload: Dict, headers: Dict[str, str] | None = None) -> Dict:
        return {"predictions": [model.predict(payload["instances"])]}


if __name__ == "__main__":
    ModelServer(http_port=int(os.environ["BENCH_PORT"]), enable_grpc=False, workers=1).start([OnnxModel()])
