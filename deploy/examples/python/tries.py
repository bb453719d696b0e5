"""Many tries at one thing: a batch of jobs, each on a fork of its own, watched to the end, with what came of each.

    export DRYDOCK_API_URL=http://127.0.0.1:8080 DRYDOCK_API_KEY=dd_...
    python tries.py "Print the first ten primes" "Sort the output" "Add a --count option" "Write a test"

The first words say what the project is to be, each of the others is one try at changing it. The exit code is 0 if all of them worked.
`drydock_api` is generated from the API's own document; README.md says how.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from typing import NoReturn, TypeVar

import httpx
from drydock_api import AuthenticatedClient
from drydock_api.api.batches import create_batch, show_batch
from drydock_api.api.jobs import show_job
from drydock_api.api.projects import create_project, show_project
from drydock_api.models import BatchLine, BatchView, Error, LineView, NewBatchBody, NewProjectBody, ProjectView
from drydock_api.types import Unset

T = TypeVar("T")

# How long the API holds an answer until there is news: asked again and again, it costs less than a short pause would.
HOLD = "30s"
# Between two looks at a batch.
PAUSE_S = 0.5


def main() -> int:
    if len(sys.argv) < 3:
        fail(__doc__ or "")
    instruction, *tries = sys.argv[1:]
    with connect() as api:
        project = make_project(api, instruction)
        print(f"project {project.id} has version {project.head_version}")
        batch = submit(api, project, tries)
        print(f"batch {batch.id} has {batch.total} jobs")
        batch = wait(api, batch)
        for result in results(api, batch):
            told = result.summary or "; ".join(result.errors) or result.status_detail
            print(f"{result.line:>3}  {result.status:<10}  {result.title}: {told}")
        print(f"{batch.counts.completed} of {batch.total} completed")
        return 0 if batch.counts.completed == batch.total else 1


def connect() -> AuthenticatedClient:
    """The API and the key, from the environment as the `drydock` command has them."""
    url = os.environ.get("DRYDOCK_API_URL", "http://127.0.0.1:8080")
    # An API without any keys asks for none, and ignores an empty one.
    key = os.environ.get("DRYDOCK_API_KEY", "")
    # Longer than HOLD, so that it is the API that ends a wait.
    return AuthenticatedClient(base_url=url, token=key, timeout=httpx.Timeout(60))


def make_project(api: AuthenticatedClient, instruction: str) -> ProjectView:
    """A project, once its first job has made version 1."""
    project = checked(create_project.sync(client=api, body=NewProjectBody(instruction=instruction)))
    if isinstance(project.job_id, Unset) or project.job_id is None:
        fail("a new project has a first job")
    while (job := checked(show_job.sync(project.job_id, client=api, wait=HOLD))).finished_at is None:
        pass
    if job.status != "completed":
        fail(f"the first job ended as {job.status}: {'; '.join(job.errors)}")
    return checked(show_project.sync(project.id, client=api))


def submit(api: AuthenticatedClient, project: ProjectView, tries: list[str]) -> BatchView:
    """A batch with one job a try, each on a fork of its own, so that they run side by side."""
    batch = checked(create_batch.sync(client=api, body=NewBatchBody(name="tries")))

    # The lines go as they are made, so there may be millions. Sent twice, a line is still one job.
    def lines() -> Iterator[bytes]:
        for instruction in tries:
            line = BatchLine(job_type="edit", instruction=instruction, fork_of=project.id)
            yield json.dumps(line.to_dict()).encode() + b"\n"

    # No generator of clients knows a stream of lines; its connection, with the key, does for that.
    headers = {"Content-Type": "application/x-ndjson"}
    answer = api.get_httpx_client().post(f"/api/v1/batches/{batch.id}/jobs", content=lines(), headers=headers)
    if answer.is_error:
        checked(Error.from_dict(answer.json()))
    return checked(show_batch.sync(batch.id, client=api))


def wait(api: AuthenticatedClient, batch: BatchView) -> BatchView:
    """The batch once all its jobs are over."""
    while batch.status in ("queued", "in_progress"):
        time.sleep(PAUSE_S)
        batch = checked(show_batch.sync(batch.id, client=api))
    return batch


def results(api: AuthenticatedClient, batch: BatchView) -> Iterator[LineView]:
    """What came of each line, in their order, read as it comes."""
    with api.get_httpx_client().stream("GET", batch.results_path) as answer:
        answer.raise_for_status()
        for line in answer.iter_lines():
            yield LineView.from_dict(json.loads(line))


def checked(answer: T | Error | None) -> T:
    """The answer, or the end of the program with what the API says against it."""
    if isinstance(answer, Error):
        fail(f"{answer.message}: {answer.detail} (request {answer.correlation_id})")
    if answer is None:
        fail("the API answered with something that its document does not have")
    return answer


def fail(why: str) -> NoReturn:
    print(why, file=sys.stderr)
    raise SystemExit(2)


if __name__ == "__main__":
    sys.exit(main())
