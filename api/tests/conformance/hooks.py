"""What Schemathesis cannot know of this API: who asks, which ids are there, and how archives and lines are written.

`CONFORMANCE_KEY` is the key to send; without it none is sent. `CONFORMANCE_IDS` is a JSON object of ids by collection.
"""

import json
import os
import uuid

import schemathesis

KEY = os.environ.get("CONFORMANCE_KEY")
IDS = json.loads(os.environ["CONFORMANCE_IDS"])
PARAMETERS = {"project_id": "projects", "job_id": "jobs", "delivery": "deliveries"}
# Their streams end only where the job has, and that one is the first.
STREAMS = ("/events", "/logs/stream")


def number(value):
    """The generated id as a number; none where it is not one at all."""
    try:
        return uuid.UUID(str(value)).int
    except ValueError:
        return None


def known(path, name, value):
    """An id that is there for seven of eight well-formed ones, so that what lies behind the 404 is reached as well."""
    seed = number(value)
    ids = IDS.get(PARAMETERS.get(name) or path.split("/")[3])
    if seed is None or not ids or seed % 8 == 0:
        return value
    return ids[0] if path.endswith(STREAMS) else ids[seed % len(ids)]


@schemathesis.hook
def before_call(context, case, **kwargs):
    headers = dict(case.headers or {})
    headers.pop("Authorization", None)
    if KEY is not None:
        headers["Authorization"] = f"Bearer {KEY}"
    case.headers = headers
    # What is deleted would be missing for the rest of the run.
    if case.method.upper() == "DELETE":
        return
    for name, value in (case.path_parameters or {}).items():
        if name in ("a", "b", "n") and str(value).isdigit():
            case.path_parameters[name] = int(value) % 3
        elif name == "path" and len(str(value)) % 2:
            case.path_parameters[name] = "README.md"
        else:
            case.path_parameters[name] = known(case.operation.path, name, value)


@schemathesis.serializer("application/x-ndjson")
def lines(context, value):
    rows = value if isinstance(value, list) else [value]
    return {"data": "\n".join(json.dumps(row) for row in rows).encode()}


@schemathesis.serializer("application/x-tar")
def archive(context, value):
    data = getattr(value, "data", value)
    return {"data": data if isinstance(data, bytes) else str(data).encode("utf-8", "surrogatepass")}


@schemathesis.deserializer("application/x-ndjson")
def first_line(context, response):
    """Each line has the schema: the first one stands for them."""
    return json.loads(response.content.splitlines()[0])


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """No lines are no failure: nothing is there that could have the schema. Of server-sent events the document describes what a `data`
    line holds, which Schemathesis compares with the whole event; `events.rs`, `logs.rs` and `batches.rs` read those."""
    kind = response.headers.get("content-type")
    if kind == ["application/x-ndjson"]:
        return bool(response.content)
    return not (kind == ["text/event-stream"] and "SSE event" in failure.title)
