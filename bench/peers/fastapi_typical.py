"""As tutorials write it: a plain function and pydantic models."""

from fastapi import FastAPI
from pydantic import BaseModel

import model

app = FastAPI()


class Request(BaseModel):
    features: list[float]


class Response(BaseModel):
    prediction: int


@app.post("/predict")
def predict(request: Request) -> Response:
    return Response(prediction=model.predict([request.features]))
