"""A service of BentoML, as its documentation shows it."""

import bentoml

import model


@bentoml.service(workers=1)
class Onnx:
    @bentoml.api(route="/predict")
    def predict(self, features: list[float]) -> dict:
        return {"prediction": model.predict([features])}
