"""Asks the server at argv[1] with NVIDIA's client for Triton, and prints what the client made of the answers as JSON.

Standard input: the pixels of two pictures as [2, height, width, 3] in JSON.
"""

import json
import sys

import numpy
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

MODEL = "resnet18"
images = numpy.array(json.load(sys.stdin), dtype=numpy.uint8)
client = triton.InferenceServerClient(sys.argv[1])


def make_input(values, binary_data=True, datatype="UINT8", name="image"):
    tensor = triton.InferInput(name, list(values.shape), datatype)
    tensor.set_data_from_numpy(values, binary_data=binary_data)
    return [tensor]


def infer(values=images[:1], binary_data=True, **options):
    return client.infer(MODEL, make_input(values, binary_data), **options)


def tell(result, name):
    """Of a float32 array the exact values, which JSON carries as doubles."""
    array = result.as_numpy(name)
    return {"dtype": str(array.dtype), "shape": list(array.shape), "values": array.astype(float).ravel().tolist()}


def refuse(action):
    try:
        action()
    except InferenceServerException as error:
        return {"status": error.status(), "message": error.message()}
    return "accepted"


def ask_for(names, binary_data):
    return [triton.InferRequestedOutput(name, binary_data=binary_data) for name in names]


binary = infer(request_id="é 42")
report = {
    "client": triton.__name__,
    "live": client.is_server_live(),
    "ready": client.is_server_ready(),
    "modelReady": client.is_model_ready(MODEL),
    "versionReady": client.is_model_ready(MODEL, "0"),
    "unknownReady": client.is_model_ready("nobody"),
    "server": client.get_server_metadata(),
    "model": client.get_model_metadata(MODEL),
    "version": client.get_model_metadata(MODEL, "0"),
    "index": client.get_model_repository_index(),
    "binary": {name: tell(binary, name) for name in ["logits", "probs"]},
    "response": {key: binary.get_response()[key] for key in ["id", "model_name", "model_version"]},
    "json": tell(infer(binary_data=False, outputs=ask_for(["logits"], False)), "logits"),
    "mixed": tell(infer(binary_data=True, outputs=ask_for(["logits"], False)), "logits"),
    "layer": tell(infer(outputs=ask_for(["layer1"], True)), "layer1"),
    "versioned": tell(infer(model_version="champion"), "logits"),
    "batch": tell(infer(images), "logits"),
    "gzip": tell(infer(request_compression_algorithm="gzip"), "logits"),
    "deflate": tell(infer(request_compression_algorithm="deflate"), "logits"),
    "parameters": tell(infer(parameters={"anything": 1}, priority=1, timeout=1000000), "logits"),
    "async": tell(client.async_infer(MODEL, make_input(images[:1])).get_result(), "logits"),
    "refused": {
        "unknown model": refuse(lambda: client.infer("nobody", make_input(images[:1]))),
        "unknown version": refuse(lambda: infer(model_version="9")),
        "unknown output": refuse(lambda: infer(outputs=ask_for(["nobody"], True))),
        "unknown input": refuse(lambda: client.infer(MODEL, make_input(images[:1], name="pixels"))),
        "wrong datatype": refuse(
            lambda: client.infer(MODEL, make_input(images[:1].astype(numpy.float32), datatype="FP32"))
        ),
        "wrong shape": refuse(lambda: infer(images[0])),
        "classification": refuse(lambda: infer(outputs=[triton.InferRequestedOutput("logits", class_count=3)])),
        "unload": refuse(lambda: client.unload_model(MODEL)),
    },
}
print(json.dumps(report))
