"""A custom runtime of MLServer, as its documentation shows it."""

import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse

import model


class OnnxModel(MLModel):
    async def load(self) -> bool:
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        rows = NumpyCodec.decode_input(payload.inputs[0])
        output = NumpyCodec.encode_output("prediction", np.array([model.predict(rows)]))
        return InferenceResponse(model_name=self.name, outputs=[output])
