"""Asks a V2 server with other people's clients, and prints as JSON what they understood.

    python ask.py CLIENT ADDRESS MODEL < feeds.json

CLIENT is one of the functions below. feeds.json: {"input": {"datatype", "shape", "data"}}, 64-bit integers as text.
"""

import json
import sys

import numpy as np

DTYPES = {"BOOL": np.bool_, "FP16": np.float16, "FP32": np.float32, "FP64": np.float64, "BYTES": np.object_,
          **{f"{sign}INT{bits}": np.dtype(f"{sign.lower()}int{bits}") for sign in ("", "U") for bits in (8, 16, 32, 64)}}


def array_of(tensor):
    data = tensor["data"]
    if tensor["datatype"] in ("INT64", "UINT64"):
        data = [int(value) for value in data]
    if tensor["datatype"] == "BYTES":
        data = [value.encode() for value in data]
    return np.array(data, dtype=DTYPES[tensor["datatype"]]).reshape(tensor["shape"])


def tensor_json(datatype, array):
    values = array.reshape(-1).tolist()
    if datatype in ("INT64", "UINT64"):
        values = [str(value) for value in values]
    if datatype == "BYTES":
        values = [value.decode() if isinstance(value, bytes) else value for value in values]
    return {"datatype": datatype, "shape": list(array.shape), "data": values}


def understood(result):
    return {
        output["name"]: tensor_json(output["datatype"], result.as_numpy(output["name"]))
        for output in result.get_response()["outputs"]
    }


def triton_inputs(module, feeds, **how):
    inputs = []
    for name, tensor in feeds.items():
        wanted = module.InferInput(name, tensor["shape"], tensor["datatype"])
        wanted.set_data_from_numpy(array_of(tensor), **how)
        inputs.append(wanted)
    return inputs


def triton_http_with(address, model, feeds, binary):
    import tritonclient.http as triton
    with triton.InferenceServerClient(address) as client:
        assert client.is_server_live() and client.is_server_ready() and client.is_model_ready(model)
        wanted = [triton.InferRequestedOutput(output["name"], binary_data=binary)
                  for output in client.get_model_metadata(model)["outputs"]]
        inputs = triton_inputs(triton, feeds, binary_data=binary)
        return understood(client.infer(model, inputs, outputs=wanted, request_id="7", timeout=60_000_000))


def triton_http(address, model, feeds):
    return triton_http_with(address, model, feeds, binary=True)


def triton_http_json(address, model, feeds):
    return triton_http_with(address, model, feeds, binary=False)


def triton_http_default(address, model, feeds):
    """Names no outputs, and compresses nothing: the shortest program that anybody writes."""
    import tritonclient.http as triton
    with triton.InferenceServerClient(address) as client:
        return understood(client.infer(model, triton_inputs(triton, feeds)))


def triton_http_async(address, model, feeds):
    """Thirty-two requests at once over eight connections; all must be answered alike."""
    import tritonclient.http as triton
    with triton.InferenceServerClient(address, concurrency=8) as client:
        pending = [client.async_infer(model, triton_inputs(triton, feeds)) for _ in range(32)]
        answers = [understood(each.get_result()) for each in pending]
    assert all(answer == answers[0] for answer in answers)
    return answers[0]


def grpc_answer(result):
    return {
        output.name: tensor_json(output.datatype, result.as_numpy(output.name)) for output in result.get_response().outputs
    }


def triton_grpc(address, model, feeds):
    import tritonclient.grpc as triton
    with triton.InferenceServerClient(address) as client:
        assert client.is_server_live() and client.is_server_ready() and client.is_model_ready(model)
        assert not client.is_model_ready("another")
        wanted = [triton.InferRequestedOutput(output.name) for output in client.get_model_metadata(model).outputs]
        inputs = triton_inputs(triton, feeds)
        result = client.infer(model, inputs, outputs=wanted, request_id="7", timeout=60_000_000, client_timeout=60)
        assert result.get_response().id == "7"
        return grpc_answer(result)


def triton_grpc_async(address, model, feeds):
    """Thirty-two calls at once on one connection; all must be answered alike."""
    import queue
    import tritonclient.grpc as triton
    answers = queue.Queue()
    with triton.InferenceServerClient(address) as client:
        for _ in range(32):
            client.async_infer(model, triton_inputs(triton, feeds), lambda result, error: answers.put((result, error)))
        results = [answers.get(timeout=60) for _ in range(32)]
    assert all(error is None for _, error in results), results
    understood_all = [grpc_answer(result) for result, _ in results]
    assert all(answer == understood_all[0] for answer in understood_all)
    return understood_all[0]


def triton_grpc_loop(address, model, feeds):
    """Asks over and over from eight threads for some seconds, and tells of each answer on standard error; counts what came of it."""
    import threading
    import time
    import tritonclient.grpc as triton
    outcome = {"answered": 0, "failed": []}
    end = time.monotonic() + 6
    with triton.InferenceServerClient(address) as client:
        inputs = triton_inputs(triton, feeds)

        def loop():
            while time.monotonic() < end:
                try:
                    client.infer(model, inputs)
                    outcome["answered"] += 1
                    if outcome["answered"] == 100:
                        print("under way", file=sys.stderr, flush=True)
                except Exception as error:  # Each failure is what this is about.
                    outcome["failed"].append(str(error))

        threads = [threading.Thread(target=loop) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return outcome


def certificates():
    """Files of the client's own certificate and key, and of the authority that it believes."""
    import os
    directory = os.environ["PENSTOCK_CERTIFICATES"]
    return [os.path.join(directory, name) for name in ("tls.crt", "tls.key", "ca.crt")]


def triton_http_tls(address, model, feeds):
    import tritonclient.http as triton
    certificate, key, authority = certificates()
    options = {"certfile": certificate, "keyfile": key, "ca_certs": authority}
    with triton.InferenceServerClient(address, ssl=True, ssl_options=options) as client:
        return understood(client.infer(model, triton_inputs(triton, feeds)))


def triton_grpc_tls(address, model, feeds):
    import tritonclient.grpc as triton
    certificate, key, authority = certificates()
    with triton.InferenceServerClient(address, ssl=True, root_certificates=authority, private_key=key,
                                      certificate_chain=certificate) as client:
        return grpc_answer(client.infer(model, triton_inputs(triton, feeds), client_timeout=60))


def grpc_contents(address, model, feeds):
    """Typed contents, by stubs that are made at run time of what the server's reflection tells; and health, by gRPC's own package."""
    import grpc
    from google.protobuf import message_factory
    from google.protobuf.descriptor_pool import DescriptorPool
    from grpc_health.v1 import health_pb2, health_pb2_grpc
    from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
    fields = {"BOOL": "bool_contents", "INT64": "int64_contents", "UINT64": "uint64_contents", "FP32": "fp32_contents",
              "FP64": "fp64_contents", "BYTES": "bytes_contents",
              **{f"INT{bits}": "int_contents" for bits in (8, 16, 32)}, **{f"UINT{bits}": "uint_contents" for bits in (8, 16, 32)}}
    with grpc.insecure_channel(address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        serving = health_pb2.HealthCheckResponse.SERVING
        assert health.Check(health_pb2.HealthCheckRequest(service="inference.GRPCInferenceService")).status == serving
        assert next(iter(health.Watch(health_pb2.HealthCheckRequest()))).status == serving
        database = ProtoReflectionDescriptorDatabase(channel)
        assert "inference.GRPCInferenceService" in database.get_services()
        method = DescriptorPool(database).FindServiceByName("inference.GRPCInferenceService").methods_by_name["ModelInfer"]
        request = message_factory.GetMessageClass(method.input_type)(model_name=model, id="7")
        for name, tensor in feeds.items():
            values = array_of(tensor).reshape(-1).tolist()
            request.inputs.add(name=name, datatype=tensor["datatype"], shape=tensor["shape"], contents={fields[tensor["datatype"]]: values})
        ask = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer", request_serializer=lambda each: each.SerializeToString(),
                                  response_deserializer=message_factory.GetMessageClass(method.output_type).FromString)
        response = ask(request)
        assert response.id == "7" and len(response.raw_output_contents) == 0
        return {
            each.name: tensor_json(each.datatype, np.array(list(getattr(each.contents, fields[each.datatype])), dtype=DTYPES[each.datatype]).reshape(each.shape))
            for each in response.outputs
        }


def open_inference(address, model, feeds):
    from open_inference.openapi.client import InferenceRequest, OpenInferenceClient
    client = OpenInferenceClient(base_url=f"http://{address}")
    client.check_server_liveness()
    client.check_server_readiness()
    client.check_model_readiness(model)
    assert client.read_server_metadata().name == "penstock"
    metadata = client.read_model_metadata(model)
    assert [each.name for each in metadata.inputs] == list(feeds)
    inputs = [{**tensor, "name": name, "data": array_of(tensor).reshape(-1).tolist()} for name, tensor in feeds.items()]
    for each in inputs:
        if each["datatype"] == "BYTES":
            each["data"] = [value.decode() for value in each["data"]]
    answer = client.model_infer(model, request=InferenceRequest.parse_obj({"id": "7", "inputs": inputs}))
    assert answer.id == "7"
    return {
        each.name: tensor_json(each.datatype, np.array(each.data.dict()["__root__"], dtype=DTYPES[each.datatype]).reshape(each.shape))
        for each in answer.outputs
    }


if __name__ == "__main__":
    _, client_name, server_address, model_name = sys.argv
    print(json.dumps(globals()[client_name](server_address, model_name, json.load(sys.stdin))))
