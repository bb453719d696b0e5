The best of a thousand tries
============================

From the first key to who did what: a repository is imported, a thousand jobs each try something on a fork of it, the best result is pulled,
and the log tells who asked for it. Every command here is run by a test, on a fresh stack; `(glob)` and `(re)` mark what differs from run to
run. On a stack of your own, `make up` first; drydock, git and jq are needed.

Log in
------

The first key is made on the database itself. From then on every request needs one.

  $ drydock admin bootstrap -q > admin.key
  $ drydock login --token-file admin.key -q | grep -E '^(tenant|role)'
  tenant  default
  role    admin

For what comes, less is enough: a key that cannot make keys.

  $ drydock key create laptop --role member > member.key
  made key * (glob)
  $ drydock login --token-file member.key -q | grep -E '^(role|scopes)'
  role    member
  scopes  projects:read, projects:write, jobs:read, jobs:write, keys:read, audit:read, webhooks:read

Import a repository
-------------------

  $ git init -q race
  $ cat > race/race.sh <<'END'
  > . ./params
  > lap=$(echo "lap $SEED" | cksum | cut -d ' ' -f 1)
  > echo $((lap % 100000))
  > END
  $ echo "SEED=0" > race/params
  $ git -C race add . && git -C race -c user.name=Ada -c user.email=ada@example.org commit -qm "A race against the clock"
  $ project=$(drydock project import race --instruction "Find the seed with the shortest lap" -q)
  $ drydock project cat "$project" params
  SEED=0

A thousand jobs
---------------

Each line is a job on a fork of its own: here a command; with an agent and an instruction it is the same.

  $ for seed in $(seq 1000); do
  >   jq -nc --arg project "$project" --arg seed "$seed" '{fork_of: $project, job_type: "command", labels: {seed: $seed},
  >     argv: ["sh", "-c", "echo \"SEED=$0\" > params && sh race.sh", $seed]}'
  > done > jobs.ndjson
  $ batch=$(drydock batch submit jobs.ndjson --name race --canary 10 --max-failure-rate 1%)
  1000 lines accepted, 0 came before, 0 refused

Watch it. The first ten have to end well before the others begin.

  $ drydock batch wait "$batch" --timeout 4m > end.txt 2> progress.txt
  $ head -n 1 progress.txt
  * canary: */1000 done* (glob)
  $ grep -E '^(status|jobs|canary)' end.txt
  status        completed (completed)
  jobs          1000/1000 done
  canary        the first 10

Pull the best
-------------

  $ drydock batch results "$batch" > results.ndjson
  $ jq -s -c 'min_by(.output | tonumber) | [.labels.seed, .output, .modified_files]' results.ndjson
  ["851","40",["params"]]
  $ best=$(jq -s -r 'min_by(.output | tonumber).project_id' results.ndjson)
  $ drydock diff "$best" 1 2
  diff --git a/params b/params
  --- a/params
  +++ b/params
  @@ -1 +1 @@
  -SEED=0
  +SEED=851
  $ drydock pull "$best" best -q > version.txt
  $ (cd best && sh race.sh)
  40

Who did what
------------

Newest first, with the key that asked. The thousand lines came with one request, so they are one entry.

  $ drydock audit ls | cut -c 23-
  WHO * ACTION * ON * MADE * OUTCOME * FROM * CHANGED (glob)
  key laptop *batch.submit * done (200)  127.0.0.1 (glob)
  key laptop *batch.create * done (201)  127.0.0.1 (glob)
  key laptop *project.import * done (201)  127.0.0.1 (glob)
  key admin *key.create * done (201)  127.0.0.1 (glob)
  operator *key.bootstrap * done (glob)

Records are chained by their hashes: one that is changed or missing shows.

  $ drydock audit verify
  * records follow one another; the last is at position *, its hash * (glob)
