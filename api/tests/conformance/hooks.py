"""What Schemathesis cannot know of this API: who asks, which ids are there, and how archives and lines are written.

`CONFORMANCE_KEY` is the key to send; without it none is sent. `CONFORMANCE_IDS` is a JSON object of ids by collection; below `spare` are
those that may be deleted. At the end the statuses that each operation answered are in the file `CONFORMANCE_SEEN`.
"""

import atexit
import collections
import io
import json
import os
import tarfile
import uuid

import schemathesis

KEY = os.environ.get("CONFORMANCE_KEY")
IDS = json.loads(os.environ["CONFORMANCE_IDS"])
SPARE = IDS.pop("spare")
SEEN = collections.defaultdict(set)
PARAMETERS = {"project_id": "projects", "job_id": "jobs", "delivery": "deliveries"}
# Their streams end only where the job has, and that one is the first.
STREAMS = ("/events", "/logs/stream")


def number(value):
    """The generated id as a number; none where it is not one at all."""
    try:
        return uuid.UUID(str(value)).int
    except ValueError:
        return None


def collection(path, name):
    return PARAMETERS.get(name) or path.split("/")[3]


def spare(path, name, value):
    """One that may be deleted, while there are some: what is used elsewhere would be missing for the rest of the run."""
    if name == "path":
        return SPARE["files"].pop() if SPARE["files"] else value
    if path.endswith("/files/{path}"):
        return IDS["projects"][0]
    ids = SPARE.get(collection(path, name))
    return ids.pop() if ids and number(value) is not None else value


def known(path, name, value):
    """An id that is there for seven of eight well-formed ones, so that what lies behind the 404 is reached as well."""
    seed = number(value)
    ids = IDS.get(collection(path, name))
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
    if case.method.upper() == "DELETE":
        for name, value in (case.path_parameters or {}).items():
            case.path_parameters[name] = spare(case.operation.path, name, value)
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
    """As generated, or a real archive with that in a file."""
    data = getattr(value, "data", value)
    data = data if isinstance(data, bytes) else str(data).encode("utf-8", "surrogatepass")
    if len(data) % 3:
        return {"data": data}
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as tar:
        member = tarfile.TarInfo(f"generated/{uuid.uuid4()}")
        member.size = len(data)
        tar.addfile(member, io.BytesIO(data))
    return {"data": whole.getvalue()}


@schemathesis.hook
def after_call(context, case, response):
    SEEN[case.operation.label].add(response.status_code)


@atexit.register
def tell():
    with open(os.environ["CONFORMANCE_SEEN"], "w", encoding="utf-8") as file:
        json.dump({label: sorted(statuses) for label, statuses in SEEN.items()}, file)


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
