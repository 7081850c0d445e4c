"""As lean as FastAPI gets: an async function on the raw body, orjson, no checks."""

import orjson
from fastapi import FastAPI, Request, Response

import model

app = FastAPI()


@app.post("/predict")
async def predict(request: Request) -> Response:
    features = orjson.loads(await request.body())["features"]
    return Response(orjson.dumps({"prediction": model.predict([features])}), media_type="application/json")
