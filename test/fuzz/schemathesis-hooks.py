"""
Sound bodies for the routes whose bodies no schema can describe, and names of models that there are, so that schemathesis
sees the answers behind them too.
"""

import json

import schemathesis
from hypothesis import strategies as st

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAEUlEQVR42mP4z8DA8B+MgBgAHfAD/a4/4jgAAAAASUVORK5CYII="
# Of the fuzzed models' input.
PIXELS = 8 * 8 * 3
MODELS = ["champion", "previous", "shipped"]
OUTPUTS = ["logits", "probs", "layer1", "layer4"]


def infer(number):
    tensor = {"name": "image", "shape": [1, 8, 8, 3], "datatype": "UINT8", "data": [number] * PIXELS}
    return {"inputs": [tensor], "outputs": [{"name": name} for name in OUTPUTS[: number % 5]]}


def evaluate(number):
    line = json.dumps({"image": PNG, "label": number % 10})
    return "\n".join([line] * (1 + number % 12))


SOUND = {
    ("/classify/json", dict): lambda number: {"image": PNG},
    ("/evaluate", str): evaluate,
    ("/evaluate", bytes): lambda number: bytes([number % 10] + [number] * PIXELS) * (1 + number % 12),
    ("/v2/models/{name}/infer", dict): infer,
    ("/v2/models/{name}/versions/{version}/infer", dict): infer,
}


@schemathesis.hook
def before_generate_body(context, strategy):
    """One body in three; those that are meant to be wrong are of another type, and stay."""
    path = context.operation.path

    def replace(drawn):
        body, number = drawn
        make = SOUND.get((path, type(body)))
        return body if make is None or number % 3 > 0 else make(number)

    if all(path != known for known, _ in SOUND):
        return strategy
    return st.tuples(strategy, st.integers(0, 255)).map(replace)


@schemathesis.hook
def before_generate_query(context, strategy):
    """Three queries in four name no model, or one that there is: any other name is the same 404 every time."""

    def replace(drawn):
        query, number = drawn
        if not isinstance(query, dict) or number % 4 == 0:
            return query
        kept = {name: value for name, value in query.items() if name not in ("model", "channel")}
        return {**kept, "model": MODELS[number % len(MODELS)]} if "model" in query else kept

    return st.tuples(strategy, st.integers(0, 255)).map(replace)


@schemathesis.deserializer("application/x-ndjson")
def read_last_line(context, response):
    """The result, or the problem: each line is an event, as the schema describes one."""
    return json.loads(response.content.decode().splitlines()[-1])
